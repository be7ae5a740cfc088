/* Pointwise convolution (and any convolution after im2col) for cores with the DSP extension.
 *
 * The tile holds int16 pairs [group of 4 pixels][pair j][pixel]: channel j in the low half, channel
 * j + pairs in the high half. The weights are one stream for each two output channels n, n + 1:
 *     bias[n], bias[n + 1]
 *     pairs words of bytes w[n][j], w[n + 1][j], w[n][j + pairs], w[n + 1][j + pairs]
 *     what requantises n and n + 1, word by word (dsp/requantise.h).
 * The output is up to 4 pixels of both channels' planes. One weight word serves both channels
 * (SXTB16 of it, and of it rotated by 8), one tile word one pixel: 8 SMLADs for 5 loads.
 */
#ifndef MBN_DSP_POINTWISE_H
#define MBN_DSP_POINTWISE_H

#include "dsp/requantise.h"

/* Pairs in one straight run of code; longer sums loop over runs of this length. */
#define MBN_DSP_RUN 64

#if MBN_DSP

/* One pair of channels for two pixels whose words are `A` and `B`: the weights are in w0, w1. */
#define MBN_PW_PIXELS2(A, B, O0, O1)                                                              \
    "smlad %[a" #A "0], %[t0], %[w0], %[a" #O0 "0]\n\t"                                           \
    "smlad %[a" #A "1], %[t0], %[w1], %[a" #O0 "1]\n\t"                                           \
    "smlad %[a" #B "0], %[t1], %[w0], %[a" #O1 "0]\n\t"                                           \
    "smlad %[a" #B "1], %[t1], %[w1], %[a" #O1 "1]\n\t"

#define MBN_PW_PIXEL(A, O0)                                                                       \
    "smlad %[a" #A "0], %[t0], %[w0], %[a" #O0 "0]\n\t"                                           \
    "smlad %[a" #A "1], %[t0], %[w1], %[a" #O0 "1]\n\t"

/* Loads are grouped: on M3 and M4 only the first of a run of loads costs two cycles (DDI 0439,
 * 3.3.1). */
#define MBN_PW_LOAD                                                                               \
    "ldr.w %[w1], [%[w], #4*mbn_k]\n\t"                                                           \
    "ldr.w %[t0], [%[t], #16*mbn_k]\n\t"                                                          \
    "ldr.w %[t1], [%[t], #16*mbn_k+4]\n\t"                                                        \
    "sxtb16 %[w0], %[w1]\n\t"                                                                     \
    "sxtb16 %[w1], %[w1], ror #8\n\t"

#define MBN_PW_STEP4(O0, O1, O2, O3)                                                              \
    MBN_PW_LOAD MBN_PW_PIXELS2(0, 1, O0, O1) "ldr.w %[t0], [%[t], #16*mbn_k+8]\n\t"               \
                                             "ldr.w %[t1], [%[t], #16*mbn_k+12]\n\t"              \
    MBN_PW_PIXELS2(2, 3, O2, O3)

#define MBN_PW_STEP3(O0, O1, O2)                                                                  \
    MBN_PW_LOAD MBN_PW_PIXELS2(0, 1, O0, O1) "ldr.w %[t0], [%[t], #16*mbn_k+8]\n\t"               \
    MBN_PW_PIXEL(2, O2)

#define MBN_PW_NEXT ".set mbn_k, mbn_k+1\n\t"

/* gcc estimates an asm statement's size from its number of lines, and places literals and short
 * branches by it. .rept hides lines from it. So a run of up to N pairs is followed by as many
 * empty lines as the assembler will repeat. */
#define MBN_LINES_16 "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n"
#define MBN_LINES_64 MBN_LINES_16 MBN_LINES_16 MBN_LINES_16 MBN_LINES_16
#define MBN_LINES_256 MBN_LINES_64 MBN_LINES_64 MBN_LINES_64 MBN_LINES_64
#define MBN_LINES_1024 MBN_LINES_256 MBN_LINES_256 MBN_LINES_256 MBN_LINES_256

/* After a first run of %c[n] + 1 pairs: `turns` runs of 64. The turns are counted on the stack,
 * because no register is left. */
