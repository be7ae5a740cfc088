/* Depthwise 3x3 on the Cortex-M7, all channels of a band's rows. Two rows at a time are computed by
 * pairs.h. If the width or the number of rows is odd, one row at a time is computed here. Stride 2
 * is in strips2.h. Inputs and outputs are those of dsp/strips.h and dsp/strips2.h.
 *
 * As in couples.h, an instruction that is not a multiply stands before the multiply that it is
 * issued with. In each kernel row the products with O come first, so that O of the next row can be
 * unpacked during those with E. A word is loaded four multiplies before it is unpacked. Row
 * pointers stay in registers; bias, multiplier and place are loaded from the stack during the last
 * products. By LLVM's model of the core an output takes 9 cycles.
 */
#ifndef MBN_M7_STRIPS_H
#define MBN_M7_STRIPS_H

#include "m7/pairs.h"
#include "m7/strips2.h"

#if MBN_DSP && defined(__ARM_FP)

/* One kernel row K with its middle weight in half H ("b", "t") of W1, from F (its word), O
 * (unpacked before). ADD0, ADD1: the addends of the first products; NEXT: the next word's load;
 * EDGE_O, EDGE_E: products of one more output; THEN: what follows the last product with O. */
#define MBN_N_ROW(K, W1, H, ADD0, ADD1, NEXT, EDGE_O, EDGE_E, BEFORE, THEN)                       \
    "sxtb16 %[e], %[f]\n\t"                                                                       \
    "smlad %[y1], %[o], %[w" K "], %[" ADD1 "]\n\t" NEXT                                          \
    "smlab" H " %[y0], %[o], %[" W1 "], %[" ADD0 "]\n\t" EDGE_O(K, W1, H) BEFORE                  \
    "smlad %[y0], %[e], %[w" K "], %[y0]\n\t" THEN                                                \
    "smlat" H " %[y1], %[e], %[" W1 "], %[y1]\n\t" EDGE_E(K, W1, H)

#define MBN_N_NONE(K, W1, H) ""
#define MBN_N_LEFT_O(K, W1, H) "smlabt %[y4], %[o], %[w" K "], %[y4]\n\t"
#define MBN_N_LEFT_E(K, W1, H) "smlab" H " %[y4], %[e], %[" W1 "], %[y4]\n\t"
#define MBN_N_RIGHT_O(K, W1, H) "smlat" H " %[y4], %[o], %[" W1 "], %[y4]\n\t"
#define MBN_N_RIGHT_E(K, W1, H) "smlatb %[y4], %[e], %[w" K "], %[y4]\n\t"

#define MBN_N_WORD(P, AT) "ldr.w %[f], [%[" P "], #" AT "]\n\t"
#define MBN_N_UNPACK_O "sxtb16 %[o], %[f], ror #8\n\t"
#define MBN_N_M "ldr.w %[o], %[m]\n\t"

/* Requantises y0 and y1 and stores them; the next strip's O and its biases meanwhile. */
#define MBN_N_STORE2(A0, A1)                                                                      \
    "ldr.w %[e], %[to]\n\t"                                                                       \
    "smmulr %[y0], %[y0], %[o]\n\t"                                                               \
    "smmulr %[y1], %[y1], %[o]\n\t"                                                               \
    "ssat %[y0], #8, %[y0]\n\t"                                                                   \
    ".if %c[" A1 "] < 4096\n\t" MBN_N_UNPACK_O                                                    \
    "ssat %[y1], #8, %[y1]\n\t"                                                                   \
    "strh.w %[y0], [%[e], %[" A0 "]]\n\t"                                                         \
    "ldr.w %[y0], %[bias]\n\t"                                                                    \
    "strh.w %[y1], [%[e], %[" A1 "]]\n\t"                                                         \
    ".else\n\t" /* beyond an immediate offset */                                                  \
    "ssat %[y1], #8, %[y1]\n\t" MBN_N_FAR("y0", A0) MBN_N_FAR("y1", A1)                           \
    "ldr.w %[y0], %[bias]\n\t" MBN_N_UNPACK_O                                                     \
    ".endif\n\t"                                                                                  \
    "ldr.w %[y1], %[bias]\n\t"
