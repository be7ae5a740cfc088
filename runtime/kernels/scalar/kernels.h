/* Bodies of the scalar kernel set: any core, and the host.
 *
 * An int32 accumulator, or int8 vectors, become int8 values in int32, by exactly the arithmetic's
 * roundings. The caller clamps.
 *     `single`: (2 * ((A << s) + Z) * m + 2^31) >> 32; `doubled` is 2 * m, below 2^31;
 *     `tflite`: TensorFlow Lite's reference: Q31 multiplier, rounding doubling high multiply (half
 *     up), rounding divide by 2^e (half away from zero), then the zero point.
 */
#ifndef MBN_SCALAR_KERNELS_H
#define MBN_SCALAR_KERNELS_H

#include "scalar/compiler.h"

#include <stdint.h>

/* Not instrumented (-finstrument-functions): a call between asm statements would take their
 * registers. */
#define MBN_INLINE                                                                                 \
    static inline __attribute__((always_inline, unused, no_instrument_function))

/* Before a loop of at most four turns whose count is constant once inlined: without it gcc keeps
 * the small arrays that it indexes in memory. MBN_FULLY: of at most sixteen. (Without optimisation
 * gcc warns that it ignores them.) */
#if defined(__OPTIMIZE__)
#define MBN_UNROLL _Pragma("GCC unroll 4")
#define MBN_FULLY _Pragma("GCC unroll 16")
#else
#define MBN_UNROLL
#define MBN_FULLY
#endif

/* ARMv6-M has only a 32-bit product. Elsewhere a test defines this. */
#if defined(__ARM_ARCH_6M__) && !defined(MBN_HALVES)
#define MBN_HALVES 1
#endif

#if defined(MBN_HALVES)
/* (accumulator * factor + 2^31) >> 32 by halves of 16 bits; no partial sum leaves 32 bits. */
MBN_INLINE int32_t mbn_high_product(int32_t accumulator, uint32_t factor)
{
    const uint32_t low = (uint32_t)accumulator & 0xFFFFu, factor_low = factor & 0xFFFFu;
    const int32_t high = accumulator >> 16, factor_high = (int32_t)(factor >> 16);
    const uint32_t middle = low * (uint32_t)factor_high + (low * factor_low >> 16) + 0x8000u;
    const int32_t cross = high * (int32_t)factor_low + (int32_t)(middle & 0xFFFFu);
    return high * factor_high + (int32_t)(middle >> 16) + (cross >> 16);
}
#endif

/* s = 0: Z is already part of the accumulator. */
MBN_INLINE int32_t mbn_requantise(int32_t accumulator, int32_t doubled)
{
#if defined(MBN_HALVES)
    return mbn_high_product(accumulator, (uint32_t)doubled);
#else
    const int64_t product = (int64_t)accumulator * doubled; /* signed: one SMULL */
    return (int32_t)(product >> 32) + (int32_t)((uint32_t)product >> 31);
#endif
}

/* s > 0: Z is added after the shift. */
MBN_INLINE int32_t mbn_requantise_shift(int32_t accumulator, int32_t doubled, int32_t offset,
                                        int32_t shift)
{
    int32_t scaled = (int32_t)((uint32_t)accumulator << shift) + offset;
    return mbn_requantise(scaled, doubled);
}

/* out[k] = clamp((a[k] * m_a + b[k] * m_b + C + 2^(r - 1)) >> r, low, high), exact in 64 bits; r,
 * low and high are constants once inlined. table: m_a, m_b, C + 2^(r - 1) (low word, high word).
 * The sum is below 2^40, so from r = 9 on 32 bits hold what is shifted. */
MBN_INLINE int32_t mbn_scalar_add(const int8_t *a, const int8_t *b, int8_t *out, int32_t count,
                                  const int32_t *table, int32_t r, int32_t low, int32_t high)
{
    const int32_t first = table[0], second = table[1];
    const int64_t offset = (int64_t)((uint64_t)(uint32_t)table[3] << 32 | (uint32_t)table[2]);
    for (int32_t k = 0; k < count; k++) {
        int64_t total = (offset + (int64_t)a[k] * first + (int64_t)b[k] * second) >> r;
        if (r < 9) {
            total = total < low ? low : total > high ? high : total;
        }
        int32_t value = (int32_t)total;
        value = value < low ? low : value;
        out[k] = (int8_t)(value > high ? high : value);
    }
    return 0;
}

/* Copies bytes from row to row, sixteen at a time. */
MBN_INLINE int32_t mbn_scalar_copy(const int8_t *source, int8_t *to, int32_t count)
{
    int32_t k = 0;
    for (; k + 16 <= count; k += 16) {
        uint32_t words[4];
        __builtin_memcpy(words, source + k, sizeof words);
        __builtin_memcpy(to + k, words, sizeof words);
    }
    for (; k < count; k++) {
        to[k] = source[k];
    }
    return 0;
}

