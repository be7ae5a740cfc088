/* The fast path for any shape, as functions: one body in an image instead of one for each shape, to
 * save flash.
 *
 * Inputs and outputs are those of couples.h, strips.h and strips2.h, with one output row of the
 * depthwise a call. The inner loops have the same instructions. Sums run in turns of 16 pairs, of
 * which the first is entered in its middle; rows run by two outputs a turn.
 */
#ifndef MBN_DSP_SHARED_H
#define MBN_DSP_SHARED_H

#include "dsp/fill.h"
#include "dsp/strips2.h"

/* noipa: a constant that gcc found in all calls would cost registers that the asm needs */
#if defined(__clang__)
#define MBN_SHARED static __attribute__((noinline, unused)) int32_t
#else
#define MBN_SHARED static __attribute__((noipa, unused)) int32_t
#endif

#if MBN_DSP && defined(__ARM_FP)

/* One more row of strips.h, stored wherever a and b say. */
MBN_INLINE void mbn_dsp_any_strip(const float *rows, const uint32_t w[5], const float bias,
                                  const int32_t m, const int32_t x, int16_t *a, int16_t *b)
{
    int32_t y0, y1;
    uint32_t e, o;
    /* clang-format off: an instruction a line */
    __asm__ volatile(MBN_S_ROWS1(MBN_S_NO_BEGIN, MBN_S_NO_EDGE) "smmulr %[y0], %[y0], %[m]\n\t"
                                                                "ssat %[y0], #8, %[y0]\n\t"
                                                                "strh.w %[y0], [%[a]]\n\t"
                                                                "smmulr %[y1], %[y1], %[m]\n\t"
                                                                "ssat %[y1], #8, %[y1]\n\t"
                                                                "strh.w %[y1], [%[b]]\n\t"
                     : MBN_S_OUT
                     : MBN_S_IN, [m] "r"(m), [a] "r"(a), [b] "r"(b)
                     : "memory");
    /* clang-format on */
}

#define MBN_H_EDGE(EDGE)                                                                          \
    __asm__ volatile(MBN_S_ROWS1(MBN_S_BEGIN, EDGE) "vmov %[e], %[m]\n\t"                         \
                     "vmov %[o], %[a]\n\t" MBN_S_STORE_WAITING("y0", "zero")                      \
                     "vmov %[o], %[b]\n\t" MBN_S_STORE_WAITING("y1", "zero")                      \
                     "vmov %[o], %[c]\n\t" MBN_S_STORE_WAITING("y4", "zero")                      \
                     : MBN_S_OUT, [y4] "=&r"(y4)                                                  \
                     : MBN_S_IN, [m] "t"(m), [edge] "t"(edge), [a] "t"(a), [b] "t"(b),            \
                       [c] "t"(c), [zero] "i"(0)                                                  \
                     : "memory")

/* A strip at the left or right edge: outputs to a, b, and at the edge itself to c. */
MBN_INLINE void mbn_dsp_any_edge(const float *rows, const uint32_t w[5], const float bias,
                                 const float edge, const float m, const int32_t x, const float a,
                                 const float b, const float c, const int left)
{
    int32_t y0, y1, y4;
    uint32_t e, o;
    if (left) {
        MBN_H_EDGE(MBN_S_LEFT);
    } else {
        MBN_H_EDGE(MBN_S_RIGHT);
    }
}

MBN_INLINE float mbn_dsp_any_place(int16_t *tile, int32_t pixel, int32_t halves)
{
    return mbn_dsp_wait((uintptr_t)(tile + mbn_dsp_place(pixel, halves)));
}

