/* Copies a run of `count` bytes of an input row into a tile.
 *
 * `count` is a constant once inlined. No byte beyond the run is read or written: the tail is
 * predicated.
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

#endif
