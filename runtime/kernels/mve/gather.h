/* How a convolution's windows come into a tile: runs of bytes are copied, and planar rows are
 * packed pixel by pixel before, so that they have runs. Sizes are constants once inlined. No byte
 * beyond a run or a plane is read or written: tails are predicated.
 */
#ifndef MBN_MVE_GATHER_H
#define MBN_MVE_GATHER_H

#include "mve/instructions.h"

MBN_INLINE int32_t mbn_mve_copy(int8_t *to, const int8_t *source, const int32_t count)
{
#if MBN_MVE
    int32_t at = 0;
    for (; at + 16 <= count; at += 16) {
        vstrbq_s8(to + at, vldrbq_s8(source + at));
    }
    if (at < count) {
        mve_pred16_t rest = vctp8q((uint32_t)(count - at));
        vstrbq_p_s8(to + at, vldrbq_z_s8(source + at, rest), rest);
    }
#else
    for (int32_t at = 0; at < count; at++) {
        to[at] = source[at];
    }
#endif
    return 0;
}

/* A planar row as pixels `step` bytes apart, with `left` and `right` pixels of zero points beside
 * it. plane_bytes * 7 < 2^16. */
MBN_INLINE int32_t mbn_mve_pack(int8_t *to, const int8_t *row, const int32_t plane_bytes,
                                const int32_t channels, const int32_t width, const int32_t left,
                                const int32_t right, const int32_t step, const int32_t zero_point)
{
    for (int32_t k = 0; k < left * step; k++) {
        to[k] = (int8_t)zero_point;
    }
    to += left * step;
#if MBN_MVE
    const uint16x8_t offsets = vmulq_n_u16(vidupq_n_u16(0, 1), (uint16_t)plane_bytes);
    for (int32_t c = 0; c < channels; c += 8) {
        const mve_pred16_t some = vctp16q((uint32_t)(channels - c));
        const int8_t *from = row + c * plane_bytes;
        int8_t *at = to + c;
        for (int32_t x = 0; x < width; x++, from++, at += step) {
            vstrbq_p_s16(at, vldrbq_gather_offset_z_s16(from, offsets, some), some);
        }
    }
#else
    for (int32_t x = 0; x < width; x++) {
        for (int32_t c = 0; c < channels; c++) {
            to[x * step + c] = row[c * plane_bytes + x];
        }
    }
#endif
    to += width * step;
    for (int32_t k = 0; k < right * step; k++) {
        to[k] = (int8_t)zero_point;
    }
    return 0;
}

#endif
