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

/* Jumps over the steps before the entry (each is `bytes` of 32-bit instructions), with the
 * pointers moved back accordingly. %[t0] and %[w1] are free here. */
#define MBN_H_CHAIN(STEP)                                                                         \
    "vmov %[t0], %[skip]\n\t"                                                                     \
    "sub.w %[t], %[t], %[t0], lsl #4\n\t"                                                         \
    "sub.w %[w], %[w], %[t0], lsl #2\n\t"                                                         \
    "adr.w %[w0], 2f\n\t"                                                                         \
    "vmov %[w1], %[entry]\n\t"                                                                    \
    "add.w %[w0], %[w0], %[w1]\n\t"                                                               \
    "bx %[w0]\n\t"                                                                                \
    ".balign 4\n"                                                                                 \
    "2:\n\t"                                                                                      \
    ".set mbn_k, 0\n\t"                                                                           \
    ".rept 16\n\t" STEP MBN_PW_NEXT ".endr\n\t"                                                   \
    "add.w %[t], %[t], #16*16\n\t"                                                                \
    "add.w %[w], %[w], #4*16\n\t"                                                                 \
    "vmov %[w0], %[stop]\n\t"                                                                     \
    "cmp.w %[t], %[w0]\n\t"                                                                       \
    "bne.w 2b\n\t"                                                                                \
    "vmov %[t], %[tile]\n\t"                                                                      \
    ".set mbn_k, 0\n\t"                                                                           \
    "ldr.w %[w0], " MBN_CW "ldr.w %[w1], [%[w], #mbn_w+12+4*mbn_k]\n\t"

#define MBN_H_BIAS                                                                                \
    ".set mbn_w, 0\n\t.set mbn_o, 0\n"                                                            \
    "1:\n\t"                                                                                      \
    "ldr.w %[a00], [%[w]]\n\t"                                                                    \
    "ldr.w %[a01], [%[w], #4]\n\t"                                                                \
    "mov %[a10], %[a00]\n\t"                                                                      \
    "mov %[a11], %[a01]\n\t"                                                                      \
    "mov %[a20], %[a00]\n\t"                                                                      \
    "mov %[a21], %[a01]\n\t"

/* Goes on to the next pair of output channels. %[t0] holds where the pixels of its first plane
 * go. */
#define MBN_H_NEXT                                                                                \
    "add.w %[w], %[w], #16\n\t"                                                                   \
    "vmov %[t1], %[end]\n\t"                                                                      \
    "cmp.w %[w], %[t1]\n\t"                                                                       \
    "bne.w 1b\n\t" MBN_LINES_256 MBN_LINES_64

#define MBN_H_TEXT4                                                                               \
    MBN_H_BIAS                                                                                    \
    "mov %[a30], %[a00]\n\t"                                                                      \
    "mov %[a31], %[a01]\n\t" MBN_H_CHAIN(MBN_C_STEP4(0, 1, 2, 3))                                 \
    "vmov %[t0], %[out]\n\t"                                                                      \
    "vmov %[t1], %[jump]\n\t"                                                                     \
    "add.w %[t1], %[t1], %[t0]\n\t"                                                               \
    MBN_C_STORE("a00", "w0", "t0", "0") MBN_C_STORE("a10", "w0", "t0", "1")                       \
    MBN_C_STORE("a20", "w0", "t1", "2") MBN_C_STORE("a30", "w0", "t1", "3")                       \
    "vmov %[w0], %[plane]\n\t"                                                                    \
    "add.w %[t0], %[t0], %[w0]\n\t"                                                               \
    "add.w %[t1], %[t1], %[w0]\n\t"                                                               \
    MBN_C_STORE("a01", "w1", "t0", "0") MBN_C_STORE("a11", "w1", "t0", "1")                       \
    MBN_C_STORE("a21", "w1", "t1", "2") MBN_C_STORE("a31", "w1", "t1", "3")                       \
    "add.w %[t0], %[t0], %[w0]\n\t"                                                               \
    "vmov %[out], %[t0]\n\t" MBN_H_NEXT