#define MBN_N_FAR(Y, AT) "movw %[o], %[" AT "]\n\tstrh.w %[" Y "], [%[e], %[o]]\n\t"

/* Before the first strip of a statement; a statement needs all registers, so none carries over. */
#define MBN_N_BEGIN(X)                                                                            \
    MBN_N_WORD("p0", X) "ldr.w %[y0], %[bias]\n\t"                                                \
    "ldr.w %[y1], %[bias]\n\t" MBN_N_UNPACK_O

/* A strip inside the map, X columns behind the row pointers. */
#define MBN_N_STRIP(X, A0, A1)                                                                    \
    MBN_N_ROW("0", "wa", "b", "y0", "y1", MBN_N_WORD("p1", X), MBN_N_NONE, MBN_N_NONE, "",        \
              MBN_N_UNPACK_O)                                                                     \
    MBN_N_ROW("1", "wa", "t", "y0", "y1", MBN_N_WORD("p2", X), MBN_N_NONE, MBN_N_NONE, "",        \
              MBN_N_UNPACK_O)                                                                     \
    MBN_N_ROW("2", "wb", "b", "y0", "y1", MBN_N_WORD("p0", X "+2"), MBN_N_NONE, MBN_N_NONE,       \
              MBN_N_M, "")                                                                        \
    MBN_N_STORE2(A0, A1)

#define MBN_N_EDGE(EDGE_O, EDGE_E)                                                                \
    __asm__ volatile(                                                                             \
        "ldr.w %[f], [%[e], #%c[x]]\n\t"                                                          \
        "ldr.w %[y1], %[bias]\n\t"                                       \
        "ldr.w %[y0], %[bias]\n\t"                                                                 \
        "ldr.w %[y4], %[edge]\n\t" MBN_N_UNPACK_O                                                  \
        MBN_N_ROW("0", "wa", "b", "y0", "y1", MBN_N_WORD("p1", "%c[x]"), EDGE_O, EDGE_E, "",      \
                  MBN_N_UNPACK_O)                                                                 \
        MBN_N_ROW("1", "wa", "t", "y0", "y1", MBN_N_WORD("p2", "%c[x]"), EDGE_O, EDGE_E, "",      \
                  MBN_N_UNPACK_O)                                                                 \
        MBN_N_ROW("2", "wb", "b", "y0", "y1", "", EDGE_O, EDGE_E, MBN_N_M, "")                    \
        "ldr.w %[e], %[to]\n\t"                                                                    \
        "smmulr %[y0], %[y0], %[o]\n\t"                                                           \
        "smmulr %[y1], %[y1], %[o]\n\t"                                                           \
        "ssat %[y0], #8, %[y0]\n\t"                                                               \
        "smmulr %[y4], %[y4], %[o]\n\t"                                                           \
        "ssat %[y1], #8, %[y1]\n\t"                                                               \
        ".if %c[a0] < 4096 && %c[a1] < 4096 && %c[a2] < 4096\n\t"                                 \
        "strh.w %[y0], [%[e], %[a0]]\n\t"                                                         \
        "ssat %[y4], #8, %[y4]\n\t"                                                               \
        "strh.w %[y1], [%[e], %[a1]]\n\t"                                                         \
        "strh.w %[y4], [%[e], %[a2]]\n\t"                                                         \
        ".else\n\t"                                                                               \
        "ssat %[y4], #8, %[y4]\n\t" MBN_N_FAR("y0", "a0") MBN_N_FAR("y1", "a1")                   \
        MBN_N_FAR("y4", "a2") ".endif\n\t"                                                        \
        : [y0] "=&r"(y0), [y1] "=&r"(y1), [y4] "=&r"(y4), [e] "+&r"(p0), [o] "=&r"(o),            \
          [f] "=&r"(f)                                                                            \
        : [p1] "r"(p1), [p2] "r"(p2), [w0] "r"(w[0]), [w1] "r"(w[1]),               \
          [w2] "r"(w[2]), [wa] "r"(w[3]), [wb] "r"(w[4]), [bias] "m"(bias), [edge] "m"(edge),     \
          [m] "m"(m), [to] "m"(to), [x] "i"(x), [a0] MBN_S_AT(p),        \
          [a1] MBN_S_AT(p + 1), [a2] MBN_S_AT(q)                                                  \
        : "memory")

