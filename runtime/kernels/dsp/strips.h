/* Depthwise 3x3, stride 1 or 2, all channels of one or two output rows: the fast path.
 *
 * The input is row pointers (planes 4-byte aligned) and seven words a channel, as in depthwise.h.
 * The output is int16 values in the pointwise's tile: pixel p of channel c goes to halfword p / 4 *
 * group_halves + p % 4 * 2, of the channel's pair and half. It serves s = 0 with int8's range as
 * the clamp. Words are loaded at even columns, so half of the loads are not word-aligned (which the
 * cores allow). What lies outside the map is never loaded: its products with the zero point are
 * part of the accumulators' first values.
 *
 * With a word x0..x3, E = (x0, x2) and O = (x1, x3) are one SXTB16 each. The output centred on x1
 * is E . (w0, w2) + x1 w1, that on x2 is O . (w0, w2) + x2 w1: two SMLA each for two outputs a word
 * and row, three at the map's edges. Row pointers, bias and multiplier are held in FPU registers,
 * because two rows of two outputs and five words of weights leave no others.
 */
#ifndef MBN_DSP_STRIPS_H
#define MBN_DSP_STRIPS_H

#include "dsp/pointwise.h"
#include "dsp/depthwise.h"

#if MBN_DSP && defined(__ARM_FP)

/* A row's word at %[x] into E and O. */
#define MBN_S_LOAD(P) MBN_S_POINT(P) MBN_S_LOAD_POINTED
#define MBN_S_POINT(P) "vmov %[o], %[" P "]\n\t"
#define MBN_S_LOAD_POINTED                                                                        \
    "ldr.w %[e], [%[o], %[x]]\n\t"                                                                \
    "sxtb16 %[o], %[e], ror #8\n\t"                                                               \
    "sxtb16 %[e], %[e]\n\t"

/* A kernel row's products for the outputs Y0 (on x1) and Y1 (on x2). K: its number; H: the half of
 * W1 in which its middle weight is. */
#define MBN_S_TWO(Y0, Y1, K, W1, H)                                                               \
    "smlad %[" Y0 "], %[e], %[w" K "], %[" Y0 "]\n\t"                                             \
    "smlad %[" Y1 "], %[o], %[w" K "], %[" Y1 "]\n\t"                                             \
    "smlab" H " %[" Y0 "], %[o], %[" W1 "], %[" Y0 "]\n\t"                                        \
    "smlat" H " %[" Y1 "], %[e], %[" W1 "], %[" Y1 "]\n\t"

/* The first kernel row: both begin from the bias. */
#define MBN_S_TWO_FIRST(Y0, Y1)                                                                   \
    "vmov %[" Y1 "], %[bias]\n\t"                                                                 \
    "smlad %[" Y0 "], %[e], %[w0], %[" Y1 "]\n\t"                                                 \
    "smlad %[" Y1 "], %[o], %[w0], %[" Y1 "]\n\t"                                                 \
    "smlabb %[" Y0 "], %[o], %[wa], %[" Y0 "]\n\t"                                                \
    "smlatb %[" Y1 "], %[e], %[wa], %[" Y1 "]\n\t"

/* The output on x0 at the left edge, on x3 at the right one (on x2 where the map ends there). */
#define MBN_S_LEFT(Y, K, W1, H)                                                                   \
    "smlab" H " %[" Y "], %[e], %[" W1 "], %[" Y "]\n\t"                                          \
    "smlabt %[" Y "], %[o], %[w" K "], %[" Y "]\n\t"
#define MBN_S_RIGHT(Y, K, W1, H)                                                                  \
    "smlatb %[" Y "], %[e], %[w" K "], %[" Y "]\n\t"                                              \
    "smlat" H " %[" Y "], %[o], %[" W1 "], %[" Y "]\n\t"
#define MBN_S_NARROW(Y, K, W1, H)                                                                 \
    "smlabb %[" Y "], %[o], %[w" K "], %[" Y "]\n\t"                                              \
    "smlat" H " %[" Y "], %[e], %[" W1 "], %[" Y "]\n\t"
#define MBN_S_NO_EDGE(Y, K, W1, H) ""
#define MBN_S_BEGIN(Y, FROM) "vmov %[" Y "], %[" FROM "]\n\t"
#define MBN_S_NO_BEGIN(Y, FROM) ""

