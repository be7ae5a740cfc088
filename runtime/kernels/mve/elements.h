/* Additions of two maps on cores with Helium.
 *
 * What enters: rows of any length. What leaves: a row of the same length, with the bits of
 * mbn_dsp_add. Always holds: nothing beyond `count` is read or written.
 */
#ifndef MBN_MVE_ELEMENTS_H
#define MBN_MVE_ELEMENTS_H

#include "dsp/elements.h"
#include "mve/instructions.h"

/* r from 9 to 30. The sum, below 2^40, is held as 512 * high + low, each in 32 bits: the floor of
 * the whole is that of high + floor(low / 512), shifted by r - 9. */
MBN_INLINE int32_t mbn_mve_add(const int8_t *a, const int8_t *b, int8_t *out, int32_t count,
                               const int32_t *table, const int32_t r, const int32_t low,
                               const int32_t high)
{
#if MBN_MVE
    const int32_t first = table[0], second = table[1];
    const int64_t offset = (int64_t)((uint64_t)(uint32_t)table[3] << 32 | (uint32_t)table[2]);
    const int32x4_t high_start = vdupq_n_s32((int32_t)(offset >> 9));
    const int32x4_t low_start = vdupq_n_s32((int32_t)(offset & 511));
    const int32x4_t least = vdupq_n_s32(low), most = vdupq_n_s32(high);
    for (; count > 0; count -= 4, a += 4, b += 4, out += 4) {
        const mve_pred16_t some = vctp32q((uint32_t)count);
        const int32x4_t x = vldrbq_z_s32(a, some), y = vldrbq_z_s32(b, some);
        int32x4_t sum = vmlaq_n_s32(low_start, x, first & 511);
        sum = vshrq_n_s32(vmlaq_n_s32(sum, y, second & 511), 9);
        sum = vaddq_s32(sum, vmlaq_n_s32(vmlaq_n_s32(high_start, x, first >> 9), y, second >> 9));
        sum = vshlq_r_s32(sum, 9 - r);
        vstrbq_p_s32(out, vminq_s32(vmaxq_s32(sum, least), most), some);
    }
    return 0;
#else
    return mbn_dsp_add(a, b, out, count, table, r, low, high);
#endif
}

#endif
