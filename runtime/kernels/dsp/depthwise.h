/* Depthwise 3x3 of one channel's row for cores with the DSP extension.
 *
 * The input is three rows of one plane (4-byte aligned, readable up to the next multiple of 4) and
 * the channel's seven words: (w0, w2) of each kernel row as halfwords, (w1 of row 0, w1 of
 * row 1), (w1 of row 2, 0), bias, and what requantises (dsp/requantise.h).
 * The output is int16 values in the pointwise's tile: the pixel at x is the tile's pixel p = phase
 * + x and goes to halfword (p / group) * group_halves + (p % group) * 2. Every word of input is
 * loaded aligned. Positions outside the map read as the zero point; the constants `first` and
 * `valid` (how many bytes from the strip's word on are in the map) say where that can happen.
 *
 * With a word x0..x3 of a row, E = (x0, x2) and O = (x1, x3) are one SXTB16 each; then
 * SMLAD(E, (w0, w2)) + SMLABB(O, w1) is the output centred on x1, and so on.
 */
#ifndef MBN_DSP_DEPTHWISE_H
#define MBN_DSP_DEPTHWISE_H

#include <stdarg.h>

#include "dsp/requantise.h"

enum {
    MBN_DSP_MOST_ROWS = 10 /* of input, for 8 of output */
};

/* The word at x. If fewer than 4 of its bytes are `valid`, the others become zero points. */
MBN_INLINE uint32_t mbn_dsp_word(const int8_t *row, int32_t x, const int32_t valid,
                                 const int32_t zero_point)
{
    uint32_t word = mbn_load32(row + x);
    if (valid < 4) {
        const uint32_t keep = (1u << (8 * valid)) - 1u;
        word = (word & keep) | ((uint8_t)zero_point * 0x01010101u & ~keep);
    }
    return word;
}

typedef struct mbn_dsp_taps {
    uint32_t w02[3];
    uint32_t w1_low;  /* rows 0 and 1 */
    uint32_t w1_high; /* row 2 */
} mbn_dsp_taps;

/* acc + x1 * w1 of kernel row k, x1 in the low (high) half of `pair`. */
MBN_INLINE int32_t mbn_dsp_middle(uint32_t pair, const int top, const mbn_dsp_taps *taps,
                                  const int32_t k, int32_t acc)
{
    if (k == 1) {
        return top ? mbn_smlatt(pair, taps->w1_low, acc) : mbn_smlabt(pair, taps->w1_low, acc);
    }
    uint32_t w = k == 0 ? taps->w1_low : taps->w1_high;
    return top ? mbn_smlatb(pair, w, acc) : mbn_smlabb(pair, w, acc);
}

/* Strips of four outputs go through the tile group by group. If groups have another number of
 * pixels, places are counted from the row's first. */
#if MBN_DSP_GROUP == 4
#define MBN_DSP_STEP(TILE, HALVES) ((TILE) += (HALVES))
#define MBN_DSP_PHASE(PHASE, X) (PHASE)
#else
#define MBN_DSP_STEP(TILE, HALVES) ((void)(TILE))
#define MBN_DSP_PHASE(PHASE, X) ((PHASE) + (int32_t)(X))
#endif

MBN_INLINE int32_t mbn_dsp_place(int32_t pixel, const int32_t group_halves)
{
    return pixel / MBN_DSP_GROUP * group_halves + pixel % MBN_DSP_GROUP * 2;
}

