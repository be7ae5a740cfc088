/* The SIMD instructions of the Arm DSP extension (ARMv7E-M, ARMv8-M) as C functions, and the same
 * functions in portable C for the host, where the kernels run under sanitizers.
 *
 * Both forms give the same bits (DDI 0403, A7.7: SXTB16, SMLAD, SMLA<x><y>, SMMULR, SMMLAR, SSAT).
 */
#ifndef MBN_DSP_INSTRUCTIONS_H
#define MBN_DSP_INSTRUCTIONS_H

#include <stdint.h>

#include "scalar/kernels.h"

/* Pixels of one group of the pointwise's tile. A group has four places in any case. */
#ifndef MBN_DSP_GROUP
#define MBN_DSP_GROUP 4
#endif

MBN_INLINE uint32_t mbn_load32(const void *from)
{
    uint32_t word;
    __builtin_memcpy(&word, from, sizeof word);
    return word;
}

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP && !defined(MBN_PORTABLE)

#include <arm_acle.h>

#define MBN_DSP 1

#if defined(MBN_NEEDS_FPU) /* the Helium set has said so */
#elif defined(__ARM_FP)
#define MBN_NEEDS_FPU true /* addresses, weights and sums wait in its registers */
#else
#define MBN_NEEDS_FPU false
#endif

/* bytes 0 and 2, sign-extended to halfwords */
MBN_INLINE uint32_t mbn_sxtb16(uint32_t word)
{
    return (uint32_t)__sxtb16((int8x4_t)word);
}

/* bytes 1 and 3 */
MBN_INLINE uint32_t mbn_sxtb16_ror8(uint32_t word)
{
    uint32_t out;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(out) : "r"(word));
    return out;
}

MBN_INLINE int32_t mbn_smlad(uint32_t a, uint32_t b, int32_t sum)
{
    return __smlad((int16x2_t)a, (int16x2_t)b, sum);
}

MBN_INLINE int32_t mbn_smlabb(uint32_t a, uint32_t b, int32_t sum)
{
    int32_t out;
    __asm__("smlabb %0, %1, %2, %3" : "=r"(out) : "r"(a), "r"(b), "r"(sum));
    return out;
}

MBN_INLINE int32_t mbn_smlabt(uint32_t a, uint32_t b, int32_t sum)
{
    int32_t out;
    __asm__("smlabt %0, %1, %2, %3" : "=r"(out) : "r"(a), "r"(b), "r"(sum));
    return out;
}

MBN_INLINE int32_t mbn_smlatb(uint32_t a, uint32_t b, int32_t sum)
{
    int32_t out;
    __asm__("smlatb %0, %1, %2, %3" : "=r"(out) : "r"(a), "r"(b), "r"(sum));
    return out;
}

MBN_INLINE int32_t mbn_smlatt(uint32_t a, uint32_t b, int32_t sum)
{
    int32_t out;
    __asm__("smlatt %0, %1, %2, %3" : "=r"(out) : "r"(a), "r"(b), "r"(sum));
    return out;
}

/* (a * b + 2^31) >> 32 */
MBN_INLINE int32_t mbn_smmulr(int32_t a, int32_t b)
{
    int32_t out;
    __asm__("smmulr %0, %1, %2" : "=r"(out) : "r"(a), "r"(b));
    return out;
}

/* sum + ((a * b + 2^31) >> 32), modulo 2^32 */
MBN_INLINE int32_t mbn_smmlar(int32_t a, int32_t b, int32_t sum)
{
    int32_t out;
    __asm__("smmlar %0, %1, %2, %3" : "=r"(out) : "r"(a), "r"(b), "r"(sum));
    return out;
}

MBN_INLINE int32_t mbn_ssat8(int32_t value)
{
    int32_t out;
    __asm__("ssat %0, #8, %1" : "=r"(out) : "r"(value));
    return out;
}

#else

#define MBN_DSP 0
#if !defined(MBN_NEEDS_FPU)
#define MBN_NEEDS_FPU false
#endif

MBN_INLINE int32_t mbn_half(uint32_t word, unsigned int top)
{
    return (int16_t)(uint16_t)(word >> (16u * top));
}

MBN_INLINE uint32_t mbn_sxtb16(uint32_t word)
{
    uint32_t low = (uint32_t)(int32_t)(int8_t)(uint8_t)word;
    uint32_t high = (uint32_t)(int32_t)(int8_t)(uint8_t)(word >> 16);
    return (low & 0xffffu) | high << 16;
}

MBN_INLINE uint32_t mbn_sxtb16_ror8(uint32_t word)
{
    return mbn_sxtb16(word >> 8 | word << 24);
}

MBN_INLINE int32_t mbn_smlabb(uint32_t a, uint32_t b, int32_t sum)
{
    return sum + mbn_half(a, 0) * mbn_half(b, 0);
}

MBN_INLINE int32_t mbn_smlabt(uint32_t a, uint32_t b, int32_t sum)
{
    return sum + mbn_half(a, 0) * mbn_half(b, 1);
}

MBN_INLINE int32_t mbn_smlatb(uint32_t a, uint32_t b, int32_t sum)
{
    return sum + mbn_half(a, 1) * mbn_half(b, 0);
}

MBN_INLINE int32_t mbn_smlatt(uint32_t a, uint32_t b, int32_t sum)
{
    return sum + mbn_half(a, 1) * mbn_half(b, 1);
}

MBN_INLINE int32_t mbn_smlad(uint32_t a, uint32_t b, int32_t sum)
{
    return mbn_smlatt(a, b, mbn_smlabb(a, b, sum));
}

MBN_INLINE int32_t mbn_smmulr(int32_t a, int32_t b)
{
    return mbn_requantise(a, b);
}

MBN_INLINE int32_t mbn_smmlar(int32_t a, int32_t b, int32_t sum)
{
    return (int32_t)((uint32_t)sum + (uint32_t)mbn_requantise(a, b));
}

MBN_INLINE int32_t mbn_ssat8(int32_t value)
{
    return value < -128 ? -128 : value > 127 ? 127 : value;
}

#endif

#if MBN_DSP && defined(__ARM_FP)

/* gcc estimates an asm statement's size from its number of lines, and places literals and short
 * branches by it. .rept hides lines from it. So a run is followed by as many empty lines as the
 * assembler will repeat. */
#define MBN_LINES_16 "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n"
#define MBN_LINES_64 MBN_LINES_16 MBN_LINES_16 MBN_LINES_16 MBN_LINES_16
#define MBN_LINES_256 MBN_LINES_64 MBN_LINES_64 MBN_LINES_64 MBN_LINES_64
#define MBN_LINES_1024 MBN_LINES_256 MBN_LINES_256 MBN_LINES_256 MBN_LINES_256
#define MBN_PW_NEXT ".set mbn_k, mbn_k+1\n\t"

#endif

#endif