/* A row of one channel, stride 1: see mbn_dsp_strips. */
MBN_INLINE void mbn_dsp_any_row1(const float *rows, const int32_t *words, int32_t x, int16_t *tile,
                                 int32_t phase, int32_t width, int32_t halves, int32_t zero_point)
{
    const uint32_t w[5] = {(uint32_t)words[0], (uint32_t)words[1], (uint32_t)words[2],
                           (uint32_t)words[3], (uint32_t)words[4]};
    int32_t left = words[5], right = words[5];
    MBN_UNROLL
    for (int32_t k = 0; k < 3; k++) {
        left = mbn_smlabb((uint32_t)zero_point, w[k], left);
        right = mbn_smlabt((uint32_t)zero_point, w[k], right);
    }
    const float bias = mbn_dsp_wait((uint32_t)words[5]), m = mbn_dsp_wait((uint32_t)words[6]);
    const float first = mbn_dsp_wait((uint32_t)left), last = mbn_dsp_wait((uint32_t)right);
    mbn_dsp_any_edge(rows, w, bias, first, m, x, mbn_dsp_any_place(tile, phase + 1, halves),
                     mbn_dsp_any_place(tile, phase + 2, halves),
                     mbn_dsp_any_place(tile, phase, halves), 1);
    /* pixels a and b beside each other: 2 halfwords apart in a group, or in two groups */
    int16_t *a = tile + mbn_dsp_place(phase + 3, halves);
    int32_t apart = (phase + 3) % 4 == 1 ? 2 : halves - 6;
    const int32_t end = x + width - 4;
    for (x += 2; x < end; x += 2) {
        int16_t *b = a + apart;
        mbn_dsp_any_strip(rows, w, bias, words[6], x, a, b);
        a = b + 2;
        apart = halves - 4 - apart;
    }
    const int32_t p = phase + width;
    mbn_dsp_any_edge(rows, w, bias, last, m, end, mbn_dsp_any_place(tile, p - 3, halves),
                     mbn_dsp_any_place(tile, p - 2, halves), mbn_dsp_any_place(tile, p - 1, halves),
                     0);
}

/* A row of one channel, stride 2: see mbn_dsp_strips2. */
MBN_INLINE void mbn_dsp_any_row2(const int8_t *rows[3], const int32_t *words, int16_t *tile,
                                 int32_t phase, int32_t width, int32_t halves, const int left,
                                 int32_t zero_point)
{
    const uint32_t w[5] = {(uint32_t)words[0], (uint32_t)words[1], (uint32_t)words[2],
                           (uint32_t)words[3], (uint32_t)words[4]};
    int32_t outside = words[5];
    MBN_UNROLL
    for (int32_t k = 0; k < 3; k++) {
        const uint32_t zero = (uint32_t)zero_point;
        outside = left ? mbn_smlabb(zero, w[k], outside) : mbn_smlabt(zero, w[k], outside);
    }
    const float bias = mbn_dsp_wait((uint32_t)words[5]), m = mbn_dsp_wait((uint32_t)words[6]);
    const float edge = mbn_dsp_wait((uint32_t)outside);
    int16_t *to = tile + mbn_dsp_place(phase, halves);
    int32_t step = phase % 4 == 0 ? 4 : halves - 4; /* halfwords: two pixels of a group, or over */
    int32_t left_over = (width + 3) / 4 - 2;
    mbn_dsp_strip2(rows, w, bias, edge, m, to, 0, 4, 0, left, MBN_DSP_FIRST);
    for (; left_over > 0; left_over--) {
        to += step;
        step = halves - step;
        mbn_dsp_strip2(rows, w, bias, edge, m, to, 0, 4, 0, left, MBN_DSP_INSIDE);
    }
    to += step;
    if (width % 4 == 0) {
        mbn_dsp_strip2(rows, w, bias, edge, m, to, 0, 4, 0, left, MBN_DSP_LAST);
    } else {
        mbn_dsp_strip2(rows, w, bias, edge, m, to, 0, 2, 0, left, MBN_DSP_LAST);
    }
}

#endif