/* An immediate offset reaches 4095 bytes; for stores beyond, e is used, which is free. */
#define MBN_S_STORE(Y, AT)                                                                        \
    "smmulr %[" Y "], %[" Y "], %[m]\n\t"                                                         \
    "ssat %[" Y "], #8, %[" Y "]\n\t"                                                             \
    ".if %c[" AT "] < 4096\n\t"                                                                   \
    "strh.w %[" Y "], [%[to], %[" AT "]]\n\t"                                                     \
    ".else\n\t"                                                                                   \
    "movw %[e], %[" AT "]\n\t"                                                                    \
    "strh.w %[" Y "], [%[to], %[e]]\n\t"                                                          \
    ".endif\n\t"
/* The same if multiplier and place are in FPU registers too: in e and o. */
#define MBN_S_STORE_WAITING(Y, AT)                                                                \
    "smmulr %[" Y "], %[" Y "], %[e]\n\t"                                                         \
    "ssat %[" Y "], #8, %[" Y "]\n\t"                                                             \
    ".if %c[" AT "] < 4096\n\t"                                                                   \
    "strh.w %[" Y "], [%[o], %[" AT "]]\n\t"                                                      \
    ".else\n\t"                                                                                   \
    "movw %[e], %[" AT "]\n\t"                                                                    \
    "strh.w %[" Y "], [%[o], %[e]]\n\t"                                                           \
    "vmov %[e], %[m]\n\t"                                                                         \
    ".endif\n\t"
#define MBN_S_WAITED "vmov %[e], %[m]\n\tvmov %[o], %[to]\n\t"

/* One row of outputs from three rows of input, or two rows from four. EDGE: of one more output. */
#define MBN_S_ROWS1(BEGIN, EDGE)                                                                  \
    MBN_S_LOAD("p0") MBN_S_TWO_FIRST("y0", "y1") BEGIN("y4", "edge") EDGE("y4", "0", "wa", "b")   \
    MBN_S_LOAD("p1") MBN_S_TWO("y0", "y1", "1", "wa", "t") EDGE("y4", "1", "wa", "t")             \
    MBN_S_LOAD("p2") MBN_S_TWO("y0", "y1", "2", "wb", "b") EDGE("y4", "2", "wb", "b")

/* DONE: what is done with the first row, just before a load: after a store a load costs 1 less. */
#define MBN_S_ROWS2(BEGIN, EDGE, DONE)                                                            \
    MBN_S_LOAD("p0") MBN_S_TWO_FIRST("y0", "y1") BEGIN("y4", "edge") EDGE("y4", "0", "wa", "b")   \
    MBN_S_LOAD("p1") MBN_S_TWO("y0", "y1", "1", "wa", "t") EDGE("y4", "1", "wa", "t")             \
    MBN_S_TWO_FIRST("y2", "y3") BEGIN("y5", "edge") EDGE("y5", "0", "wa", "b")                    \
    MBN_S_LOAD("p2") MBN_S_TWO("y0", "y1", "2", "wb", "b") EDGE("y4", "2", "wb", "b")             \
    MBN_S_TWO("y2", "y3", "1", "wa", "t") EDGE("y5", "1", "wa", "t")                              \
    MBN_S_POINT("p3") DONE MBN_S_LOAD_POINTED                                                     \
    MBN_S_TWO("y2", "y3", "2", "wb", "b") EDGE("y5", "2", "wb", "b")

#define MBN_S_OUT [y0] "=&r"(y0), [y1] "=&r"(y1), [e] "=&r"(e), [o] "=&r"(o)
#define MBN_S_OUT2 MBN_S_OUT, [y2] "=&r"(y2), [y3] "=&r"(y3)
#define MBN_S_IN                                                                                  \
    [x] "r"(x), [w0] "r"(w[0]), [w1] "r"(w[1]), [w2] "r"(w[2]), [wa] "r"(w[3]), [wb] "r"(w[4]),   \
        [p0] "t"(rows[0]), [p1] "t"(rows[1]), [p2] "t"(rows[2]), [bias] "t"(bias)
#define MBN_S_IN2 MBN_S_IN, [p3] "t"(rows[3])

/* Byte offset of pixel p (a constant) in a channel's part of the tile. */
#define MBN_S_AT(P) "i"(2 * mbn_dsp_place(P, group_halves))

