/* Pointwise convolution (and any convolution after im2col) for cores with Helium, in C.
 *
 * The fast bodies are functions of network.S (compiler/mbn/passes/kernels/asm/pointwise_mve.py).
 * The tile is int8 [pixel][depth], with depth a multiple of 16 (padding may be anything, since its
 * weights are zero). The weights are one stream for each two output channels n, n + 1:
 *     for each 16 input channels: 16 weights of n, 16 of n + 1
 *     bias[n], bias[n + 1], m[n], m[n + 1], and pairs of the other words that requantise
 *     (mbn_mve_store_value in mve/instructions.h).
 */
#ifndef MBN_MVE_POINTWISE_H
#define MBN_MVE_POINTWISE_H

#include "mve/instructions.h"

/* rows x width pixels by all output channels. Rows begin row_bytes apart in the output, and one
 * behind the other in the tile. All but the pointers are constants. */
MBN_INLINE int32_t mbn_mve_band(const int8_t *tile, const int32_t *stream, int8_t *out,
                                const int32_t channels, const int32_t rows, const int32_t width,
                                const int32_t row_bytes, const int32_t plane_bytes,
                                const int32_t depth, const int32_t shift, const int32_t low,
                                const int32_t high)
{
    const int32_t words = shift == MBN_TFLITE_ANY ? 5 : shift == MBN_TFLITE ? 2 : shift ? 1 : 0;
    for (int32_t n = 0; n < channels; n++) {
        const int32_t *couple = stream + n / 2 * (depth / 2 + 4 + 2 * words);
        const int8_t *weights = (const int8_t *)couple + 16 * (n % 2);
        const int32_t *tail = couple + depth / 2 + n % 2;
        for (int32_t y = 0; y < rows; y++) {
            for (int32_t x = 0; x < width; x++) {
                const int8_t *pixel = tile + (y * width + x) * depth;
                int32_t sum = tail[0];
                for (int32_t k = 0; k < depth; k++) {
                    sum += pixel[k] * weights[32 * (k / 16) + k % 16];
                }
                out[n * plane_bytes + y * row_bytes + x] =
                    mbn_mve_store_value(sum, tail[2], tail + 4, 2, shift, low, high);
            }
        }
    }
    return 0;
}

#endif