/* A row of outputs of strips.h, width 5 or more. */
MBN_SHARED mbn_dsp_any_s1(const int8_t *row0, const int8_t *row1, const int8_t *row2,
                          const int32_t *words, int16_t *tile, int32_t phase, int32_t channels,
                          int32_t pairs, int32_t plane_bytes, int32_t width, int32_t zero_point)
{
#if MBN_DSP && defined(__ARM_FP)
    const float rows[3] = {mbn_dsp_wait((uintptr_t)row0), mbn_dsp_wait((uintptr_t)row1),
                           mbn_dsp_wait((uintptr_t)row2)};
#endif
    for (int32_t c = 0; c < channels; c++) {
        int16_t *to = tile + (c < pairs ? 8 * c : 8 * (c - pairs) + 1);
        const int32_t at = c * plane_bytes;
#if MBN_DSP && defined(__ARM_FP)
        mbn_dsp_any_row1(rows, words + 7 * c, at, to, phase, width, 8 * pairs, zero_point);
#else
        mbn_dsp_depthwise3x3(row0 + at, row1 + at, row2 + at, words + 7 * c, to, phase, 8 * pairs,
                             width, width, 1, 1, zero_point, 0, -128, 127);
#endif
    }
    return 0;
}

/* A row of outputs of strips2.h; left: a constant. */
MBN_INLINE int32_t mbn_dsp_any_s2(const int8_t *row0, const int8_t *row1, const int8_t *row2,
                                  const int32_t *words, int16_t *tile, int32_t phase,
                                  int32_t channels, int32_t pairs, int32_t plane_bytes,
                                  int32_t width, int32_t zero_point, const int left)
{
    for (int32_t c = 0; c < channels; c++) {
        int16_t *to = tile + (c < pairs ? 8 * c : 8 * (c - pairs) + 1);
        const int32_t at = c * plane_bytes;
#if MBN_DSP && defined(__ARM_FP)
        const int8_t *rows[3] = {row0 + at, row1 + at, row2 + at};
        mbn_dsp_any_row2(rows, words + 7 * c, to, phase, width, 8 * pairs, left, zero_point);
#else
        mbn_dsp_depthwise3x3(row0 + at, row1 + at, row2 + at, words + 7 * c, to, phase, 8 * pairs,
                             width, width / 2, 2, left, zero_point, 0, -128, 127);
#endif
    }
    return 0;
}

/* The map is padded on its left, and where it is not. */
MBN_SHARED mbn_dsp_any_s2_left1(const int8_t *row0, const int8_t *row1, const int8_t *row2,
                                const int32_t *words, int16_t *tile, int32_t phase,
                                int32_t channels, int32_t pairs, int32_t plane_bytes, int32_t width,
                                int32_t zero_point)
{
    return mbn_dsp_any_s2(row0, row1, row2, words, tile, phase, channels, pairs, plane_bytes, width,
                          zero_point, 1);
}

MBN_SHARED mbn_dsp_any_s2_left0(const int8_t *row0, const int8_t *row1, const int8_t *row2,
                                const int32_t *words, int16_t *tile, int32_t phase,
                                int32_t channels, int32_t pairs, int32_t plane_bytes, int32_t width,
                                int32_t zero_point)
{
    return mbn_dsp_any_s2(row0, row1, row2, words, tile, phase, channels, pairs, plane_bytes, width,
                          zero_point, 0);
}

/* A 3x3 window of three channels inside the map, as mbn_dsp_patch fills it: most first layers'. */
MBN_SHARED mbn_dsp_any_patch(const int8_t *row0, const int8_t *row1, const int8_t *row2,
                             int16_t *tile)
{
    mbn_dsp_patch(row0, tile, tile + 96, 9, 0, 0, 0, 0);
    mbn_dsp_patch(row1, tile + 32, tile + 96, 9, 1, 0, 0, 0);
    mbn_dsp_patch(row2, tile + 64, tile + 96, 9, 2, 0, 0, 0);
    return 0;
}

#endif
