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

#include "dsp/requantise.h"

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

#if MBN_DSP && defined(__ARM_FP)

/* One kernel row of a strip of up to four outputs. ROW: its pointer. MASK: sets bytes beyond the
 * map. LEFT, RIGHT: the neighbours' loads, or the zero point. H: the half of the middle weights.
 * TWO, THREE: what outputs 2 and 3 add; nothing if the map ends before them. Y0 to Y2: the
 * accumulator that each output begins from. Weights are held in FPU registers, because 14 are
 * not enough. */
#define MBN_DW_ROW(ROW, W02, W1, H, LEFT, MASK, RIGHT, TWO, THREE, Y0, Y1, Y2)                    \
    "ldr.w %[e], [%[" ROW "]]\n\t" LEFT(ROW) "vmov %[w0], %[" W02 "]\n\t"                         \
    "vmov %[w1], %[" W1 "]\n\t" MASK "sxtb16 %[o], %[e], ror #8\n\t"                             \
    "sxtb16 %[e], %[e]\n\t"                                                                       \
    "smlabb %[y0], %[t], %[w0], %[" Y0 "]\n\t" RIGHT(ROW)                                         \
    "smlab" H " %[y0], %[e], %[w1], %[y0]\n\t"                                                    \
    "smlabt %[y0], %[o], %[w0], %[y0]\n\t"                                                        \
    "smlad %[y1], %[e], %[w0], %[" Y1 "]\n\t"                                                     \
    "smlab" H " %[y1], %[o], %[w1], %[y1]\n\t" TWO(H, Y2) THREE(H)

#define MBN_DW_TWO(H, Y2)                                                                         \
    "smlad %[y2], %[o], %[w0], %[" Y2 "]\n\t"                                                     \
    "smlat" H " %[y2], %[e], %[w1], %[y2]\n\t"
#define MBN_DW_THREE(H)                                                                           \
    "smlatb %[y3], %[e], %[w0], %[y3]\n\t"                                                        \
    "smlat" H " %[y3], %[o], %[w1], %[y3]\n\t"                                                    \
    "smlabt %[y3], %[t], %[w0], %[y3]\n\t"
#define MBN_DW_NOT_TWO(H, Y2) ""
#define MBN_DW_NOT_THREE(H) ""

#define MBN_DW_LOAD_LEFT(ROW) "ldrsb.w %[t], [%[" ROW "], #-1]\n\t"
#define MBN_DW_LOAD_RIGHT(ROW) "ldrsb.w %[t], [%[" ROW "], #4]!\n\t"
#define MBN_DW_ZERO_POINT(ROW) "mov.w %[t], %[zp]\n\t"
#define MBN_DW_UNREAD(ROW) ""
/* valid bytes 2 and 3: the rest become zero points (in two's complement, as bytes) */
#define MBN_DW_MASK2 "movt %[e], %[zp2]\n\t"
#define MBN_DW_MASK3 "bfc %[e], #24, #8\n\torr.w %[e], %[e], %[zp1]\n\t"

#define MBN_DW_STRIP(LEFT, MASK, RIGHT, TWO, THREE)                                               \
    __asm__("vmov %[y3], %[b]\n\t" MBN_DW_ROW("r0", "f0", "f3", "b", LEFT, MASK, RIGHT, TWO,      \
                                              THREE, "y3", "y3", "y3")                            \
            MBN_DW_ROW("r1", "f1", "f3", "t", LEFT, MASK, RIGHT, TWO, THREE, "y0", "y1", "y2")    \
            MBN_DW_ROW("r2", "f2", "f4", "b", LEFT, MASK, RIGHT, TWO, THREE, "y0", "y1", "y2")    \
            : [y0] "=&r"(y0), [y1] "=&r"(y1), [y2] "=&r"(y2), [y3] "=&r"(y3), [e] "=&r"(e),       \
              [o] "=&r"(o), [t] "=&r"(t), [w0] "=&r"(w0), [w1] "=&r"(w1), [r0] "+r"(rows[0]),     \
              [r1] "+r"(rows[1]), [r2] "+r"(rows[2])                                              \
            : [f0] "t"(taps->w02[0]), [f1] "t"(taps->w02[1]), [f2] "t"(taps->w02[2]),             \
              [f3] "t"(taps->w1_low), [f4] "t"(taps->w1_high), [b] "t"(taps->bias),               \
              [zp] "i"(zero_point), [zp1] "i"((uint32_t)(zero_point & 255) << 24),                \
              [zp2] "i"((zero_point & 255) * 0x101)                                               \
            : "memory")

