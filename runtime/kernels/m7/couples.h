/* Pointwise convolution on the Cortex-M7, all pairs of output channels for one group of pixels.
 *
 * The input is one to three pixels of the tile and the weight streams of dsp/pointwise.h, with
 * weights as bytes. The output is as many pixels in every plane. There must be two pairs of input
 * channels or more. All else is as in dsp/couples.h.
 *
 * The core issues two instructions a cycle, one of them a multiply. For three pixels and two
 * channels a pair of input channels takes six SMLADs. Six other instructions are issued beside
 * them: four loads and two SXTB16. Each stands before the SMLAD that it is issued with, and its
 * result is used three to five cycles later, so there is no stall: 0.5 cycles a multiply-accumulate
 * by LLVM's model of the core. There are six accumulators, because eight would leave too few
 * registers to load ahead. Two pixels are computed as three, of which one is not stored. A single
 * pixel has a body of its own, with 0.75 cycles a multiply-accumulate.
 */
#ifndef MBN_M7_COUPLES_H
#define MBN_M7_COUPLES_H

#include "dsp/pointwise.h"

#if MBN_DSP && defined(__ARM_FP)

/* What one pair does; O: the addends' pixel (2 for the first pair, whose biases come in pixel 2).
 * THIRD to FIFTH: what goes with the third to the last but one multiply. */
#define MBN_M_PAIR(O0, O1, THIRD, FOURTH, FIFTH, SIXTH)                                           \
    "sxtb16 %[w1], %[r], ror #8\n\t"                                                              \
    "smlad %[a00], %[t0], %[w0], %[a" #O0 "0]\n\t"                                                \
    "ldr.w %[t2], [%[t], #16*mbn_k+8]\n\t"                                                        \
    "smlad %[a10], %[t1], %[w0], %[a" #O1 "0]\n\t" THIRD                                          \
    "smlad %[a01], %[t0], %[w1], %[a" #O0 "1]\n\t" FOURTH                                         \
    "smlad %[a11], %[t1], %[w1], %[a" #O1 "1]\n\t" FIFTH                                          \
    "smlad %[a20], %[t2], %[w0], %[a20]\n\t" SIXTH                                                \
    "smlad %[a21], %[t2], %[w1], %[a21]\n\t"

/* A pair with another behind it, whose words are loaded. */
#define MBN_M_STEP(O0, O1)                                                                        \
    MBN_M_PAIR(O0, O1, "ldr.w %[r], [%[w], #12+4*mbn_k]\n\t",                                     \
               "ldr.w %[t0], [%[t], #16*mbn_k+16]\n\t",                                           \
               "ldr.w %[t1], [%[t], #16*mbn_k+20]\n\t", "sxtb16 %[w0], %[r]\n\t")

/* The last pair of input channels. Then multipliers go into r and t0, the output's address into
 * t1. The sums are requantised and stored while the first words of the next pair of output
 * channels are loaded. After the last one 12 bytes are read and not used; sections.ld keeps a
 * stream from ending a memory. The order is the best one found by LLVM's model for sums of four
 * pairs: 39 cycles, of which 30 are multiplies. */
