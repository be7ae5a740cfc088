/* Sums of a plane's rows for cores with the DSP extension.
 *
 * A row is 4-byte aligned and readable up to the next multiple of 4. Its sum is added to `sum`: one
 * SMLAD by ones for two bytes.
 */
#ifndef MBN_DSP_POOL_H
#define MBN_DSP_POOL_H

#include "dsp/instructions.h"

/* sum += row[0] + ... + row[width - 1], width a constant. */
MBN_INLINE int32_t mbn_dsp_row_sum(int32_t *sum, const int8_t *row, const int32_t width)
{
    const uint32_t ones = 0x00010001u;
    int32_t total = *sum;
    MBN_UNROLL
    for (int32_t x = 0; x < width; x += 4) {
        const uint32_t word = mbn_load32(row + x);
        const uint32_t even = mbn_sxtb16(word), odd = mbn_sxtb16_ror8(word);
        const int32_t valid = width - x;
        total = valid > 2 ? mbn_smlad(even, ones, total) : mbn_smlabb(even, ones, total);
        if (valid > 3) {
            total = mbn_smlad(odd, ones, total);
        } else if (valid > 1) {
            total = mbn_smlabb(odd, ones, total);
        }
    }
    *sum = total;
    return 0;
}

#endif