#define MBN_DW_CHOOSE(LEFT)                                                                       \
    if (valid > 4) {                                                                              \
        MBN_DW_STRIP(LEFT, "", MBN_DW_LOAD_RIGHT, MBN_DW_TWO, MBN_DW_THREE);                      \
    } else if (valid == 4) {                                                                      \
        MBN_DW_STRIP(LEFT, "", MBN_DW_ZERO_POINT, MBN_DW_TWO, MBN_DW_THREE);                      \
    } else if (valid == 3) {                                                                      \
        MBN_DW_STRIP(LEFT, MBN_DW_MASK3, MBN_DW_UNREAD, MBN_DW_TWO, MBN_DW_NOT_THREE);            \
    } else {                                                                                      \
        MBN_DW_STRIP(LEFT, MBN_DW_MASK2, MBN_DW_UNREAD, MBN_DW_NOT_TWO, MBN_DW_NOT_THREE);        \
    }

/* Weights and bias as FPU registers hold them: bits, not numbers. */
typedef struct mbn_dsp_waiting {
    float w02[3];
    float w1_low;
    float w1_high;
    float bias;
} mbn_dsp_waiting;

/* The sums of four outputs; moves the row pointers on to the next strip. */
MBN_INLINE void mbn_dsp_sums_s1(const int8_t *rows[3], int32_t y[4], const mbn_dsp_waiting *taps,
                                const int32_t zero_point, const int first, const int32_t valid)
{
    int32_t y0, y1, y2, y3;
    uint32_t e, o, t, w0, w1;
    if (first) {
        MBN_DW_CHOOSE(MBN_DW_ZERO_POINT)
    } else {
        MBN_DW_CHOOSE(MBN_DW_LOAD_LEFT)
    }
    y[0] = y0, y[1] = y1, y[2] = y2, y[3] = y3;
}

#endif

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

#if MBN_DSP && defined(__ARM_FP)

MBN_INLINE void mbn_dsp_store_s1(const int32_t y[4], int16_t *tile, const int32_t count,
                                 const int32_t phase, const int32_t group_halves,
                                 const int32_t *words, const int32_t shift, const int32_t low,
                                 const int32_t high)
{
    const mbn_dsp_requantiser by = mbn_dsp_requantiser_of(words + 6, 1, shift);
    MBN_UNROLL
    for (int32_t i = 0; i < count; i++) {
        tile[mbn_dsp_place(phase + i, group_halves)] =
            (int16_t)mbn_dsp_store_value(y[i], by, shift, low, high);
    }
}

/* A row, stride 1, padding 1. */
MBN_INLINE void mbn_dsp_row_s1(const int8_t *const from[3], const int32_t *words, int16_t *tile,
                               const int32_t phase, const int32_t group_halves, const int32_t width,
                               const int32_t zero_point, const int32_t shift, const int32_t low,
                               const int32_t high)
{
    const int8_t *rows[3] = {from[0], from[1], from[2]};
    const int32_t end = (width - 1) / 4 * 4;
    mbn_dsp_waiting taps;
    int32_t y[4];
    __builtin_memcpy(&taps, words, sizeof taps);
    mbn_dsp_sums_s1(rows, y, &taps, zero_point, 1, end == 0 ? width : 5);
    mbn_dsp_store_s1(y, tile, end == 0 ? width : 4, phase, group_halves, words, shift, low, high);
    for (const int8_t *stop = from[0] + end; end > 4 && rows[0] != stop;) {
        MBN_DSP_STEP(tile, group_halves);
        const int32_t at = MBN_DSP_PHASE(phase, rows[0] - from[0]);
        mbn_dsp_sums_s1(rows, y, &taps, zero_point, 0, 5);
        mbn_dsp_store_s1(y, tile, 4, at, group_halves, words, shift, low, high);
    }
    if (end != 0) {
        MBN_DSP_STEP(tile, group_halves);
        mbn_dsp_sums_s1(rows, y, &taps, zero_point, 0, width - end);
        mbn_dsp_store_s1(y, tile, width - end, MBN_DSP_PHASE(phase, end), group_halves, words,
                         shift, low, high);
    }
}

#endif

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
#if MBN_DSP && defined(__ARM_FP)
        if (width - end > 1) { /* a last strip of one output is left to the C below */
            mbn_dsp_row_s1(rows, words, tile, phase, group_halves, width, zero_point, shift, low,
                           high);
            return 0;
        }
#endif
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

#endif
