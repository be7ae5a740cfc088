/* Depthwise up to 4x4 into the pointwise's tile for cores with Helium, in C.
 *
 * The fast bodies are functions of network.S (compiler/mbn/passes/kernels/asm/depthwise_mve.py).
 * For each four channels, the last of which are the last four, there are 16 bytes of weights a
 * channel (byte 4 * kx + ky, zeros where the kernel is smaller), bias[4], 2m[4] (m[4] in rounding
 * `tflite`), and four each of the other words that requantise (mbn_mve_store_value in
 * mve/instructions.h).
 */
#ifndef MBN_MVE_DEPTHWISE_H
#define MBN_MVE_DEPTHWISE_H

#include "mve/instructions.h"

/* `lines` lines of outputs (1 or 2) of all channels, as int8 in the tile, byte pixel * depth +
 * channel. row_pointers: the planes' rows, of the first channel; those of the second line's window
 * begin `below` rows lower. left: columns of zero points before a row. All but the pointers are
 * constants. */
MBN_INLINE int32_t mbn_mve_depthwise_band(const int8_t *const *row_pointers, const int32_t *words,
                                          int8_t *tile, const int32_t rows, const int32_t lines,
                                          const int32_t below, const int32_t outputs,
                                          const int32_t stride, const int32_t channels,
                                          const int32_t plane_bytes, const int32_t left,
                                          const int32_t width, const int32_t zero_point,
                                          const int32_t depth, const int32_t shift,
                                          const int32_t low, const int32_t high)
{
    const int32_t others = shift == MBN_TFLITE_ANY ? 5 : shift == MBN_TFLITE ? 2 : shift ? 1 : 0;
    for (int32_t c = 0; c < channels; c++) {
        const int32_t twice = channels > 4 && c >= channels / 4 * 4 ? (4 - channels % 4) % 4 : 0;
        const int32_t lane = (c + twice) % 4;
        const int32_t *group = words + (c + twice) / 4 * (24 + 4 * others);
        const int8_t *weights = (const int8_t *)group + 16 * lane;
        const int32_t factor = group[20 + lane];
        for (int32_t at = 0; at < lines * outputs; at++) {
            const int32_t line = at / outputs, from = at % outputs * stride - left;
            int32_t sum = group[16 + lane];
            for (int32_t k = 0; k < 16; k++) {
                const int32_t row = k % 4 + line * below, x = from + k / 4;
                if (row < rows) {
                    const int8_t *plane = row_pointers[row] + c * plane_bytes;
                    sum += weights[k] * (x >= 0 && x < width ? plane[x] : zero_point);
                }
            }
            tile[at * depth + c] = mbn_mve_store_value(sum, shift < 0 ? factor : factor / 2,
                                                       group + 24 + lane, 4, shift, low, high);
        }
    }
    return 0;
}

#endif
