/* What the bodies of the Helium kernel set share: int32 accumulators become int8 values, one in
 * each 32-bit lane.
 *
 * VQRDMULH.S32 by m and VRMULH.S32 by 2m are both (2 * a * m + 2^31) >> 32, which is rounding
 * `single` (m < 2^30, so neither saturates). The first is also the high multiply of `tflite` (m <
 * 2^31). The portable forms compute the same.
 */
#ifndef MBN_MVE_INSTRUCTIONS_H
#define MBN_MVE_INSTRUCTIONS_H

#include "scalar/kernels.h"

#if defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1) && !defined(MBN_PORTABLE)
#define MBN_MVE 1
#define MBN_NEEDS_FPU true /* vectors are its registers */
#include <arm_mve.h>
#else
#define MBN_MVE 0
#define MBN_NEEDS_FPU false
#endif

/* Requantises one accumulator, which includes the bias. `m` is not doubled. words: what else the
 * rounding needs, `step` apart: Z where s > 0; T and -e of `tflite`; of any multiplier the zero
 * point, minus the right shift, the left one, the rounding's half, and -1 where there is one. */
MBN_INLINE int8_t mbn_mve_store_value(int32_t accumulator, int32_t m, const int32_t *words,
                                      int32_t step, int32_t shift, int32_t low, int32_t high)
{
    int32_t value;
    if (shift == MBN_TFLITE_ANY) {
        const int32_t shifts = 256 * words[2 * step] - words[step];
        value = mbn_requantise_tflite_any(accumulator, m, words[0], shifts);
    } else if (shift == MBN_TFLITE) {
        value = mbn_requantise_tflite(accumulator, m, words[0], -words[step]);
    } else {
        value = mbn_requantise_shift(accumulator, 2 * m, shift != 0 ? words[0] : 0, shift);
    }
    value = value < low ? low : value;
    return (int8_t)(value > high ? high : value);
}

#endif
