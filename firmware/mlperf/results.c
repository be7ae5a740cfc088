/* The results of an inference: see results.h. */
#include "results.h"

#include "text.h"

#include "scalar/softmax.h"

#include <stdbool.h>
#include <string.h>

#define NO_NUMBER INT64_MIN

#if MBN_RECONSTRUCTS

/* Rounded half to even, as printf rounds. Beyond 9e15, which no quantised network's error is, held
 * there. */
static int64_t thousandths_of(float value)
{
    const float limit = 9.0e15f;
    if (value != value) {
        return NO_NUMBER;
    }
    if (value >= limit) {
        return INT64_C(9000000000000000000);
    }
    int32_t shift = 0; /* of 2^23 and above a float is whole; what is less after 40 prints as 0 */
    while (shift < 40 && value < 8388608.0f) {
        value *= 2.0f;
        shift++;
    }
    int64_t exact = 1000 * (int64_t)value;
    int64_t half = shift == 0 ? 0 : INT64_C(1) << (shift - 1);
    int64_t whole = exact >> shift, part = exact - (whole << shift);
    return whole + (part > half || (part == half && (whole & 1) != 0 && shift != 0) ? 1 : 0);
}

void mbn_results_take(mbn_results *results, const int8_t *output)
{
    const float *numbers = mbn_input_numbers();
    float total = 0.0f;
    for (uint32_t k = 0; k < MBN_MODEL_OUTPUT_BYTES; k++) {
        float real = (float)(output[k] - MBN_MODEL_OUTPUT_ZERO_POINT) * MBN_MODEL_OUTPUT_SCALE;
        float difference = real - numbers[k];
        total += difference * difference;
    }
    results->thousandths[0] = thousandths_of(total / (float)MBN_MODEL_OUTPUT_BYTES);
}

#elif MBN_MODEL_HOST_SOFTMAX

#define UNIT 67108864.0f /* Q5.26 */
#define LEAST (-2147483647 - 1)

/* e^(scale * difference) in Q0.31, difference <= 0. */
static int32_t exponential(int32_t difference)
{
    const int64_t step =
        MBN_MODEL_OUTPUT_SCALE < 32.0f ? (int64_t)(MBN_MODEL_OUTPUT_SCALE * UNIT) : INT32_MAX;
    int64_t power = difference * step;
    return power <= LEAST ? 0 : mbn_exp_negative((int32_t)power);
}

void mbn_results_take(mbn_results *results, const int8_t *output)
{
    int32_t largest = output[0];
    int64_t total = 0;
    for (uint32_t k = 0; k < MBN_MODEL_OUTPUT_BYTES; k++) {
        largest = output[k] > largest ? output[k] : largest;
    }
    for (uint32_t k = 0; k < MBN_MODEL_OUTPUT_BYTES; k++) {
        total += exponential(output[k] - largest);
    }
    for (uint32_t k = 0; k < MBN_MODEL_OUTPUT_BYTES; k++) {
        int64_t value = exponential(output[k] - largest);
        if (mbn_input_is_codes()) {
            int64_t cut = 1000 * value / total;
            results->thousandths[k] = cut > 999 ? 999 : cut; /* "0." and three digits */
        } else {
            results->thousandths[k] = (2000 * value + total) / (2 * total);
        }
    }
}

#else

/* Half to even, as printf rounds: codes of scale 1/256 have halves. */
void mbn_results_take(mbn_results *results, const int8_t *output)
{
    const int64_t unit = INT64_C(1) << 32;
    const int64_t step = (int64_t)(1000.0 * (double)MBN_MODEL_OUTPUT_SCALE * 4294967296.0);
    for (uint32_t k = 0; k < MBN_MODEL_OUTPUT_BYTES; k++) {
        int64_t exact = (output[k] - MBN_MODEL_OUTPUT_ZERO_POINT) * step;
        int64_t whole = exact >> 32, part = exact & (unit - 1);
        bool up = part > unit / 2 || (part == unit / 2 && (whole & 1) != 0);
        results->thousandths[k] = mbn_input_is_codes() ? exact / unit : whole + (up ? 1 : 0);
    }
}

#endif

void mbn_results_put(const mbn_results *results)
{
    mbn_text("m-results-[");
    for (uint32_t k = 0; k < MBN_RESULTS; k++) {
        if (k != 0u) {
            mbn_text(",");
        }
        if (results->thousandths[k] == NO_NUMBER) {
            mbn_text("nan");
        } else {
            mbn_text_thousandths(results->thousandths[k]);
        }
    }
    mbn_text_line("]");
}

const char *mbn_results_benchmark(void)
{
    static const struct {
        uint32_t height, width, channels, results;
        const char *name;
    } tasks[] = {
        {96u, 96u, 3u, 2u, "vww01"},
        {32u, 32u, 3u, 10u, "ic01"},
        {49u, 10u, 1u, 12u, "kws01"},
        {1u, 1u, 640u, 640u, "ad01"},
    };
    const mbn_tensor *in = &mbn_model.tensors[mbn_model.input];
    for (size_t k = 0; k < sizeof tasks / sizeof tasks[0]; k++) {
        if (in->height == tasks[k].height && in->width == tasks[k].width &&
            in->channels == tasks[k].channels && MBN_MODEL_OUTPUT_BYTES == tasks[k].results) {
            return tasks[k].name;
        }
    }
    return mbn_model.name;
}