#define MBN_M_TAIL                                                                                \
    "sxtb16 %[w1], %[r], ror #8\n\t"                                                              \
    "smlad %[a00], %[t0], %[w0], %[a00]\n\t"                                                      \
    "ldr.w %[t2], [%[t], #16*mbn_k+8]\n\t"                                                        \
    ".if %c[turns]\n\tldr.w %[t], %[start]\n\t.endif\n\t"                                         \
    "smlad %[a10], %[t1], %[w0], %[a10]\n\t"                                                      \
    "ldr.w %[r], [%[w], #12+4*mbn_k]\n\t"                                                         \
    "smlad %[a01], %[t0], %[w1], %[a01]\n\t"                                                      \
    "ldr.w %[t0], [%[w], #16+4*mbn_k]\n\t"                                                        \
    "smlad %[a20], %[t2], %[w0], %[a20]\n\t"                                                      \
    "smlad %[a21], %[t2], %[w1], %[a21]\n\t"                                                      \
    "ldr.w %[t2], %[end]\n\t"                                                                     \
    "smmulr %[a20], %[a20], %[r]\n\t"                                                             \
    "smmulr %[a21], %[a21], %[t0]\n\t"                                                            \
    "ssat %[a20], #8, %[a20]\n\t"                                                                 \
    "smlad %[a11], %[t1], %[w1], %[a11]\n\t"                                                      \
    "ldr.w %[t1], %[out]\n\t"                                                                     \
    "smmulr %[a00], %[a00], %[r]\n\t"                                                             \
    "ssat %[a21], #8, %[a21]\n\t"                                                                 \
    "smmulr %[a01], %[a01], %[t0]\n\t"                                                            \
    "ssat %[a00], #8, %[a00]\n\t"                                                                 \
    "smmulr %[a10], %[a10], %[r]\n\t"                                                             \
    ".if %c[pixels] > 2\n\tstrb.w %[a20], [%[t1], #2]\n\t.endif\n\t"                              \
    "smmulr %[a11], %[a11], %[t0]\n\t"                                                            \
    "ssat %[a10], #8, %[a10]\n\t"                                                                 \
    ".if %c[pixels] > 2\n\tstrb.w %[a21], [%[t1], #%c[plane]+2]\n\t.endif\n\t"                    \
    "ldr.w %[a21], [%[w], #24+4*mbn_k]\n\t"                                                       \
    "ldr.w %[r], [%[w], #28+4*mbn_k]\n\t"                                                         \
    "ldr.w %[t0], [%[t]]\n\t"                                                                     \
    "ldr.w %[a20], [%[w], #20+4*mbn_k]\n\t"                                                       \
    "ssat %[a01], #8, %[a01]\n\t"                                                                 \
    "strb.w %[a00], [%[t1]]\n\t"                                                                  \
    "ssat %[a11], #8, %[a11]\n\t"                                                                 \
    "strb.w %[a01], [%[t1], #%c[plane]]\n\t"                                                      \
    "sxtb16 %[w0], %[r]\n\t"                                                                      \
    "strb.w %[a10], [%[t1], #1]\n\t"                                                              \
    "addw %[w1], %[t1], #2*%c[plane]\n\t"                                                         \
    "str.w %[w1], %[out]\n\t"                                                                     \
    "addw %[w], %[w], #20+4*mbn_k\n\t"                                                            \
    "strb.w %[a11], [%[t1], #%c[plane]+1]\n\t"                                                    \
    "cmp.w %[w], %[t2]\n\t"                                                                       \
    "ldr.w %[t1], [%[t], #4]\n\t"                                                                 \
    "bne.w 1b\n\t"

#define MBN_M_TEXT                                                                                \
    "ldr.w %[r], [%[w], #8]\n\t"                                                                  \
    "ldr.w %[a20], [%[w]]\n\t"                                                                    \
    "ldr.w %[t0], [%[t]]\n\t"                                                                     \
    "ldr.w %[a21], [%[w], #4]\n\t"                                                                \
    "ldr.w %[t1], [%[t], #4]\n\t"                                                                 \
    "sxtb16 %[w0], %[r]\n"                                                                        \
    "1:\n\t"                                                                                      \
    ".set mbn_k, 0\n\t" MBN_M_STEP(2, 2) MBN_PW_NEXT                                              \
    ".rept %c[run]\n\t" MBN_M_STEP(0, 1) MBN_PW_NEXT ".endr\n\t"                                  \
    ".if %c[turns]\n\t"                                                                           \
    "add.w %[t], %[t], #16*mbn_k\n\t"                                                             \
    "add.w %[w], %[w], #4*mbn_k\n\t"                                                              \
    "mov.w %[t2], #%c[turns]\n"                                                                   \
    "2:\n\t"                                                                                      \
    "str.w %[t2], %[turn]\n\t"                                                                    \
    ".set mbn_k, 0\n\t"                                                                           \
    ".rept 32\n\t" MBN_M_STEP(0, 1) MBN_PW_NEXT ".endr\n\t"                                       \
    "ldr.w %[t2], %[turn]\n\t"                                                                    \
    "add.w %[t], %[t], #16*32\n\t"                                                                \
    "add.w %[w], %[w], #4*32\n\t"                                                                 \
    "subs.w %[t2], %[t2], #1\n\t"                                                                 \
    "bne.w 2b\n\t"                                                                                \
    ".set mbn_k, 0\n\t"                                                                           \
    ".endif\n\t" MBN_M_TAIL MBN_LINES_1024 MBN_LINES_256