#define MBN_H_TEXT3                                                                               \
    MBN_H_BIAS MBN_H_CHAIN(MBN_C_STEP3(0, 1, 2))                                                  \
    "vmov %[t0], %[out]\n\t"                                                                      \
    MBN_C_STORE("a00", "w0", "t0", "0") MBN_C_STORE("a10", "w0", "t0", "1")                       \
    MBN_C_STORE("a20", "w0", "t0", "2")                                                           \
    "vmov %[w0], %[plane]\n\t"                                                                    \
    "add.w %[t0], %[t0], %[w0]\n\t"                                                               \
    MBN_C_STORE("a01", "w1", "t0", "0") MBN_C_STORE("a11", "w1", "t0", "1")                       \
    MBN_C_STORE("a21", "w1", "t0", "2")                                                           \
    "add.w %[t0], %[t0], %[w0]\n\t"                                                               \
    "vmov %[out], %[t0]\n\t" MBN_H_NEXT

/* All pairs of output channels for a group of `pixels` (4 or 3, a constant) pixels. */
MBN_INLINE int32_t mbn_dsp_any(const int16_t *tile, const int32_t *stream, int8_t *out,
                               int32_t pairs, int32_t couples, int32_t plane_bytes, int32_t jump,
                               const int32_t pixels)
{
    const uint32_t before = (uint32_t)-pairs & 15u;
    const float skip = mbn_dsp_wait(before);
    const float entry = mbn_dsp_wait(before * (pixels == 4 ? 60u : 48u) + 1u); /* 1: Thumb */
    const float stop = mbn_dsp_wait((uintptr_t)(tile + 8 * pairs));
    const float start = mbn_dsp_wait((uintptr_t)tile), plane = mbn_dsp_wait((uint32_t)plane_bytes);
    const float end = mbn_dsp_wait((uintptr_t)(stream + couples * (pairs + 4)));
    const float far = mbn_dsp_wait((uint32_t)jump);
    float at = mbn_dsp_wait((uintptr_t)out);
    int32_t a00, a01, a10, a11, a20, a21, a30, a31;
    uint32_t w0, w1, t0, t1, t2;
    if (pixels == 4) {
        __asm__ volatile(
            MBN_H_TEXT4
            : [a00] "=&r"(a00), [a01] "=&r"(a01), [a10] "=&r"(a10), [a11] "=&r"(a11),
              [a20] "=&r"(a20), [a21] "=&r"(a21), [a30] "=&r"(a30), [a31] "=&r"(a31),
              [w0] "=&r"(w0), [w1] "=&r"(w1), [t0] "=&r"(t0), [t1] "=&r"(t1), [t] "+r"(tile),
              [w] "+r"(stream), [out] "+t"(at)
            : [skip] "t"(skip), [entry] "t"(entry), [stop] "t"(stop), [tile] "t"(start),
              [plane] "t"(plane), [end] "t"(end), [jump] "t"(far), [wide] "i"(0)
            : "memory", "cc");
    } else {
        __asm__ volatile(
            MBN_H_TEXT3
            : [a00] "=&r"(a00), [a01] "=&r"(a01), [a10] "=&r"(a10), [a11] "=&r"(a11),
              [a20] "=&r"(a20), [a21] "=&r"(a21), [w0] "=&r"(w0), [w1] "=&r"(w1), [t0] "=&r"(t0),
              [t1] "=&r"(t1), [t2] "=&r"(t2), [t] "+r"(tile), [w] "+r"(stream), [out] "+t"(at)
            : [skip] "t"(skip), [entry] "t"(entry), [stop] "t"(stop), [tile] "t"(start),
              [plane] "t"(plane), [end] "t"(end), [wide] "i"(0)
            : "memory", "cc");
    }
    return 0;
}

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

#else

MBN_INLINE int32_t mbn_dsp_any(const int16_t *tile, const int32_t *stream, int8_t *out,
                               int32_t pairs, int32_t couples, int32_t plane_bytes, int32_t jump,
                               const int32_t pixels)
{
    return mbn_dsp_couples_c(tile, stream, out, pairs, 0, couples, plane_bytes, pixels,
                             pixels == 4 ? 2 : 3, jump);
}

#endif

MBN_SHARED mbn_dsp_any4(const int16_t *tile, const int32_t *stream, int8_t *out, int32_t pairs,
                        int32_t couples, int32_t plane_bytes, int32_t jump)
{
    return mbn_dsp_any(tile, stream, out, pairs, couples, plane_bytes, jump, 4);
}

MBN_SHARED mbn_dsp_any3(const int16_t *tile, const int32_t *stream, int8_t *out, int32_t pairs,
                        int32_t couples, int32_t plane_bytes)
{
    return mbn_dsp_any(tile, stream, out, pairs, couples, plane_bytes, 0, 3);
}

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