#define MBN_PW_LOOP(STEP)                                                                         \
    "addw %[t], %[t], #16*(%c[n]+1)\n\t"                                                          \
    "addw %[w], %[w], #4*(%c[n]+1)\n"                                                             \
    "1:\n\t"                                                                                      \
    ".set mbn_k, 0\n\t"                                                                           \
    ".rept 64\n\t" STEP MBN_PW_NEXT ".endr\n\t"                                                  \
    "addw %[t], %[t], #16*64\n\t"                                                                 \
    "addw %[w], %[w], #4*64\n\t"                                                                  \
    "ldr %[w0], %[turns]\n\t"                                                                     \
    "subs %[w0], %[w0], #1\n\t"                                                                   \
    "str %[w0], %[turns]\n\t"                                                                     \
    "bne 1b\n\t" MBN_LINES_1024

/* The biases come in the last pixel's accumulators and are the addend of the first products,
 * which saves moves. All of r0 to r12 and lr are used. gcc's own register allocation would
 * spill: hence asm. */
#define MBN_PW_ASM4(LINES, LOOP, ...)                                                             \
    __asm__(".set mbn_k, 0\n\t" MBN_PW_STEP4(3, 3, 3, 3) ".set mbn_k, 1\n\t"                      \
            ".rept %c[n]\n\t" MBN_PW_STEP4(0, 1, 2, 3) MBN_PW_NEXT ".endr\n\t" LINES LOOP         \
            : [a00] "=&r"(a00), [a01] "=&r"(a01), [a10] "=&r"(a10), [a11] "=&r"(a11),             \
              [a20] "=&r"(a20), [a21] "=&r"(a21), [a30] "+r"(a30), [a31] "+r"(a31),               \
              [w0] "=&r"(w0), [w1] "=&r"(w1), [t0] "=&r"(t0), [t1] "=&r"(t1), [t] "+r"(tile),     \
              [w] "+r"(weights) __VA_ARGS__                                                       \
            : [n] "i"(run - 1)                                                                    \
            : "memory", "cc")

#define MBN_PW_ASM3(LINES, LOOP, ...)                                                             \
    __asm__(".set mbn_k, 0\n\t" MBN_PW_STEP3(2, 2, 2) ".set mbn_k, 1\n\t"                         \
            ".rept %c[n]\n\t" MBN_PW_STEP3(0, 1, 2) MBN_PW_NEXT ".endr\n\t" LINES LOOP            \
            : [a00] "=&r"(a00), [a01] "=&r"(a01), [a10] "=&r"(a10), [a11] "=&r"(a11),             \
              [a20] "+r"(a20), [a21] "+r"(a21),                                                   \
              [w0] "=&r"(w0), [w1] "=&r"(w1), [t0] "=&r"(t0), [t1] "=&r"(t1), [t] "+r"(tile),     \
              [w] "+r"(weights) __VA_ARGS__                                                       \
            : [n] "i"(run - 1)                                                                    \
            : "memory", "cc")

/* One statement for each length of run, so that its lines match its instructions. */
#define MBN_PW_CHOOSE(ASM, STEP)                                                                  \
    if (turns > 0) {                                                                              \
        ASM(MBN_LINES_1024, MBN_PW_LOOP(STEP), , [turns] "+m"(turns));                            \
    } else if (run > 17) {                                                                        \
        ASM(MBN_LINES_1024, "", );                                                                \
    } else if (run > 5) {                                                                         \
        ASM(MBN_LINES_256, "", );                                                                 \
    } else {                                                                                      \
        ASM(MBN_LINES_64, "", );                                                                  \
    }

/* The sum over `pairs` (a constant), four pixels by two channels. */
MBN_INLINE void mbn_dsp_chain4(int32_t acc[8], const uint32_t *tile, const uint32_t *weights,
                               const int32_t pairs)
{
    int32_t a00, a01, a10, a11, a20, a21, a30 = acc[6], a31 = acc[7];
    uint32_t w0, w1, t0, t1;
    const int32_t run = (pairs - 1) % MBN_DSP_RUN + 1;
    int32_t turns = (pairs - 1) / MBN_DSP_RUN;
    MBN_PW_CHOOSE(MBN_PW_ASM4, MBN_PW_STEP4(0, 1, 2, 3))
    acc[0] = a00, acc[1] = a01, acc[2] = a10, acc[3] = a11;
    acc[4] = a20, acc[5] = a21, acc[6] = a30, acc[7] = a31;
}