/* Two or three pixels. */
MBN_INLINE void mbn_m7_couples3(const int16_t *tile, const int32_t *stream, int8_t *out,
                                const int32_t pixels, const int32_t pairs, const int32_t couples,
                                const int32_t plane_bytes)
{
    const int32_t run = (pairs - 2) % 32, turns = (pairs - 2) / 32;
    const int32_t *const end = stream + couples * (pairs + 4);
    const int16_t *const start = tile;
    int32_t turn;
    int32_t a00, a01, a10, a11, a20, a21;
    uint32_t w0, w1, t0, t1, t2, r;
    __asm__ volatile(MBN_M_TEXT
                     : [a00] "=&r"(a00), [a01] "=&r"(a01), [a10] "=&r"(a10), [a11] "=&r"(a11),
                       [a20] "=&r"(a20), [a21] "=&r"(a21), [w0] "=&r"(w0), [w1] "=&r"(w1),
                       [t0] "=&r"(t0), [t1] "=&r"(t1), [t2] "=&r"(t2), [r] "=&r"(r), [t] "+r"(tile),
                       [w] "+r"(stream), [out] "+m"(out), [turn] "=m"(turn)
                     : [end] "m"(end), [start] "m"(start), [run] "i"(run), [turns] "i"(turns),
                       [plane] "i"(plane_bytes), [pixels] "i"(pixels)
                     : "memory", "cc");
}

/* Two pairs of one pixel, both loaded before. NEXT: two loads for the pairs after them. */
#define MBN_M_ONE(ODD, NEXT, NEXT_ODD)                                                            \
    "sxtb16 %[w1], %[r0], ror #8\n\t"                                                            \
    "smlad %[a0], %[t0], %[w0], %[a0]\n\t"                                                       \
    "sxtb16 %[w0], %[r1]\n\t"                                                                    \
    "smlad %[a1], %[t0], %[w1], %[a1]\n\t" NEXT                                                  \
    "sxtb16 %[w1], %[r1], ror #8\n\t"                                                            \
    "smlad %[a0], %[t1], %[w0], %[a0]\n\t" ODD                                                   \
    "smlad %[a1], %[t1], %[w1], %[a1]\n\t" NEXT_ODD

#define MBN_M_ONE_STEP                                                                            \
    MBN_M_ONE("sxtb16 %[w0], %[r0]\n\t",                                                         \
              "ldr.w %[r0], [%[w], #16+4*mbn_k]\n\tldr.w %[t0], [%[t], #32+16*mbn_k]\n\t",       \
              "ldr.w %[r1], [%[w], #20+4*mbn_k]\n\tldr.w %[t1], [%[t], #48+16*mbn_k]\n\t")       \
    ".set mbn_k, mbn_k+2\n\t"