/* A strip inside the map: the outputs p and p + 1 behind `to`, of both rows if `two`. */
MBN_INLINE void mbn_dsp_strip(const float *rows, const uint32_t w[5], const float bias,
                              const int32_t m, const int32_t x, int16_t *to, const int32_t p,
                              const int32_t next, const int32_t group_halves, const int two)
{
    int32_t y0, y1, y2, y3;
    uint32_t e, o;
    if (two) {
        __asm__ volatile(
            MBN_S_ROWS2(MBN_S_NO_BEGIN, MBN_S_NO_EDGE,
                        MBN_S_STORE("y0", "a0") MBN_S_STORE("y1", "a1")) MBN_S_STORE("y2", "b0")
                MBN_S_STORE("y3", "b1")
            : MBN_S_OUT2
            : MBN_S_IN2, [m] "r"(m), [to] "r"(to), [a0] MBN_S_AT(p), [a1] MBN_S_AT(p + 1),
              [b0] MBN_S_AT(next + p), [b1] MBN_S_AT(next + p + 1)
            : "memory");
    } else {
        __asm__ volatile(
            MBN_S_ROWS1(MBN_S_NO_BEGIN, MBN_S_NO_EDGE) MBN_S_STORE("y0", "a0")
                MBN_S_STORE("y1", "a1")
            : MBN_S_OUT
            : MBN_S_IN, [m] "r"(m), [to] "r"(to), [a0] MBN_S_AT(p), [a1] MBN_S_AT(p + 1)
            : "memory");
    }
}

#define MBN_S_STORE3(A0, A1, A2)                                                                  \
    MBN_S_STORE_WAITING("y0", A0) MBN_S_STORE_WAITING("y1", A1) MBN_S_STORE_WAITING("y4", A2)
#define MBN_S_STORE3B                                                                             \
    MBN_S_STORE_WAITING("y2", "b0") MBN_S_STORE_WAITING("y3", "b1")                               \
        MBN_S_STORE_WAITING("y5", "b2")
#define MBN_S_EDGES(EDGE)                                                                         \
    if (two) {                                                                                    \
        __asm__ volatile(MBN_S_ROWS2(MBN_S_BEGIN, EDGE, "") MBN_S_WAITED                          \
                    MBN_S_STORE3("a0", "a1", "a2") MBN_S_STORE3B                                  \
                : MBN_S_OUT2, [y4] "=&r"(y4), [y5] "=&r"(y5)                                      \
                : MBN_S_IN2, [m] "t"(m), [to] "t"(to), [edge] "t"(edge), [a0] MBN_S_AT(p),        \
                  [a1] MBN_S_AT(p + 1), [a2] MBN_S_AT(q), [b0] MBN_S_AT(next + p),                \
                  [b1] MBN_S_AT(next + p + 1), [b2] MBN_S_AT(next + q)                            \
                : "memory");                                                                      \
    } else {                                                                                      \
        __asm__ volatile(MBN_S_ROWS1(MBN_S_BEGIN, EDGE) MBN_S_WAITED                              \
                    MBN_S_STORE3("a0", "a1", "a2")                                                \
                : MBN_S_OUT, [y4] "=&r"(y4)                                                       \
                : MBN_S_IN, [m] "t"(m), [to] "t"(to), [edge] "t"(edge), [a0] MBN_S_AT(p),         \
                  [a1] MBN_S_AT(p + 1), [a2] MBN_S_AT(q)                                          \
                : "memory");                                                                      \
    }

/* A strip at an edge: the outputs p, p + 1, and q, which begins from `edge`. */
MBN_INLINE void mbn_dsp_edge_strip(const float *rows, const uint32_t w[5], const float bias,
                                   const float edge, const float m, const int32_t x, const float to,
                                   const int32_t p, const int32_t q, const int32_t next,
                                   const int32_t group_halves, const int two)
{
    int32_t y0, y1, y2, y3, y4, y5;
    uint32_t e, o;
    if (q < p) {
        MBN_S_EDGES(MBN_S_LEFT)
    } else {
        MBN_S_EDGES(MBN_S_RIGHT)
    }
}