/* Stride 1, padding 1: outputs x .. x + 3. `tile`: of pixel x / 4 * 4. */
MBN_INLINE void mbn_dsp_strip_s1(const int8_t *const rows[3], int32_t x, int16_t *tile,
                                 const int32_t phase, const int32_t group_halves,
                                 const mbn_dsp_taps *taps, const int32_t *words,
                                 const int32_t zero_point, const int first, const int32_t valid,
                                 const int32_t shift, const int32_t low, const int32_t high)
{
    int32_t y[4] = {words[5], words[5], words[5], words[5]};
    MBN_UNROLL
    for (int32_t k = 0; k < 3; k++) {
        uint32_t word = mbn_dsp_word(rows[k], x, valid, zero_point);
        uint32_t before = (uint32_t)(first ? zero_point : rows[k][x - 1]);
        uint32_t after = (uint32_t)(valid > 4 ? rows[k][x + 4] : zero_point);
        uint32_t even = mbn_sxtb16(word);
        uint32_t odd = mbn_sxtb16_ror8(word);
        uint32_t w02 = taps->w02[k];
        y[0] = mbn_smlabb(before, w02, y[0]);
        y[0] = mbn_dsp_middle(even, 0, taps, k, y[0]);
        y[0] = mbn_smlabt(odd, w02, y[0]);
        y[1] = mbn_smlad(even, w02, y[1]);
        y[1] = mbn_dsp_middle(odd, 0, taps, k, y[1]);
        y[2] = mbn_smlad(odd, w02, y[2]);
        y[2] = mbn_dsp_middle(even, 1, taps, k, y[2]);
        y[3] = mbn_smlatb(even, w02, y[3]);
        y[3] = mbn_dsp_middle(odd, 1, taps, k, y[3]);
        y[3] = mbn_smlabt(after, w02, y[3]);
    }
    const mbn_dsp_requantiser by = mbn_dsp_requantiser_of(words + 6, 1, shift);
    const int32_t count = valid < 4 ? valid : 4;
    MBN_UNROLL
    for (int32_t i = 0; i < count; i++) {
        tile[mbn_dsp_place(phase + i, group_halves)] =
            (int16_t)mbn_dsp_store_value(y[i], by, shift, low, high);
    }
}

/* Stride 2: outputs x / 2 and x / 2 + 1; padding_left 1 centres the first on x0, 0 on x1.
 * `tile`: the channel's, of pixel 0. */
MBN_INLINE void mbn_dsp_strip_s2(const int8_t *const rows[3], int32_t x, int16_t *tile,
                                 const int32_t phase, const int32_t group_halves,
                                 const mbn_dsp_taps *taps, const int32_t *words,
                                 const int32_t padding_left, const int32_t zero_point,
                                 const int first, const int32_t valid, const int32_t count,
                                 const int32_t shift, const int32_t low, const int32_t high)
{
    int32_t y[2] = {words[5], words[5]};
    MBN_UNROLL
    for (int32_t k = 0; k < 3; k++) {
        uint32_t word = mbn_dsp_word(rows[k], x, valid, zero_point);
        uint32_t even = mbn_sxtb16(word);
        uint32_t odd = mbn_sxtb16_ror8(word);
        uint32_t w02 = taps->w02[k];
        if (padding_left == 1) {
            uint32_t before = (uint32_t)(first ? zero_point : rows[k][x - 1]);
            y[0] = mbn_smlabb(before, w02, y[0]);
            y[0] = mbn_dsp_middle(even, 0, taps, k, y[0]);
            y[0] = mbn_smlabt(odd, w02, y[0]);
            y[1] = mbn_smlad(odd, w02, y[1]);
            y[1] = mbn_dsp_middle(even, 1, taps, k, y[1]);
        } else {
            uint32_t after = (uint32_t)(valid > 4 ? rows[k][x + 4] : zero_point);
            y[0] = mbn_smlad(even, w02, y[0]);
            y[0] = mbn_dsp_middle(odd, 0, taps, k, y[0]);
            y[1] = mbn_smlatb(even, w02, y[1]);
            y[1] = mbn_dsp_middle(odd, 1, taps, k, y[1]);
            y[1] = mbn_smlabt(after, w02, y[1]);
        }
    }
    const mbn_dsp_requantiser by = mbn_dsp_requantiser_of(words + 6, 1, shift);
    MBN_UNROLL
    for (int32_t i = 0; i < count; i++) {
        tile[mbn_dsp_place(phase + x / 2 + i, group_halves)] =
            (int16_t)mbn_dsp_store_value(y[i], by, shift, low, high);
    }
}

/* A row of one channel; all but the pointers constants. `tile` is the channel's halfword of pixel
 * 0. Stride 1 needs padding 1 on both sides; stride 2 needs outputs <= (width + 1) / 2. */
