/* A vector of unit length: int8 codes to int8 of scale 1/128, zero point 0.
 *
 * There are `count` codes (at most 65535) with one zero point, and as many values.
 * With d = q - zero point and S the sum of all d^2, a value has d's sign and the size
 * 128 * |d| / sqrt(S), to nearest, halves up, at most 127; all are 0 where S is. Integers of 32
 * bits only: floor(256 * |d| / sqrt(S)) is the root of 2^16 * d^2 / S, rounded down twice, since
 * the root of a number rounded down rounds down as the number's own does; half of one more is the
 * nearest.
 */
#ifndef MBN_SCALAR_NORMALISE_H
#define MBN_SCALAR_NORMALISE_H

#include "scalar/kernels.h"

/* The square root of at most 2^16, rounded down, bit by bit. */
MBN_INLINE uint32_t mbn_root_of_halfword(uint32_t x)
{
    uint32_t root = 0;
    for (uint32_t bit = 1u << 8; bit != 0u; bit >>= 1) {
        const uint32_t larger = root + bit;
        root = larger * larger <= x ? larger : root;
    }
    return root;
}

static inline __attribute__((unused)) int32_t mbn_normalise(const int8_t *codes, int8_t *out,
                                                            int32_t count, int32_t zero_point)
{
    uint32_t sum = 0; /* below 2^32: 65535 * 255^2 */
    for (int32_t k = 0; k < count; k++) {
        const int32_t d = codes[k] - zero_point;
        sum += (uint32_t)(d * d);
    }
    for (int32_t k = 0; k < count; k++) {
        const int32_t d = codes[k] - zero_point;
        const uint32_t share = sum == 0u ? 0u : ((uint32_t)(d * d) << 16) / sum;
        int32_t size = (int32_t)((mbn_root_of_halfword(share) + 1u) >> 1);
        size = size > 127 ? 127 : size;
        out[k] = (int8_t)(d < 0 ? -size : size);
    }
    return 0;
}

#endif