/* A map of three or four columns: one word a row, one row of outputs. */
#define MBN_S_BOTH(RIGHT, K, W1, H) MBN_S_LEFT("y4", K, W1, H) RIGHT("y5", K, W1, H)
#define MBN_S_WHOLE(RIGHT)                                                                        \
    MBN_S_BEGIN("y4", "edge")                                                                     \
    MBN_S_BEGIN("y5", "edge2")                                                                    \
    MBN_S_LOAD("p0") MBN_S_TWO_FIRST("y0", "y1") MBN_S_BOTH(RIGHT, "0", "wa", "b")                \
    MBN_S_LOAD("p1") MBN_S_TWO("y0", "y1", "1", "wa", "t") MBN_S_BOTH(RIGHT, "1", "wa", "t")      \
    MBN_S_LOAD("p2") MBN_S_TWO("y0", "y1", "2", "wb", "b") MBN_S_BOTH(RIGHT, "2", "wb", "b")      \
    MBN_S_WAITED

MBN_INLINE void mbn_dsp_only_strip(const float *rows, const uint32_t w[5], const float bias,
                                   const float edge, const float edge2, const float m,
                                   const int32_t x, const float to, const int32_t width,
                                   const int32_t group_halves)
{
    int32_t y0, y1, y4, y5;
    uint32_t e, o;
    if (width == 4) {
        __asm__ volatile(MBN_S_WHOLE(MBN_S_RIGHT) MBN_S_STORE3("a0", "a1", "a2")
                             MBN_S_STORE_WAITING("y5", "a3")
                         : MBN_S_OUT, [y4] "=&r"(y4), [y5] "=&r"(y5)
                         : MBN_S_IN, [m] "t"(m), [to] "t"(to), [edge] "t"(edge), [edge2] "t"(edge2),
                           [a0] MBN_S_AT(1), [a1] MBN_S_AT(2), [a2] MBN_S_AT(0), [a3] MBN_S_AT(3)
                         : "memory");
    } else {
        __asm__ volatile(MBN_S_WHOLE(MBN_S_NARROW) MBN_S_STORE_WAITING("y4", "a2")
                             MBN_S_STORE_WAITING("y0", "a0") MBN_S_STORE_WAITING("y5", "a1")
                         : MBN_S_OUT, [y4] "=&r"(y4), [y5] "=&r"(y5)
                         : MBN_S_IN, [m] "t"(m), [to] "t"(to), [edge] "t"(edge), [edge2] "t"(edge2),
                           [a0] MBN_S_AT(1), [a1] MBN_S_AT(2), [a2] MBN_S_AT(0)
                         : "memory");
    }
}

/* Strips of two outputs until the same places of another group are reached. */
#define MBN_S_TURN (MBN_DSP_GROUP == 4 ? 2 : MBN_DSP_GROUP)

/* The first values and the multiplier of a channel's outputs, held in FPU registers. */
typedef struct mbn_dsp_channel {
    float bias;
    float left; /* at the edges: with the zero points beside the map */
    float right;
    float m;
} mbn_dsp_channel;

/* One row of one channel (two: and the next, `next` pixels further in the tile). x: of the
 * channel's plane in the rows; to: of pixel 0 in the tile. */
MBN_INLINE void mbn_dsp_strips(const float *rows, const uint32_t w[5], const mbn_dsp_channel *c,
                               const int32_t m, int32_t x, int16_t *to, const int32_t width,
                               const int32_t next, const int32_t group_halves, const int two)
{
    if (width < 5) {
        mbn_dsp_only_strip(rows, w, c->bias, c->left, c->right, c->m, x,
                           mbn_dsp_wait((uintptr_t)to), width, group_halves);
        return;
    }
    const int32_t strips = (width - 5) / 2, last = width - 3;
    const int32_t base = last / MBN_DSP_GROUP * MBN_DSP_GROUP, in = last - base;
    const float end = mbn_dsp_wait((uintptr_t)(to + mbn_dsp_place(base, group_halves)));
    mbn_dsp_edge_strip(rows, w, c->bias, c->left, c->m, x, mbn_dsp_wait((uintptr_t)to), 1, 0, next,
                       group_halves, two);
    _Pragma("GCC unroll 2") for (int32_t k = strips / MBN_S_TURN; k > 0; k--)
    {
        MBN_UNROLL
        for (int32_t i = 0; i < MBN_S_TURN; i++) {
            x += 2;
            mbn_dsp_strip(rows, w, c->bias, m, x, to, 3 + 2 * i, next, group_halves, two);
        }
        to += mbn_dsp_place(2 * MBN_S_TURN, group_halves);
    }
    MBN_UNROLL
    for (int32_t i = 0; i < strips % MBN_S_TURN; i++) {
        x += 2;
        mbn_dsp_strip(rows, w, c->bias, m, x, to, 3 + 2 * i, next, group_halves, two);
    }
    x += width - 4 - 2 * strips;
    mbn_dsp_edge_strip(rows, w, c->bias, c->right, c->m, x, end, in, in + 2, next, group_halves,
                       two);
}