/* The strip x columns behind the pointers, at an edge: outputs p, p + 1, and q, the edge's. */
MBN_INLINE void mbn_m7_edge(const int8_t *p0, const int8_t *p1, const int8_t *p2,
                            const uint32_t w[5], const int32_t bias, const int32_t edge,
                            const int32_t m, int16_t *to, const int32_t x, const int32_t p,
                            const int32_t q, const int32_t group_halves)
{
    int32_t y0, y1, y4;
    uint32_t o, f;
    if (q < p) {
        MBN_N_EDGE(MBN_N_LEFT_O, MBN_N_LEFT_E);
    } else {
        MBN_N_EDGE(MBN_N_RIGHT_O, MBN_N_RIGHT_E);
    }
}

/* What is the same in all rows of a channel. */
typedef struct mbn_m7_channel {
    uint32_t w[5];
    int32_t bias;
    int32_t left; /* at the edges: with the zero points beside the map */
    int32_t right;
    int32_t m;
} mbn_m7_channel;

/* A row of one channel, stride 1, width 5 or more; p0 to p2: its three rows. */
MBN_INLINE void mbn_m7_row1(const int8_t *p0, const int8_t *p1, const int8_t *p2,
                            const mbn_m7_channel *c, int16_t *to, const int32_t width,
                            const int32_t group_halves)
{
    const uint32_t w[5] = {c->w[0], c->w[1], c->w[2], c->w[3], c->w[4]};
    const int32_t strips = (width - 5) / 2, turns = strips / 3, last = width - 3;
    const int32_t base = last / MBN_DSP_GROUP * MBN_DSP_GROUP, in = last - base;
    const int32_t b = c->bias, m = c->m;
    int16_t *const end = to + mbn_dsp_place(base, group_halves);
    int32_t y0, y1;
    uint32_t e, o, f;
    mbn_m7_edge(p0, p1, p2, w, b, c->left, m, to, 0, 1, 0, group_halves);
#define MBN_N_OUT [y0] "=&r"(y0), [y1] "=&r"(y1), [e] "=&r"(e), [o] "=&r"(o), [f] "=&r"(f)
#define MBN_N_IN                                                                                  \
    [p0] "r"(p0), [p1] "r"(p1), [p2] "r"(p2), [w0] "r"(w[0]), [w1] "r"(w[1]), [w2] "r"(w[2]),     \
        [wa] "r"(w[3]), [wb] "r"(w[4]), [bias] "m"(b), [m] "m"(m),                                \
        [to] "m"(to)
    for (int32_t k = turns; k > 0; k--) {
        __asm__ volatile(MBN_N_BEGIN("2") MBN_N_STRIP("2", "a0", "a1") MBN_N_STRIP("4", "a2", "a3")
                             MBN_N_STRIP("6", "a4", "a5")
                         : MBN_N_OUT
                         : MBN_N_IN, [a0] MBN_S_AT(3), [a1] MBN_S_AT(4), [a2] MBN_S_AT(5),
                           [a3] MBN_S_AT(6), [a4] MBN_S_AT(7), [a5] MBN_S_AT(8)
                         : "memory");
        p0 += 6;
        p1 += 6;
        p2 += 6;
        to += mbn_dsp_place(6, group_halves);
    }
    if (strips % 3 > 0) {
        __asm__ volatile(MBN_N_BEGIN("2") MBN_N_STRIP("2", "a0", "a1")
                         : MBN_N_OUT
                         : MBN_N_IN, [a0] MBN_S_AT(3), [a1] MBN_S_AT(4)
                         : "memory");
    }
    if (strips % 3 > 1) {
        __asm__ volatile(MBN_N_BEGIN("4") MBN_N_STRIP("4", "a0", "a1")
                         : MBN_N_OUT
                         : MBN_N_IN, [a0] MBN_S_AT(5), [a1] MBN_S_AT(6)
                         : "memory");
    }
    mbn_m7_edge(p0, p1, p2, w, b, c->right, m, end, width - 4 - 6 * turns, in, in + 2,
                group_halves);
}

