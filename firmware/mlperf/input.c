/* The loaded input: see input.h. */
#include "input.h"

#include "commands.h"
#include "text.h"

#include <string.h>

#define ROW_BYTES (MBN_MODEL_INPUT_WIDTH * MBN_MODEL_INPUT_CHANNELS)
#define HEX_DIGITS 2u
#define PRINTED_PER_LINE 8u

static uint32_t expected_bytes; /* what `db load` announced */
static uint32_t loaded_bytes;

#if MBN_RECONSTRUCTS
static union {
    uint8_t bytes[MBN_INPUT_BYTES];
    float numbers[MBN_INPUT_VALUES];
} loaded;
static int8_t codes[MBN_INPUT_VALUES];
#else
/* Pixels as the runner sends them. While a network without a pixel table reads them, they are the
 * int8 that it wants. */
static struct {
    uint8_t bytes[MBN_INPUT_BYTES];
} loaded;
#endif

/* -- from the runner ------------------------------------------------------------------------ */

void mbn_input_load(const char *count)
{
    int32_t size = 0;
    if (count == NULL) {
        mbn_text_line("e-[Command 'db load' requires the # of bytes]");
        return;
    }
    size = mbn_commands_number(count);
    if (size <= 0) {
        mbn_text_line("e-[Command 'db load' must be >0 bytes]");
        return;
    }
    if ((uint32_t)size > MBN_INPUT_BYTES) {
        mbn_text("Supplied buffer size ");
        mbn_text_unsigned((uint32_t)size);
        mbn_text(" exceeds maximum of ");
        mbn_text_unsigned(MBN_INPUT_BYTES);
        mbn_text_end();
        return;
    }
    memset(loaded.bytes, 0, sizeof loaded.bytes);
    expected_bytes = (uint32_t)size;
    loaded_bytes = 0;
    mbn_text("m-[Expecting ");
    mbn_text_unsigned(expected_bytes);
    mbn_text_line(" bytes]");
}

void mbn_input_print(void)
{
    for (uint32_t k = 0; k < expected_bytes; k++) {
        bool last = k + 1u == expected_bytes || k % PRINTED_PER_LINE == PRINTED_PER_LINE - 1u;
        mbn_text(k % PRINTED_PER_LINE == 0u ? "m-buffer-" : "-");
        mbn_text_hex(loaded.bytes[k]);
        if (last) {
            mbn_text_end();
        }
    }
}

void mbn_input_take(const char *digits)
{
    size_t count = strlen(digits);
    if (count % HEX_DIGITS != 0u) {
        mbn_text_line("e-[Insufficent number of hex digits]"); /* spelt so by the protocol */
        return;
    }
    for (size_t k = 0; k < count; k += HEX_DIGITS) {
        int value = mbn_commands_hex(digits + k);
        if (value < 0) {
            mbn_text("e-[Invalid hex digit '");
            mbn_text_character(digits[k]);
            mbn_text_character(digits[k + 1u]);
            mbn_text_line("']");
            return;
        }
        if (loaded_bytes >= expected_bytes) {
            mbn_text_line(expected_bytes == 0u ? "e-[Bytes before a 'db load']"
                                               : "e-[Bytes beyond the end of the 'db load']");
            return;
        }
        loaded.bytes[loaded_bytes++] = (uint8_t)value;
        if (loaded_bytes == expected_bytes) {
            mbn_text_line("m-load-done");
        }
    }
}

/* -- to the network ------------------------------------------------------------------------- */

#if MBN_RECONSTRUCTS

bool mbn_input_is_codes(void)
{
    return false;
}

const float *mbn_input_numbers(void)
{
    return loaded.numbers;
}

/* Half away from zero, as C's round; what is no number becomes the zero point. */
static int8_t quantised(float value)
{
    const float limit = 512.0f; /* beyond int8, whatever the zero point */
    float steps = value / MBN_MODEL_INPUT_SCALE;
    int32_t whole = 0;
    if (steps >= limit) {
        whole = (int32_t)limit;
    } else if (steps <= -limit) {
        whole = -(int32_t)limit;
    } else if (steps == steps) {
        whole = (int32_t)steps;
        float part = steps - (float)whole;
        whole += part >= 0.5f ? 1 : part <= -0.5f ? -1 : 0;
    }
    whole += MBN_MODEL_INPUT_ZERO_POINT;
    return (int8_t)(whole > 127 ? 127 : whole < -128 ? -128 : whole);
}

void mbn_input_prepare(void)
{
    for (uint32_t k = 0; k < MBN_INPUT_VALUES; k++) {
        codes[k] = quantised(loaded.numbers[k]);
    }
}

void mbn_input_restore(void)
{
}

mbn_status mbn_input_push(mbn_state *state, uint32_t row)
{
    return mbn_push_row(state, codes + row * ROW_BYTES);
}

#else

static bool has_table(void)
{
    return mbn_model.pixels != NULL;
}

bool mbn_input_is_codes(void)
{
    const uint32_t height = MBN_MODEL_INPUT_HEIGHT, width = MBN_MODEL_INPUT_WIDTH;
    bool is_image = MBN_MODEL_INPUT_CHANNELS == 3u || height == width;
    return !has_table() && (!is_image || height == 1u || width == 1u);
}

/* Between pixels and int8: 128 less, or more again; the same bit either way. Where the network says
 * by a table what pixels are, they stay what they are. */
static void flip(void)
{
    if (has_table() || mbn_input_is_codes()) {
        return;
    }
    for (uint32_t k = 0; k < MBN_INPUT_BYTES; k++) {
        loaded.bytes[k] ^= 0x80u;
    }
}

void mbn_input_prepare(void)
{
    flip();
}

void mbn_input_restore(void)
{
    flip();
}

mbn_status mbn_input_push(mbn_state *state, uint32_t row)
{
    const uint8_t *first = loaded.bytes + row * ROW_BYTES;
    return has_table() ? mbn_push_pixels(state, first) : mbn_push_row(state, (const int8_t *)first);
}

#endif
