/* The results of an inference: see results.h. */
#include "results.h"

#include "text.h"

#include "scalar/softmax.h"

#include <stdbool.h>
#include <string.h>

#if MBN_MODEL_HOST_SOFTMAX

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
        results->thousandths[k] = (2000 * value + total) / (2 * total);
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
        results->thousandths[k] = whole + (up ? 1 : 0);
    }
}

#endif

void mbn_results_put(const mbn_results *results)
{
    mbn_text("m-results-[");
    for (uint32_t k = 0; k < MBN_MODEL_OUTPUT_BYTES; k++) {
        if (k != 0u) {
            mbn_text(",");
        }
        mbn_text_thousandths(results->thousandths[k]);
    }
    mbn_text_line("]");
}

const char *mbn_results_benchmark(void)
{
    const mbn_tensor *in = &mbn_model.tensors[mbn_model.input];
    bool square = in->height == in->width && in->channels == 3u;
    if (square && in->height == 96u && MBN_MODEL_OUTPUT_BYTES == 2u) {
        return "vww01";
    }
    if (square && in->height == 32u && MBN_MODEL_OUTPUT_BYTES == 10u) {
        return "ic01";
    }
    return mbn_model.name;
}