#endif

/* See mbn_dsp_depthwise_s1. */
MBN_INLINE int32_t mbn_m7_depthwise_s1(const int8_t *in0, const int8_t *in1, const int8_t *in2,
                                       const int8_t *in3, const int8_t *in4, const int8_t *in5,
                                       const int8_t *in6, const int8_t *in7, const int8_t *in8,
                                       const int8_t *in9, const int32_t lines, const int32_t *words,
                                       int16_t *tile, const int32_t channels, const int32_t pairs,
                                       const int32_t plane_bytes, const int32_t width,
                                       const int32_t next, const int32_t zero_point)
{
#if MBN_DSP && defined(__ARM_FP)
    if (width >= 5 || mbn_m7_pairs_serve(width, 8 * pairs)) {
        const int8_t *const in[] = {in0, in1, in2, in3, in4, in5, in6, in7, in8, in9};
        const int32_t halves = 8 * pairs;
        int16_t *to = tile;
        for (int32_t c = 0; c < channels; c++) {
            mbn_m7_channel one = {{(uint32_t)words[0], (uint32_t)words[1], (uint32_t)words[2],
                                   (uint32_t)words[3], (uint32_t)words[4]},
                                  words[5],
                                  words[5],
                                  words[5],
                                  words[6]};
            MBN_UNROLL
            for (int32_t k = 0; k < 3; k++) {
                one.left = mbn_smlabb((uint32_t)zero_point, one.w[k], one.left);
                one.right = mbn_smlabt((uint32_t)zero_point, one.w[k], one.right);
            }
            const int32_t at = c * plane_bytes;
            const int32_t even = mbn_m7_pairs_serve(width, halves) ? lines / 2 * 2 : 0;
            _Pragma("GCC unroll 4") for (int32_t y = 0; y < even; y += 2)
            {
                const int8_t *rows[4] = {in[y] + at, in[y + 1] + at, in[y + 2] + at,
                                         in[y + 3] + at};
                mbn_m7_rows2(rows, words, to + mbn_dsp_place(y * next, halves), width, next, halves,
                             zero_point);
            }
            _Pragma("GCC unroll 8") for (int32_t y = even; y < lines; y++)
            {
                mbn_m7_row1(in[y] + at, in[y + 1] + at, in[y + 2] + at, &one,
                            to + mbn_dsp_place(y * next, halves), width, halves);
            }
            words += 7;
            to = c + 1 == pairs ? tile + 1 : to + 8;
        }
        return 0;
    }
#endif
    return mbn_dsp_depthwise_s1(in0, in1, in2, in3, in4, in5, in6, in7, in8, in9, lines, words,
                                tile, channels, pairs, plane_bytes, width, next, zero_point);
}

/* See mbn_dsp_depthwise_s2. */
MBN_INLINE int32_t mbn_m7_depthwise_s2(const int8_t *row0, const int8_t *row1, const int8_t *row2,
                                       const int32_t *words, int16_t *tile, const int32_t phase,
                                       const int32_t channels, const int32_t pairs,
                                       const int32_t plane_bytes, const int32_t width,
                                       const int32_t left, const int32_t zero_point)
{
#if MBN_DSP && defined(__ARM_FP)
    int16_t *to = tile;
    for (int32_t c = 0; c < channels; c++) {
        const int8_t *rows[3] = {row0, row1, row2};
        mbn_m7_row2(rows, words, to, width, phase, 8 * pairs, left, zero_point);
        row0 += plane_bytes;
        row1 += plane_bytes;
        row2 += plane_bytes;
        words += 7;
        to = c + 1 == pairs ? tile + 1 : to + 8;
    }
    return 0;
#else
    return mbn_dsp_depthwise_s2(row0, row1, row2, words, tile, phase, channels, pairs, plane_bytes,
                                width, left, zero_point);
#endif
}

#endif