/* The greatest of `count` values, `step` bytes apart, and of `least`. */
MBN_INLINE int32_t mbn_scalar_greatest(const int8_t *row, int32_t count, int32_t step,
                                       int32_t least)
{
    for (int32_t k = 0; k < count; k++) {
        const int32_t value = row[k * step];
        least = value > least ? value : least;
    }
    return least;
}

/* `shift` of the kernels' constants: s in rounding `single`, this in rounding `tflite`. */
#define MBN_TFLITE (-1)
#define MBN_TFLITE_ANY (-2)

/* The high multiply: (2 * A * m + 2^31) >> 32. */
MBN_INLINE int32_t mbn_high_multiply(int32_t accumulator, int32_t multiplier)
{
    const int64_t product = (int64_t)accumulator * multiplier;
    return (int32_t)((product + INT64_C(0x40000000)) >> 31);
}

/* The same for multipliers in 0 .. 2^31 - 1. */
MBN_INLINE int32_t mbn_high_scale(int32_t accumulator, int32_t multiplier)
{
#if defined(MBN_HALVES)
    return mbn_high_product(accumulator, 2u * (uint32_t)multiplier);
#else
    return mbn_high_multiply(accumulator, multiplier);
#endif
}

/* `tflite` where every channel divides by 2^e with e >= 1. `offset` T = 2^(e - 1) + zp * 2^e: the
 * half and the zero point before the shift (proved to fit). A negative half goes away from zero
 * by the sign that is added; a product that rounds to 0 has no half. */
MBN_INLINE int32_t mbn_requantise_tflite(int32_t accumulator, int32_t multiplier, int32_t offset,
                                         int32_t exponent)
{
    int32_t high = mbn_high_scale(accumulator, multiplier);
    return (high + offset + (accumulator >> 31)) >> exponent;
}

/* x / 2^exponent, half away from zero. */
MBN_INLINE int32_t mbn_divide_by_pot(int32_t x, int32_t exponent)
{
    int32_t mask = (int32_t)((UINT32_C(1) << exponent) - 1u);
    int32_t threshold = (mask >> 1) + (x < 0 ? 1 : 0);
    return (x >> exponent) + ((x & mask) > threshold ? 1 : 0);
}

/* `tflite` for any multiplier. `exponent`: right + 256 * left; `zero_point` is added last. */
MBN_INLINE int32_t mbn_requantise_tflite_any(int32_t accumulator, int32_t multiplier,
                                             int32_t zero_point, int32_t exponent)
{
    int32_t right = exponent & 255, left = exponent >> 8;
    int32_t scaled = (int32_t)((uint32_t)accumulator << left); /* proved to fit */
    return mbn_divide_by_pot(mbn_high_scale(scaled, multiplier), right) + zero_point;
}

/* A sum requantised; a word that the rounding lacks is not read. */
MBN_INLINE int32_t mbn_scalar_value(int32_t sum, int32_t m, const int32_t *z, const int32_t *e,
                                    int32_t shift)
{
    if (shift == MBN_TFLITE) {
        return mbn_requantise_tflite(sum, m, *z, *e);
    }
    if (shift == MBN_TFLITE_ANY) {
        return mbn_requantise_tflite_any(sum, m, *z, *e);
    }
    return shift > 0 ? mbn_requantise_shift(sum, m, *z, shift) : mbn_requantise(sum, m);
}

/* Within low .. high. */
MBN_INLINE int32_t mbn_scalar_clamp(int32_t value, int32_t low, int32_t high)
{
#if defined(__ARM_FEATURE_SAT) && !defined(MBN_PORTABLE)
    if (low == -128 && high == 127) {
        __asm__("ssat %0, #8, %0" : "+r"(value) : : "cc");
        return value;
    }
#endif
    value = value > high ? high : value;
    return value < low ? low : value;
}

/* `tflite`'s addition, left shift 20. table: of a, b and the result the zero points, the Q31
 * multipliers, the right shifts; least, greatest. */
MBN_INLINE int32_t mbn_scalar_add_tflite(const int8_t *a, const int8_t *b, int8_t *out,
                                         int32_t count, const int32_t *table)
{
    const int32_t *const zero = table, *const multiplier = table + 3, *const right = table + 6;
    for (int32_t k = 0; k < count; k++) {
        int32_t first = (a[k] - zero[0]) * (1 << 20), second = (b[k] - zero[1]) * (1 << 20);
        first = mbn_divide_by_pot(mbn_high_scale(first, multiplier[0]), right[0]);
        second = mbn_divide_by_pot(mbn_high_scale(second, multiplier[1]), right[1]);
        int32_t value = mbn_high_scale(first + second, multiplier[2]);
        value = mbn_divide_by_pot(value, right[2]) + zero[2];
        value = value < table[9] ? table[9] : value;
        out[k] = (int8_t)(value > table[10] ? table[10] : value);
    }
    return 0;
}

/* `tflite`'s average: to nearest, half away from zero. */
MBN_INLINE int32_t mbn_average(int32_t sum, int32_t count)
{
    return sum > 0 ? (sum + count / 2) / count : (sum - count / 2) / count;
}

#endif