/* mbn_k: pairs done since w and t moved. An odd pair goes first, by itself. */
#define MBN_M_ONE_TEXT                                                                            \
    "1:\n\t"                                                                                     \
    "ldr.w %[r0], [%[w], #8]\n\t"                                                                \
    "ldr.w %[t0], [%[t]]\n\t"                                                                    \
    "ldr.w %[r1], [%[w], #12]\n\t"                                                               \
    "ldr.w %[t1], [%[t], #16]\n\t"                                                               \
    "ldr.w %[a0], [%[w]]\n\t"                                                                    \
    "ldr.w %[a1], [%[w], #4]\n\t"                                                                \
    "sxtb16 %[w0], %[r0]\n\t"                                                                    \
    ".set mbn_k, 0\n\t"                                                                          \
    ".if %c[odd]\n\t"                                                                            \
    "sxtb16 %[w1], %[r0], ror #8\n\t"                                                            \
    "smlad %[a0], %[t0], %[w0], %[a0]\n\t"                                                       \
    "sxtb16 %[w0], %[r1]\n\t"                                                                    \
    "smlad %[a1], %[t0], %[w1], %[a1]\n\t"                                                       \
    "mov.w %[r0], %[r1]\n\t"                                                                     \
    "mov.w %[t0], %[t1]\n\t"                                                                     \
    "ldr.w %[r1], [%[w], #16]\n\t"                                                               \
    "ldr.w %[t1], [%[t], #32]\n\t"                                                               \
    ".set mbn_k, 1\n\t"                                                                          \
    ".endif\n\t"                                                                                 \
    ".rept %c[run]\n\t" MBN_M_ONE_STEP ".endr\n\t"                                              \
    "add.w %[w], %[w], #4*mbn_k\n\t"                                                             \
    ".if %c[turns]\n\t"                                                                          \
    "add.w %[t], %[t], #16*mbn_k\n\t"                                                            \
    "mov.w %[turn], #%c[turns]\n"                                                                \
    "2:\n\t"                                                                                     \
    ".set mbn_k, 0\n\t"                                                                          \
    ".rept 16\n\t" MBN_M_ONE_STEP ".endr\n\t"                                                   \
    "add.w %[t], %[t], #16*32\n\t"                                                               \
    "add.w %[w], %[w], #4*32\n\t"                                                                \
    "subs.w %[turn], %[turn], #1\n\t"                                                            \
    "bne.w 2b\n\t"                                                                               \
    "ldr.w %[t], %[start]\n\t"                                                                   \
    ".endif\n\t" MBN_M_ONE("ldr.w %[w0], [%[w], #20]\n\t", "ldr.w %[r0], [%[w], #16]\n\t", "")  \
    "smmulr %[a0], %[a0], %[r0]\n\t"                                                             \
    "smmulr %[a1], %[a1], %[w0]\n\t"                                                             \
    "ssat %[a0], #8, %[a0]\n\t"                                                                  \
    "ssat %[a1], #8, %[a1]\n\t"                                                                  \
    "strb.w %[a0], [%[out]]\n\t"                                                                 \
    "strb.w %[a1], [%[out], #%c[plane]]\n\t"                                                     \
    "addw %[out], %[out], #2*%c[plane]\n\t"                                                      \
    "add.w %[w], %[w], #24\n\t"                                                                  \
    "cmp.w %[w], %[end]\n\t"                                                                     \
    "bne.w 1b\n\t" MBN_LINES_256 MBN_LINES_256

/* One pixel. */
MBN_INLINE void mbn_m7_couples1(const int16_t *tile, const int32_t *stream, int8_t *out,
                                const int32_t pairs, const int32_t couples,
                                const int32_t plane_bytes)
{
    const int32_t odd = pairs % 2, steps = (pairs - 2) / 2, run = steps % 16, turns = steps / 16;
    const int32_t *const end = stream + couples * (pairs + 4);
    const int16_t *const start = tile;
    int32_t a0, a1, turn;
    uint32_t w0, w1, t0, t1, r0, r1;
    __asm__ volatile(MBN_M_ONE_TEXT
                     : [a0] "=&r"(a0), [a1] "=&r"(a1), [w0] "=&r"(w0), [w1] "=&r"(w1),
                       [t0] "=&r"(t0), [t1] "=&r"(t1), [r0] "=&r"(r0), [r1] "=&r"(r1),
                       [turn] "=&r"(turn), [t] "+r"(tile), [w] "+r"(stream), [out] "+r"(out)
                     : [end] "r"(end), [start] "m"(start), [odd] "i"(odd), [run] "i"(run),
                       [turns] "i"(turns), [plane] "i"(plane_bytes)
                     : "memory", "cc");
}

#endif

/* `pixels` (1 to 3) pixels of 2 * couples planes; two pairs or more. All but the pointers are
 * constants. */
MBN_INLINE int32_t mbn_m7_couples(const int16_t *tile, const int32_t *stream, int8_t *out,
                                  const int32_t pixels, const int32_t pairs, const int32_t couples,
                                  const int32_t plane_bytes)
{
#if MBN_DSP && defined(__ARM_FP)
    if (pixels == 1) {
        mbn_m7_couples1(tile, stream, out, pairs, couples, plane_bytes);
    } else {
        mbn_m7_couples3(tile, stream, out, pixels, pairs, couples, plane_bytes);
    }
    return 0;
#else
    return mbn_dsp_any(tile, stream, out, pairs, couples, plane_bytes, 0, pixels, 0);
#endif
}

#endif
