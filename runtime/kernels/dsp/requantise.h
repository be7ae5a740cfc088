/* Accumulators to stored values on cores with the DSP extension, in both roundings.
 *
 * An accumulator, which includes the bias, is requantised by its channel's words, which follow the
 * weights:
 *     `single`, s = 0:  2m                     s > 0:  2m, Z
 *     `tflite`:         2m modulo 2^32, T, e   (mbn_requantise_tflite in scalar/kernels.h)
 *     by any multiplier: 2m modulo 2^32, the zero point, the right shift + 256 * the left one
 * The result is an int8 value in an int32. `shift`, a constant, says which form: s, or MBN_TFLITE.
 * Every body reads the words through mbn_dsp_requantiser_of and stores through
 * mbn_dsp_store_value, and nothing else of the kernels knows about rounding.
 */
#ifndef MBN_DSP_REQUANTISE_H
#define MBN_DSP_REQUANTISE_H

#include "dsp/instructions.h"

/* A channel's words, in registers. */
typedef struct mbn_dsp_requantiser {
    int32_t doubled;
    int32_t offset;
    int32_t exponent;
} mbn_dsp_requantiser;

/* Words lie `step` apart: 1 after a channel's weights, 2 where two channels share a stream. */
MBN_INLINE mbn_dsp_requantiser mbn_dsp_requantiser_of(const int32_t *words, const int32_t step,
                                                      const int32_t shift)
{
    mbn_dsp_requantiser found = {words[0], 0, 0};
    if (shift != 0) {
        found.offset = words[step];
    }
    if (shift < 0) {
        found.exponent = words[2 * step];
    }
    return found;
}

/* The rounded value, before the clamp. */
MBN_INLINE int32_t mbn_dsp_requantise(int32_t accumulator, mbn_dsp_requantiser by,
                                      const int32_t shift)
{
    if (shift == MBN_TFLITE) {
        /* 2m, at least 2^31, is read as 2m - 2^32, and the accumulator added back: all modulo
         * 2^32 */
        uint32_t start = (uint32_t)accumulator + (uint32_t)(accumulator >> 31);
        start += (uint32_t)by.offset;
        return mbn_smmlar(accumulator, by.doubled, (int32_t)start) >> by.exponent;
    }
    if (shift == MBN_TFLITE_ANY) {
        const int32_t right = by.exponent & 255;
        accumulator = (int32_t)((uint32_t)accumulator << (by.exponent >> 8));
        /* rounded once more only where something is shifted right */
        const int32_t negative = right > 0 ? accumulator >> 31 : 0;
        const int32_t half = right > 0 ? 1 << (right - 1) : 0;
        const uint32_t start = (uint32_t)accumulator + (uint32_t)negative + (uint32_t)half;
        return (mbn_smmlar(accumulator, by.doubled, (int32_t)start) >> right) + by.offset;
    }
    if (shift > 0) {
        accumulator = (int32_t)((uint32_t)accumulator << shift) + by.offset;
    }
    return mbn_smmulr(accumulator, by.doubled);
}

/* Requantises one accumulator: the rounding, then SSAT, or compare-and-select if the clamp is
 * tighter than int8 (low, high and shift are constants). */
MBN_INLINE int32_t mbn_dsp_store_value(int32_t accumulator, mbn_dsp_requantiser by,
                                       const int32_t shift, const int32_t low, const int32_t high)
{
    int32_t value = mbn_dsp_requantise(accumulator, by, shift);
    if (low == -128 && high == 127) {
        return mbn_ssat8(value);
    }
    value = value < low ? low : value;
    return value > high ? high : value;
}

#endif
