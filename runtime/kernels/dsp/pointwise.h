/* Pointwise convolution (and any convolution after im2col) for cores with the DSP extension, in C.
 *
 * The tile holds int16 pairs [group of pixels][pair j][place]: channel j in the low half, channel
 * j + pairs in the high half. A group has four places, of which the M7 uses three. The weights are
 * one stream for each two output channels n, n + 1:
 *     bias[n], bias[n + 1]
 *     pairs words of bytes w[n][j], w[n + 1][j], w[n][j + pairs], w[n + 1][j + pairs]
 *     what requantises n and n + 1, word by word (dsp/requantise.h).
 * In a raw stream the halfwords are 256 * w[n + 1] + w[n], and the biases 256 * bias[n + 1] +
 * bias[n], bias[n]: see compiler/mbn/passes/kernels/asm/pointwise.py, which writes the same as
 * assembly.
 */
#ifndef MBN_DSP_POINTWISE_H
#define MBN_DSP_POINTWISE_H

#include "dsp/requantise.h"

/* The sums of one pixel by a stream's two channels. raw: the stream's form, see above. */
MBN_INLINE void mbn_dsp_dot(const uint32_t *tile, const int32_t *stream, const int32_t pairs,
                            const int32_t raw, int32_t sums[2])
{
    int32_t first = stream[0], second = stream[1];
    for (int32_t k = 0; k < pairs; k++) {
        const uint32_t x = mbn_load32(tile + 4 * k), w = mbn_load32(stream + 2 + k);
        first = mbn_smlad(x, raw ? w : mbn_sxtb16(w), first);
        second = mbn_smlad(x, raw ? mbn_sxtb16(w) : mbn_sxtb16_ror8(w), second);
    }
    sums[0] = raw ? second : first;
    sums[1] = raw ? (int32_t)((uint32_t)first - (uint32_t)second) >> 8 : second;
}

/* rows x width pixels by `couples` pairs of output channels (`channels` 1: one of each). Rows begin
 * row_pixels places of the tile apart. All but the pointers are constants. */
MBN_INLINE int32_t mbn_dsp_band(const int16_t *tile, const int32_t *stream, int8_t *out,
                                const int32_t couples, const int32_t channels, const int32_t rows,
                                const int32_t width, const int32_t row_pixels,
                                const int32_t row_bytes, const int32_t plane_bytes,
                                const int32_t pairs, const int32_t raw, const int32_t shift,
                                const int32_t low, const int32_t high)
{
    const int32_t words = shift < 0 ? 3 : shift ? 2 : 1;
    for (int32_t n = 0; n < couples; n++) {
        const int32_t *tail = stream + 2 + pairs;
        for (int32_t y = 0; y < rows; y++) {
            for (int32_t x = 0; x < width; x++) {
                const int32_t place = y * row_pixels + x;
                const int16_t *const from =
                    tile + 8 * pairs * (place / MBN_DSP_GROUP) + 2 * (place % MBN_DSP_GROUP);
                int32_t sums[2];
                mbn_dsp_dot((const void *)from, stream, pairs, raw, sums);
                for (int32_t c = 0; c < channels; c++) {
                    const mbn_dsp_requantiser by = mbn_dsp_requantiser_of(tail + c, 2, shift);
                    out[c * plane_bytes + y * row_bytes + x] =
                        (int8_t)mbn_dsp_store_value(sums[c], by, shift, low, high);
                }
            }
        }
        stream += 2 + pairs + 2 * words;
        out += 2 * plane_bytes;
    }
    return 0;
}

/* One group of `pixels` pixels by `couples` pairs of output channels; pixels 2 and 3 lie `jump`
 * bytes further. */
MBN_INLINE int32_t mbn_dsp_any(const int16_t *tile, const int32_t *stream, int8_t *out,
                               int32_t pairs, int32_t couples, int32_t plane_bytes, int32_t jump,
                               const int32_t pixels, const int32_t raw)
{
    for (int32_t x = 0; x < pixels; x++) {
        mbn_dsp_band(tile + 2 * x, stream, out + x + (x >= 2 ? jump : 0), couples, 2, 1, 1, 1, 0,
                     plane_bytes, pairs, raw, 0, -128, 127);
    }
    return 0;
}

#endif
