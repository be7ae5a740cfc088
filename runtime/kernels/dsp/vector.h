/* One output pixel: a dense layer, or a convolution whose window is the whole map.
 *
 * What enters: rows of bytes in the order in which they lie, and streams of two output channels
 * (pointwise.h). mbn_dsp_widen makes pairs of each four bytes, which the streams' weights follow:
 * (b0, b2), (b1, b3). Two streams are read side by side, so a pair is loaded once for four
 * channels.
 *
 * `raw`: a word of weights holds the halfwords 256 * w1 + w0 of two channels. It is itself an
 * operand of SMLAD, which sums H = 256 * S1 + S0 modulo 2^32; SXTB16 in place makes S0's operand.
 * H - S0 is 256 * S1, exactly, where |S1| < 2^23 (the compiler proves it). That saves one of four
 * instructions a word.
 */
#ifndef MBN_DSP_VECTOR_H
#define MBN_DSP_VECTOR_H

#include "dsp/pointwise.h"
#include "dsp/requantise.h"

/* `count` bytes, a multiple of four, as half as many pairs. */
MBN_INLINE int32_t mbn_dsp_widen(const int8_t *row, int16_t *tile, const int32_t count)
{
    for (int32_t k = 0; k < count; k += 4) {
        const uint32_t word = mbn_load32(row + k);
        const uint32_t even = mbn_sxtb16(word), odd = mbn_sxtb16_ror8(word);
        __builtin_memcpy(tile + k, &even, sizeof even);
        __builtin_memcpy(tile + k + 2, &odd, sizeof odd);
    }
    return 0;
}

/* One pair of inputs by one stream. */
MBN_INLINE void mbn_dsp_vector_pair(uint32_t x, uint32_t word, int32_t sums[2], const int32_t raw)
{
    sums[0] = mbn_smlad(x, raw ? word : mbn_sxtb16(word), sums[0]);
    sums[1] = mbn_smlad(x, raw ? mbn_sxtb16(word) : mbn_sxtb16_ror8(word), sums[1]);
}

#if MBN_DSP

/* Two pairs of inputs by two streams. Loads come in a row: on the M4 only the first of a run costs
 * two cycles (DDI 0439, 3.3.1). */
#define MBN_VECTOR_LOAD                                                                            \
    "ldr.w %[x0], [%[x], #%c[step]*2*mbn_k]\n\t"                                                   \
    "ldr.w %[x1], [%[x], #%c[step]*(2*mbn_k+1)]\n\t"                                               \
    "ldr.w %[a0], [%[a], #8*mbn_k]\n\t"                                                            \
    "ldr.w %[a1], [%[a], #8*mbn_k+4]\n\t"                                                          \
    "ldr.w %[b0], [%[b], #8*mbn_k]\n\t"                                                            \
    "ldr.w %[b1], [%[b], #8*mbn_k+4]\n\t"

#define MBN_VECTOR_H                                                                               \
    "smlad %[h0], %[x0], %[a0], %[h0]\n\t"                                                         \
    "smlad %[h1], %[x0], %[b0], %[h1]\n\t"                                                         \
    "smlad %[h0], %[x1], %[a1], %[h0]\n\t"                                                         \
    "smlad %[h1], %[x1], %[b1], %[h1]\n\t"

#define MBN_VECTOR_S                                                                               \
    "smlad %[s0], %[x0], %[a0], %[s0]\n\t"                                                         \
    "smlad %[s1], %[x0], %[b0], %[s1]\n\t"                                                         \
    "smlad %[s0], %[x1], %[a1], %[s0]\n\t"                                                         \
    "smlad %[s1], %[x1], %[b1], %[s1]\n\t"

#define MBN_VECTOR_RAW                                                                             \
    MBN_VECTOR_LOAD MBN_VECTOR_H "sxtb16 %[a0], %[a0]\n\t"                                         \
                                 "sxtb16 %[b0], %[b0]\n\t"                                         \
                                 "sxtb16 %[a1], %[a1]\n\t"                                         \
                                 "sxtb16 %[b1], %[b1]\n\t" MBN_VECTOR_S

/* One word of weights, both of whose channels are unpacked. */
#define MBN_VECTOR_WORD(X, W, H, S)                                                                \
    "sxtb16 %[t], %[" W "]\n\t"                                                                    \
    "sxtb16 %[" W "], %[" W "], ror #8\n\t"                                                        \
    "smlad %[" H "], %[" X "], %[t], %[" H "]\n\t"                                                 \
    "smlad %[" S "], %[" X "], %[" W "], %[" S "]\n\t"