/* Three pixels by two channels: maps of 3 x 3, and pixels left over at the end of a row. */
MBN_INLINE void mbn_dsp_chain3(int32_t acc[8], const uint32_t *tile, const uint32_t *weights,
                               const int32_t pairs)
{
    int32_t a00, a01, a10, a11, a20 = acc[6], a21 = acc[7];
    uint32_t w0, w1, t0, t1;
    const int32_t run = (pairs - 1) % MBN_DSP_RUN + 1;
    int32_t turns = (pairs - 1) / MBN_DSP_RUN;
    MBN_PW_CHOOSE(MBN_PW_ASM3, MBN_PW_STEP3(0, 1, 2))
    acc[0] = a00, acc[1] = a01, acc[2] = a10, acc[3] = a11, acc[6] = a20, acc[7] = a21;
}

#endif

/* The same sum in C: for one and two pixels, and on the host for all. The accumulators of the
 * last pixel are acc[6] and acc[7], in which the biases come. */
MBN_INLINE void mbn_dsp_chain_c(int32_t acc[8], const uint32_t *tile, const uint32_t *weights,
                                const int32_t pairs, const int32_t wide, const int32_t pixels)
{
    MBN_UNROLL
    for (int32_t p = 0; p + 1 < pixels; p++) {
        acc[2 * p] = acc[6];
        acc[2 * p + 1] = acc[7];
    }
    for (int32_t k = 0; k < pairs; k++) {
        uint32_t w0 = wide ? weights[2 * k] : mbn_sxtb16(weights[k]);
        uint32_t w1 = wide ? weights[2 * k + 1] : mbn_sxtb16_ror8(weights[k]);
        MBN_UNROLL
        for (int32_t p = 0; p < pixels; p++) {
            int32_t slot = p + 1 == pixels ? 6 : 2 * p;
            uint32_t pair = mbn_load32(tile + 4 * k + p); /* written as halfwords */
            acc[slot] = mbn_smlad(pair, w0, acc[slot]);
            acc[slot + 1] = mbn_smlad(pair, w1, acc[slot + 1]);
        }
    }
}

MBN_INLINE void mbn_dsp_chain(int32_t acc[8], const uint32_t *tile, const uint32_t *weights,
                              const int32_t pairs, const int32_t pixels)
{
#if MBN_DSP
    if (pixels == 4) {
        mbn_dsp_chain4(acc, tile, weights, pairs);
        return;
    }
    if (pixels == 3) {
        mbn_dsp_chain3(acc, tile, weights, pairs);
        return;
    }
#endif
    mbn_dsp_chain_c(acc, tile, weights, pairs, 0, pixels);
}

/* Requantises and stores what a chain left in acc. */
MBN_INLINE void mbn_dsp_store_tile(const int32_t acc[8], const int32_t *tail, int8_t *out,
                                   const int32_t plane_bytes, const int32_t pixels,
                                   const int32_t channels, const int32_t split, const int32_t jump,
                                   const int32_t shift, const int32_t low, const int32_t high)
{
    const mbn_dsp_requantiser by0 = mbn_dsp_requantiser_of(tail, 2, shift);
    const mbn_dsp_requantiser by1 = mbn_dsp_requantiser_of(tail + 1, 2, shift);
    MBN_UNROLL
    for (int32_t p = 0; p < pixels; p++) {
        int32_t slot = p + 1 == pixels ? 6 : 2 * p;
        int8_t *to = out + p + (p >= split ? jump : 0);
        to[0] = (int8_t)mbn_dsp_store_value(acc[slot], by0, shift, low, high);
        if (channels == 2) {
            to[plane_bytes] = (int8_t)mbn_dsp_store_value(acc[slot + 1], by1, shift, low, high);
        }
    }
}

/* `pixels` (1 to 4) pixels of output channels n and n + 1 (`channels` 2; 1: n alone).
 * out: the first pixel in n's plane; plane_bytes to n + 1's. Pixels from `split` on lie in the
 * band's next row, `jump` bytes further. All but the pointers and split are constants. */
MBN_INLINE int32_t mbn_dsp_pointwise(const int16_t *tile, const int32_t *stream, int8_t *out,
                                     const int32_t plane_bytes, const int32_t pairs,
                                     const int32_t pixels, const int32_t channels,
                                     const int32_t split, const int32_t jump, const int32_t shift,
                                     const int32_t low, const int32_t high)
{
    int32_t acc[8];
    acc[6] = stream[0];
    acc[7] = stream[1];
    mbn_dsp_chain(acc, (const void *)tile, (const void *)(stream + 2), pairs, pixels);
    mbn_dsp_store_tile(acc, stream + 2 + pairs, out, plane_bytes, pixels, channels, split, jump,
                       shift, low, high);
    return 0;
}

#endif
