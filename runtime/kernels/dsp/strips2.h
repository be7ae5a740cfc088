/* Depthwise 3x3, stride 2, all channels of one output row: the fast path.
 *
 * Input and output are those of strips.h, with an even width. Words are loaded at columns 0, 4, 8,
 * ..., with the byte beside them that the padding requires: the one before if the map is padded on
 * its left (`left` 1: outputs on x0 and x2), else the one after (outputs on x1 and x3).
 */
#ifndef MBN_DSP_STRIPS2_H
#define MBN_DSP_STRIPS2_H

#include "dsp/strips.h"

#if MBN_DSP && defined(__ARM_FP)

#define MBN_T_WORD(P) "ldr.w %[e], [%[" P "]], #4\n\t"
#define MBN_T_BEFORE(P) "ldrsb.w %[t], [%[" P "], #-5]\n\t"
#define MBN_T_BEHIND(P) "ldrsb.w %[t], [%[" P "]]\n\t"
#define MBN_T_ALONE(P) ""
#define MBN_T_UNPACK                                                                              \
    "sxtb16 %[o], %[e], ror #8\n\t"                                                               \
    "sxtb16 %[e], %[e]\n\t"

/* What a kernel row adds: Y, K, W1 and H as in strips.h. L: padded on the left; R: not. */
#define MBN_T_L0(K, W1, H) "smlabb %[y0], %[t], %[w" K "], %[y0]\n\t" MBN_T_L0_EDGE(K, W1, H)
#define MBN_T_L0_EDGE(K, W1, H)                                                                   \
    "smlab" H " %[y0], %[e], %[" W1 "], %[y0]\n\t"                                                \
    "smlabt %[y0], %[o], %[w" K "], %[y0]\n\t"
#define MBN_T_L1(K, W1, H)                                                                        \
    "smlad %[y1], %[o], %[w" K "], %[y1]\n\t"                                                     \
    "smlat" H " %[y1], %[e], %[" W1 "], %[y1]\n\t"
#define MBN_T_R0(K, W1, H)                                                                        \
    "smlad %[y0], %[e], %[w" K "], %[y0]\n\t"                                                     \
    "smlab" H " %[y0], %[o], %[" W1 "], %[y0]\n\t"
#define MBN_T_R0_EDGE(K, W1, H)                                                                   \
    "smlabb %[y0], %[e], %[w" K "], %[y0]\n\t"                                                    \
    "smlab" H " %[y0], %[o], %[" W1 "], %[y0]\n\t"
#define MBN_T_R1(K, W1, H) "smlabt %[y1], %[t], %[w" K "], %[y1]\n\t" MBN_T_R1_EDGE(K, W1, H)
#define MBN_T_R1_EDGE(K, W1, H)                                                                   \
    "smlatb %[y1], %[e], %[w" K "], %[y1]\n\t"                                                    \
    "smlat" H " %[y1], %[o], %[" W1 "], %[y1]\n\t"
#define MBN_T_NONE(K, W1, H) ""

#define MBN_T_ROW(BYTE, ONE, TWO, P, K, W1, H)                                                    \
    MBN_T_WORD(P) BYTE(P) MBN_T_UNPACK ONE(K, W1, H) TWO(K, W1, H)

/* FROM0, FROM1: what the outputs begin from. STORE1: of the second output, if there is one. */
#define MBN_T_STRIP(BYTE, ONE, TWO, FROM0, FROM1, STORE1)                                         \
    __asm__ volatile("vmov %[y0], %[" FROM0 "]\n\t"                                               \
                     "vmov %[y1], %[" FROM1 "]\n\t"                                               \
                     MBN_T_ROW(BYTE, ONE, TWO, "p0", "0", "wa", "b")                              \
                     MBN_T_ROW(BYTE, ONE, TWO, "p1", "1", "wa", "t")                              \
                     MBN_T_ROW(BYTE, ONE, TWO, "p2", "2", "wb", "b")                              \
                     MBN_S_WAITED                                                                 \
                     MBN_S_STORE_WAITING("y0", "a0") STORE1                                       \
                     : MBN_S_OUT, [t] "=&r"(t), [p0] "+r"(rows[0]), [p1] "+r"(rows[1]),           \
                       [p2] "+r"(rows[2])                                                         \
                     : [w0] "r"(w[0]), [w1] "r"(w[1]), [w2] "r"(w[2]), [wa] "r"(w[3]),            \
                       [wb] "r"(w[4]), [bias] "t"(bias), [edge] "t"(edge), [m] "t"(m),            \
                       [to] "t"(mbn_dsp_wait((uintptr_t)to)), [a0] MBN_S_AT(p),                   \
                       [a1] MBN_S_AT(p + 1)                                                       \
                     : "memory")
#define MBN_T_STORE1 MBN_S_STORE_WAITING("y1", "a1")

typedef enum mbn_dsp_end {
    MBN_DSP_FIRST,
    MBN_DSP_INSIDE,
    MBN_DSP_LAST
} mbn_dsp_end;