#define MBN_VECTOR_UNPACKED                                                                        \
    MBN_VECTOR_LOAD MBN_VECTOR_WORD("x0", "a0", "h0", "s0")                                        \
        MBN_VECTOR_WORD("x0", "b0", "h1", "s1") MBN_VECTOR_WORD("x1", "a1", "h0", "s0")            \
            MBN_VECTOR_WORD("x1", "b1", "h1", "s1")

#define MBN_VECTOR_RUN 16 /* steps of two pairs without a jump */

/* %c[n] steps: see pointwise.h for the empty lines. `turns` turns of MBN_VECTOR_RUN steps follow
 * each other where there is more than one; the first is entered where n steps of it are left. The
 * turns are counted on the stack, because no register is left. */
#define MBN_VECTOR_ASM(...)                                                                        \
    __asm__(__VA_ARGS__ MBN_LINES_1024                                                             \
            : [h0] "+r"(h0), [s0] "+r"(s0), [h1] "+r"(h1), [s1] "+r"(s1), [x] "+r"(x),             \
              [a] "+r"(one), [b] "+r"(two), [x0] "=&r"(x0), [x1] "=&r"(x1), [a0] "=&r"(a0),        \
              [a1] "=&r"(a1), [b0] "=&r"(b0), [b1] "=&r"(b1), [t] "=&r"(t), [turns] "+m"(turns)    \
            : [n] "i"(run), [step] "i"(4 * step)                                                   \
            : "memory", "cc")

#define MBN_VECTOR_ONCE(STEP) ".set mbn_k, 0\n\t.rept %c[n]\n\t" STEP MBN_PW_NEXT ".endr\n\t"

#define MBN_VECTOR_BY(ADD, STEPS)                                                                  \
    ADD " %[x], %[x], #%c[step]*2*" STEPS "\n\t"                                                   \
    ADD " %[a], %[a], #8*" STEPS "\n\t"                                                            \
    ADD " %[b], %[b], #8*" STEPS "\n\t"

/* clang-format off: an instruction a line */
#define MBN_VECTOR_TURNS(STEP)                                                                     \
    MBN_VECTOR_BY("subw", "(16-%c[n])")                                                            \
    "b.w 2f\n"                                                                                     \
    "1:\n\t"                                                                                       \
    ".set mbn_k, 0\n\t"                                                                            \
    ".rept 16\n\t"                                                                                 \
    ".if mbn_k == 16-%c[n]\n2:\n\t.endif\n\t"                                                     \
    STEP MBN_PW_NEXT                                                                               \
    ".endr\n\t"                                                                                    \
    MBN_VECTOR_BY("addw", "16")                                                                    \
    "ldr %[t], %[turns]\n\t"                                                                       \
    "subs %[t], %[t], #1\n\t"                                                                      \
    "str %[t], %[turns]\n\t"                                                                       \
    "bne.w 1b\n\t"
/* clang-format on */

/* sums: of the first stream's two channels (raw: H, then S0), then the second's. step: words from
 * one pair of inputs to the next. */
MBN_INLINE void mbn_dsp_vector_sums(const uint32_t *x, const uint32_t *one, const uint32_t *two,
                                    int32_t sums[4], const int32_t pairs, const int32_t step,
                                    const int32_t raw)
{
    if (pairs % 2) {
        mbn_dsp_vector_pair(x[(pairs - 1) * step], one[pairs - 1], sums, raw);
        mbn_dsp_vector_pair(x[(pairs - 1) * step], two[pairs - 1], sums + 2, raw);
    }
    int32_t h0 = sums[0], s0 = sums[1], h1 = sums[2], s1 = sums[3];
    uint32_t x0, x1, a0, a1, b0, b1, t;
    const int32_t run = (pairs / 2 - 1) % MBN_VECTOR_RUN + 1;
    int32_t turns = (pairs / 2 - 1) / MBN_VECTOR_RUN + 1;
    if (raw && turns > 1) {
        MBN_VECTOR_ASM(MBN_VECTOR_TURNS(MBN_VECTOR_RAW));
    } else if (raw) {
        MBN_VECTOR_ASM(MBN_VECTOR_ONCE(MBN_VECTOR_RAW));
    } else if (turns > 1) {
        MBN_VECTOR_ASM(MBN_VECTOR_TURNS(MBN_VECTOR_UNPACKED));
    } else {
        MBN_VECTOR_ASM(MBN_VECTOR_ONCE(MBN_VECTOR_UNPACKED));
    }
    sums[0] = h0, sums[1] = s0, sums[2] = h1, sums[3] = s1;
}

