/* The pointwise of a band from a tile, two output channels a multiply, in C.
 *
 * The fast bodies are functions of network.S (compiler/mbn/passes/kernels/asm/couples.py, which
 * describes the tile and the streams).
 */
#ifndef MBN_SCALAR_COUPLES_H
#define MBN_SCALAR_COUPLES_H

#include "scalar/kernels.h"

/* What the tile's bytes are more than the values: the narrow instructions load bytes at a constant
 * offset without their sign only. */
#if MBN_ASSEMBLY && (defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_8M_BASE__))
#define MBN_TILE_LIFT 128
#else
#define MBN_TILE_LIFT 0
#endif

/* rows x width pixels by all output channels. Groups of three pixels, the last ones of two or one,
 * lie one behind the other in the tile, each row's behind the last one's. All but the pointers are
 * constants. */
MBN_INLINE int32_t mbn_scalar_couples(const int8_t *tile, const int32_t *stream, int8_t *out,
                                      const int32_t channels, const int32_t rows,
                                      const int32_t width, const int32_t row_bytes,
                                      const int32_t plane_bytes, const int32_t taps,
                                      const int32_t shift, const int32_t low, const int32_t high)
{
    const int32_t pairs = (taps + 1) / 2, words = pairs + (shift < 0 ? 8 : shift > 0 ? 6 : 4);
    for (int32_t n = 0; n < channels; n++) {
        const int32_t *const couple = stream + n / 2 * words, *const tail = couple + pairs;
        const uint8_t *const weights = (const uint8_t *)couple + 2 * (n % 2);
        const uint32_t half = (uint32_t)pairs << 15, second = (uint32_t)tail[1];
        const uint32_t bias = half + (n % 2 ? second : (uint32_t)tail[0] - (second << 16));
        const uint32_t doubled = (uint32_t)tail[2 + n % 2];
        const int32_t m = (int32_t)(shift < 0 ? doubled >> 1 : doubled);
        for (int32_t y = 0; y < rows; y++) {
            for (int32_t x = 0, left = width; left > 0;) {
                const int32_t size = left == 2 || left == 4 ? 2 : left < 3 ? left : 3;
                const int8_t *group = tile + (y * width + x) * 2 * pairs;
                int32_t sum[3] = {(int32_t)bias, (int32_t)bias, (int32_t)bias};
                for (int32_t k = 0; k < taps; k++, group += size) {
                    const int32_t weight = weights[4 * (k / 2) + k % 2] - 128;
                    for (int32_t p = 0; p < size; p++) {
                        sum[p] += (int8_t)(group[p] - MBN_TILE_LIFT) * weight;
                    }
                }
                for (int32_t p = 0; p < size; p++) {
                    const int32_t value =
                        mbn_scalar_value(sum[p], m, tail + 4 + n % 2, tail + 6 + n % 2, shift);
                    out[n * plane_bytes + y * row_bytes + x + p] =
                        (int8_t)mbn_scalar_clamp(value, low, high);
                }
                x += size;
                left -= size;
            }
        }
    }
    return 0;
}

#endif
