/* The fast path for any shape, out of line: one body an image instead of one a shape, where flash is
 * short.
 *
 * What enters and leaves: as couples.h, strips.h and strips2.h, one output row of the depthwise a
 * call. Always holds: the same instructions as there in the inner loops, but sums run in turns of
 * 16 pairs, the first entered in its middle, and rows by two outputs a turn.
 */
#ifndef MBN_DSP_SHARED_H
#define MBN_DSP_SHARED_H

#include "dsp/strips2.h"

#define MBN_SHARED static __attribute__((noinline, unused)) int32_t

#if MBN_DSP && defined(__ARM_FP)

/* Steps before the entry are skipped by address (each is `bytes` of 32-bit instructions), with the
 * pointers moved back by as much. %[t0] and %[w1] are free here. */
#define MBN_H_CHAIN(STEP)                                                                         \
    "vmov %[w0], %[turns]\n\t"                                                                    \
    "vmov %[turn], %[w0]\n\t"                                                                     \
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
    "vmov %[w0], %[turn]\n\t"                                                                     \
    "subs.w %[w0], %[w0], #1\n\t"                                                                 \
    "vmov %[turn], %[w0]\n\t"                                                                     \
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

/* On to the next couple. %[t0] holds where its first plane's pixels go. */
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

/* All couples of a group of `pixels` (4 or 3, a constant) pixels. */
MBN_INLINE int32_t mbn_dsp_any(const int16_t *tile, const int32_t *stream, int8_t *out,
                               int32_t pairs, int32_t couples, int32_t plane_bytes, int32_t jump,
                               const int32_t pixels)
{
    const uint32_t before = (uint32_t)-pairs & 15u;
    const float skip = mbn_dsp_wait(before);
    const float entry = mbn_dsp_wait(before * (pixels == 4 ? 60u : 48u) + 1u); /* 1: Thumb */
    const float turns = mbn_dsp_wait((uint32_t)(pairs + 15) / 16u);
    const float start = mbn_dsp_wait((uintptr_t)tile), plane = mbn_dsp_wait((uint32_t)plane_bytes);
    const float end = mbn_dsp_wait((uintptr_t)(stream + couples * (pairs + 4)));
    const float far = mbn_dsp_wait((uint32_t)jump);
    float at = mbn_dsp_wait((uintptr_t)out), turn;
    int32_t a00, a01, a10, a11, a20, a21, a30, a31;
    uint32_t w0, w1, t0, t1, t2;
    if (pixels == 4) {
        __asm__ volatile(MBN_H_TEXT4
                         : [a00] "=&r"(a00), [a01] "=&r"(a01), [a10] "=&r"(a10), [a11] "=&r"(a11),
                           [a20] "=&r"(a20), [a21] "=&r"(a21), [a30] "=&r"(a30), [a31] "=&r"(a31),
                           [w0] "=&r"(w0), [w1] "=&r"(w1), [t0] "=&r"(t0), [t1] "=&r"(t1),
                           [t] "+r"(tile), [w] "+r"(stream), [turn] "=&t"(turn), [out] "+t"(at)
                         : [skip] "t"(skip), [entry] "t"(entry), [turns] "t"(turns),
                           [tile] "t"(start), [plane] "t"(plane), [end] "t"(end),
                           [jump] "t"(far), [wide] "i"(0)
                         : "memory", "cc");
    } else {
        __asm__ volatile(MBN_H_TEXT3
                         : [a00] "=&r"(a00), [a01] "=&r"(a01), [a10] "=&r"(a10), [a11] "=&r"(a11),
                           [a20] "=&r"(a20), [a21] "=&r"(a21), [w0] "=&r"(w0), [w1] "=&r"(w1),
                           [t0] "=&r"(t0), [t1] "=&r"(t1), [t2] "=&r"(t2), [t] "+r"(tile),
                           [w] "+r"(stream), [turn] "=&t"(turn), [out] "+t"(at)
                         : [skip] "t"(skip), [entry] "t"(entry), [turns] "t"(turns),
                           [tile] "t"(start), [plane] "t"(plane), [end] "t"(end), [wide] "i"(0)
                         : "memory", "cc");
    }
    return 0;
}

/* Output pixels of the tile two by two: `a` and `b` are two apart in a group, or in two groups. */
MBN_INLINE void mbn_dsp_any_strip(const float *rows, const uint32_t w[5], const float bias,
                                  const int32_t m, const int32_t x, int16_t *a, int16_t *b)
{
    int32_t y0, y1;
    uint32_t e, o;
    __asm__ volatile(MBN_S_ROWS1(MBN_S_NO_BEGIN, MBN_S_NO_EDGE)
                     "smmulr %[y0], %[y0], %[m]\n\t"
                     "ssat %[y0], #8, %[y0]\n\t"
                     "strh.w %[y0], [%[a]]\n\t"
                     "smmulr %[y1], %[y1], %[m]\n\t"
                     "ssat %[y1], #8, %[y1]\n\t"
                     "strh.w %[y1], [%[b]]\n\t"
                     : MBN_S_OUT
                     : MBN_S_IN, [m] "r"(m), [a] "r"(a), [b] "r"(b)
                     : "memory");
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

#endif