#else

MBN_INLINE void mbn_dsp_vector_sums(const uint32_t *x, const uint32_t *one, const uint32_t *two,
                                    int32_t sums[4], const int32_t pairs, const int32_t step,
                                    const int32_t raw)
{
    for (int32_t j = 0; j < pairs; j++) {
        mbn_dsp_vector_pair(x[j * step], one[j], sums, raw);
        mbn_dsp_vector_pair(x[j * step], two[j], sums + 2, raw);
    }
}

#endif

/* Stores a stream's two channels. words: what follows its weights. */
MBN_INLINE void mbn_dsp_vector_store(const int32_t sums[2], const int32_t *words, int8_t *out,
                                     const int32_t plane_bytes, const int32_t channels,
                                     const int32_t raw, const int32_t shift, const int32_t low,
                                     const int32_t high)
{
    int32_t first = sums[0], second = sums[1];
    if (raw) {
        first = sums[1];
        second = (int32_t)((uint32_t)sums[0] - (uint32_t)sums[1]) >> 8;
    }
    const mbn_dsp_requantiser one = mbn_dsp_requantiser_of(words, 2, shift);
    out[0] = (int8_t)mbn_dsp_store_value(first, one, shift, low, high);
    if (channels > 1) {
        const mbn_dsp_requantiser two = mbn_dsp_requantiser_of(words + 1, 2, shift);
        out[plane_bytes] = (int8_t)mbn_dsp_store_value(second, two, shift, low, high);
    }
}

/* All output channels of a pixel. stream: `words` words for each two of them. Biases of a raw
 * stream are 256 * b1 + b0, b0. The last stream of an odd number is read twice. */
MBN_INLINE int32_t mbn_dsp_vector(const int16_t *tile, const int32_t *stream, int8_t *out,
                                  const int32_t plane_bytes, const int32_t pairs,
                                  const int32_t step, const int32_t channels, const int32_t words,
                                  const int32_t raw, const int32_t shift, const int32_t low,
                                  const int32_t high)
{
    const int32_t couples = (channels + 1) / 2;
    for (int32_t n = 0; n < couples; n += 2) {
        const int32_t *next = n + 1 < couples ? stream + words : stream;
        int32_t sums[4] = {stream[0], stream[1], next[0], next[1]};
        mbn_dsp_vector_sums((const void *)tile, (const void *)(stream + 2),
                            (const void *)(next + 2), sums, pairs, step, raw);
        mbn_dsp_vector_store(sums, stream + 2 + pairs, out, plane_bytes, channels - 2 * n, raw,
                             shift, low, high);
        if (n + 1 < couples) {
            mbn_dsp_vector_store(sums + 2, next + 2 + pairs, out + 2 * plane_bytes, plane_bytes,
                                 channels - 2 * n - 2, raw, shift, low, high);
        }
        stream += 2 * words, out += 4 * plane_bytes;
    }
    return 0;
}

/* The same for couples of channels, in rounding `single` with s = 0, and a shape that is known when
 * it runs: as compiler/mbn/passes/kernels/asm/shared_pointwise.py. */
MBN_INLINE int32_t mbn_dsp_vector_any(const int16_t *tile, const int32_t *stream, int8_t *out,
                                      int32_t pairs, int32_t couples, int32_t plane_bytes,
                                      const int32_t raw)
{
    for (int32_t n = 0; n < couples; n++) {
        int32_t sums[2] = {stream[0], stream[1]};
        for (int32_t j = 0; j < pairs; j++) {
            const uint32_t x = mbn_load32((const int8_t *)(tile + 2 * j));
            mbn_dsp_vector_pair(x, (uint32_t)stream[2 + j], sums, raw);
        }
        mbn_dsp_vector_store(sums, stream + 2 + pairs, out, plane_bytes, 2, raw, 0, -128, 127);
        stream += 4 + pairs, out += 2 * plane_bytes;
    }
    return 0;
}

#endif