MBN_INLINE int32_t mbn_dsp_depthwise3x3(const int8_t *row0, const int8_t *row1, const int8_t *row2,
                                        const int32_t *words, int16_t *tile, const int32_t phase,
                                        const int32_t group_halves, const int32_t width,
                                        const int32_t outputs, const int32_t stride,
                                        const int32_t padding_left, const int32_t zero_point,
                                        const int32_t shift, const int32_t low, const int32_t high)
{
    const int8_t *const rows[3] = {row0, row1, row2};
    const mbn_dsp_taps taps = {{(uint32_t)words[0], (uint32_t)words[1], (uint32_t)words[2]},
                               (uint32_t)words[3],
                               (uint32_t)words[4]};
    if (stride == 1) {
        const int32_t end = (width - 1) / 4 * 4; /* the last strip */
        mbn_dsp_strip_s1(rows, 0, tile, phase, group_halves, &taps, words, zero_point, 1,
                         end == 0 ? width : 5, shift, low, high);
        for (int32_t x = 4; x < end; x += 4) {
            MBN_DSP_STEP(tile, group_halves);
            mbn_dsp_strip_s1(rows, x, tile, MBN_DSP_PHASE(phase, x), group_halves, &taps, words,
                             zero_point, 0, 5, shift, low, high);
        }
        if (end != 0) {
            MBN_DSP_STEP(tile, group_halves);
            mbn_dsp_strip_s1(rows, end, tile, MBN_DSP_PHASE(phase, end), group_halves, &taps, words,
                             zero_point, 0, width - end, shift, low, high);
        }
        return 0;
    }
    const int32_t end = (outputs - 1) / 2 * 4;     /* the last strip */
    const int32_t tail = outputs % 2 != 0 ? 1 : 2; /* its outputs */
    mbn_dsp_strip_s2(rows, 0, tile, phase, group_halves, &taps, words, padding_left, zero_point, 1,
                     end == 0 ? width : 5, end == 0 ? tail : 2, shift, low, high);
    for (int32_t x = 4; x < end; x += 4) {
        mbn_dsp_strip_s2(rows, x, tile, phase, group_halves, &taps, words, padding_left, zero_point,
                         0, 5, 2, shift, low, high);
    }
    if (end != 0) {
        mbn_dsp_strip_s2(rows, end, tile, phase, group_halves, &taps, words, padding_left,
                         zero_point, 0, width - end, tail, shift, low, high);
    }
    return 0;
}

/* All channels of `lines` rows of outputs, which lie row_pixels apart in the tile. rows: stride *
 * (lines - 1) + 3 of input. The same as the assembly of compiler/mbn/passes/kernels/asm/
 * depthwise.py; all but the pointers are constants. */
MBN_INLINE int32_t mbn_dsp_depthwise_band(
    const int8_t *const *rows, const int32_t *words, int16_t *tile, const int32_t lines,
    const int32_t row_pixels, const int32_t channels, const int32_t pairs,
    const int32_t channel_words, const int32_t plane_bytes, const int32_t width,
    const int32_t outputs, const int32_t stride, const int32_t padding_left,
    const int32_t zero_point, const int32_t shift, const int32_t low, const int32_t high)
{
    for (int32_t c = 0; c < channels; c++) {
        int16_t *const to = tile + (c < pairs ? 8 * c : 8 * (c - pairs) + 1);
        for (int32_t y = 0; y < lines; y++) {
            const int8_t *const *from = rows + stride * y;
            const int32_t at = c * plane_bytes;
            mbn_dsp_depthwise3x3(from[0] + at, from[1] + at, from[2] + at, words, to,
                                 y * row_pixels, 8 * pairs, width, outputs, stride, padding_left,
                                 zero_point, shift, low, high);
        }
        words += channel_words;
    }
    return 0;
}

/* The same for even widths: padding 1 on the left, and a shape that is known when it runs. words:
 * channels + 65536 * the zero point, then 7 words a channel. rows: pointers. The same as
 * compiler/mbn/passes/kernels/asm/shared_depthwise.py. */
MBN_INLINE int32_t mbn_dsp_depthwise_any(const int32_t *words, int16_t *tile, int32_t lines,
                                         int32_t width, const int32_t stride, va_list rows)
{
    const int8_t *from[MBN_DSP_MOST_ROWS];
    for (int32_t k = 0; k < stride * (lines - 1) + 3; k++) {
        from[k] = va_arg(rows, const int8_t *);
    }
    const int32_t channels = words[0] & 0xFFFF, zero_point = words[0] >> 16;
    const int32_t outputs = width / stride;
    const int32_t row_pixels = outputs % 4 == 2 ? outputs : (outputs + 3) / 4 * 4;
    return mbn_dsp_depthwise_band(from, words + 1, tile, lines, row_pixels, channels,
                                  (channels + 1) / 2, 7, (width + 3) / 4 * 4, width, outputs,
                                  stride, 1, zero_point, 0, -128, 127);
}

#endif