/* The outputs p and p + 1 behind `to` (a last strip of two columns: p alone). */
MBN_INLINE void mbn_dsp_strip2(const int8_t *rows[3], const uint32_t w[5], const float bias,
                               const float edge, const float m, int16_t *to, const int32_t p,
                               const int32_t width, const int32_t group_halves, const int left,
                               const mbn_dsp_end end)
{
    int32_t y0, y1;
    uint32_t e, o, t;
    if (left && end == MBN_DSP_FIRST) {
        MBN_T_STRIP(MBN_T_ALONE, MBN_T_L0_EDGE, MBN_T_L1, "edge", "bias", MBN_T_STORE1);
    } else if (left && end == MBN_DSP_LAST && width % 4 == 2) {
        MBN_T_STRIP(MBN_T_BEFORE, MBN_T_L0, MBN_T_NONE, "bias", "bias", "");
    } else if (left) {
        MBN_T_STRIP(MBN_T_BEFORE, MBN_T_L0, MBN_T_L1, "bias", "bias", MBN_T_STORE1);
    } else if (end == MBN_DSP_LAST && width % 4 == 2) {
        MBN_T_STRIP(MBN_T_ALONE, MBN_T_R0_EDGE, MBN_T_NONE, "edge", "edge", "");
    } else if (end == MBN_DSP_LAST) {
        MBN_T_STRIP(MBN_T_ALONE, MBN_T_R0, MBN_T_R1_EDGE, "bias", "edge", MBN_T_STORE1);
    } else {
        MBN_T_STRIP(MBN_T_BEHIND, MBN_T_R0, MBN_T_R1, "bias", "bias", MBN_T_STORE1);
    }
}

/* One channel; to: of the row's first group in the tile, whose pixel `phase` is output 0. */
MBN_INLINE void mbn_dsp_strips2(const int8_t *rows[3], const int32_t *words, int16_t *to,
                                const int32_t width, const int32_t phase,
                                const int32_t group_halves, const int left,
                                const int32_t zero_point)
{
    const uint32_t w[5] = {(uint32_t)words[0], (uint32_t)words[1], (uint32_t)words[2],
                           (uint32_t)words[3], (uint32_t)words[4]};
    const uint32_t zero = (uint32_t)zero_point;
    int32_t outside = words[5];
    MBN_UNROLL
    for (int32_t k = 0; k < 3; k++) {
        outside = left ? mbn_smlabb(zero, w[k], outside) : mbn_smlabt(zero, w[k], outside);
    }
    const float bias = mbn_dsp_wait((uint32_t)words[5]), m = mbn_dsp_wait((uint32_t)words[6]);
    const float edge = mbn_dsp_wait((uint32_t)outside);
    const int32_t inside = (width + 3) / 4 - 2, last = 2 * (inside + 1) + phase;
    const int32_t base = last / MBN_DSP_GROUP * MBN_DSP_GROUP;
    int16_t *const end = to + mbn_dsp_place(base, group_halves);
    mbn_dsp_strip2(rows, w, bias, edge, m, to, phase, width, group_halves, left, MBN_DSP_FIRST);
    _Pragma("GCC unroll 2") for (int32_t k = inside / MBN_S_TURN; k > 0; k--)
    {
        MBN_UNROLL
        for (int32_t i = 0; i < MBN_S_TURN; i++) {
            mbn_dsp_strip2(rows, w, bias, edge, m, to, phase + 2 + 2 * i, width, group_halves, left,
                           MBN_DSP_INSIDE);
        }
        to += mbn_dsp_place(2 * MBN_S_TURN, group_halves);
    }
    MBN_UNROLL
    for (int32_t i = 0; i < inside % MBN_S_TURN; i++) {
        mbn_dsp_strip2(rows, w, bias, edge, m, to, phase + 2 + 2 * i, width, group_halves, left,
                       MBN_DSP_INSIDE);
    }
    mbn_dsp_strip2(rows, w, bias, edge, m, end, last - base, width, group_halves, left,
                   MBN_DSP_LAST);
}

#endif

/* All channels of a row into the tile; all but the pointers are constants. `tile`: of the group
 * whose pixel `phase` is the row's first output. Width even, 6 or more; outputs width / 2. */
MBN_INLINE int32_t mbn_dsp_depthwise_s2(const int8_t *row0, const int8_t *row1, const int8_t *row2,
                                        const int32_t *words, int16_t *tile, const int32_t phase,
                                        const int32_t channels, const int32_t pairs,
                                        const int32_t plane_bytes, const int32_t width,
                                        const int32_t left, const int32_t zero_point)
{
    int16_t *to = tile;
    for (int32_t c = 0; c < channels; c++) {
        if (c == pairs) {
            to = tile + 1;
        }
#if MBN_DSP && defined(__ARM_FP)
        const int8_t *rows[3] = {row0, row1, row2};
        mbn_dsp_strips2(rows, words, to, width, phase, 8 * pairs, left, zero_point);
#else
        mbn_dsp_depthwise3x3(row0, row1, row2, words, to, phase, 8 * pairs, width, width / 2, 2,
                             left, zero_point, 0, -128, 127);
#endif
        row0 += plane_bytes;
        row1 += plane_bytes;
        row2 += plane_bytes;
        words += 7;
        to += 8;
    }
    return 0;
}

#endif