/* `lines` output rows (a constant) of all channels from lines + 2 row pointers. */
MBN_INLINE void mbn_dsp_lines_s1(const float *rows, const int32_t lines, const int32_t *words,
                                 int16_t *tile, const int32_t channels, const int32_t pairs,
                                 const int32_t plane_bytes, const int32_t width, const int32_t next,
                                 const int32_t zero_point)
{
    const uint32_t zero = (uint32_t)zero_point;
    const int32_t halves = 8 * pairs, even = width >= 5 ? lines / 2 * 2 : 0;
    int16_t *to = tile;
    for (int32_t c = 0; c < channels; c++) {
        const uint32_t w[5] = {(uint32_t)words[0], (uint32_t)words[1], (uint32_t)words[2],
                               (uint32_t)words[3], (uint32_t)words[4]};
        int32_t left = words[5], right = words[5];
        MBN_UNROLL
        for (int32_t k = 0; k < 3; k++) {
            left = mbn_smlabb(zero, w[k], left);
            right = mbn_smlabt(zero, w[k], right);
        }
        const mbn_dsp_channel one = {mbn_dsp_wait((uint32_t)words[5]), mbn_dsp_wait((uint32_t)left),
                                     mbn_dsp_wait((uint32_t)right),
                                     mbn_dsp_wait((uint32_t)words[6])};
        _Pragma("GCC unroll 4") for (int32_t y = 0; y < even; y += 2)
        {
            mbn_dsp_strips(rows + y, w, &one, words[6], c * plane_bytes,
                           to + mbn_dsp_place(y * next, halves), width, next, halves, 1);
        }
        _Pragma("GCC unroll 4") for (int32_t y = even; y < lines; y++)
        {
            mbn_dsp_strips(rows + y, w, &one, words[6], c * plane_bytes,
                           to + mbn_dsp_place(y * next, halves), width, next, halves, 0);
        }
        words += 7;
        to = c + 1 == pairs ? tile + 1 : to + 8;
    }
}

#endif

/* `lines` output rows (1 to 8) of all channels from lines + 2 rows (the others are not read) into
 * the tile, in which rows begin `next` pixels apart. All but the pointers are constants. Stride 1,
 * padding 1, width 3 or more; several lines only where two of them fill whole groups. */
MBN_INLINE int32_t mbn_dsp_depthwise_s1(const int8_t *in0, const int8_t *in1, const int8_t *in2,
                                        const int8_t *in3, const int8_t *in4, const int8_t *in5,
                                        const int8_t *in6, const int8_t *in7, const int8_t *in8,
                                        const int8_t *in9, const int32_t lines,
                                        const int32_t *words, int16_t *tile, const int32_t channels,
                                        const int32_t pairs, const int32_t plane_bytes,
                                        const int32_t width, const int32_t next,
                                        const int32_t zero_point)
{
    const int8_t *const in[] = {in0, in1, in2, in3, in4, in5, in6, in7, in8, in9};
#if MBN_DSP && defined(__ARM_FP)
    float rows[10];
    _Pragma("GCC unroll 10") for (int32_t k = 0; k < lines + 2; k++)
    {
        rows[k] = mbn_dsp_wait((uintptr_t)in[k]);
    }
    mbn_dsp_lines_s1(rows, lines, words, tile, channels, pairs, plane_bytes, width, next,
                     zero_point);
#else
    for (int32_t c = 0; c < channels; c++) {
        int16_t *to = c < pairs ? tile + 8 * c : tile + 8 * (c - pairs) + 1;
        const int32_t at = c * plane_bytes;
        for (int32_t y = 0; y < lines; y++) {
            mbn_dsp_depthwise3x3(in[y] + at, in[y + 1] + at, in[y + 2] + at, words + 7 * c, to,
                                 y * next, 8 * pairs, width, width, 1, 1, zero_point, 0, -128, 127);
        }
    }
#endif
    return 0;
}

#endif
