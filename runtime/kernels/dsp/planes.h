/* A depthwise of 3 x 3 or 5 x 5, stride 1 or 2, from planes to planes.
 *
 * What enters: a channel's rows and its words: bias; for each kernel row the pairs (w0, w2),
 * (w1, w3) and w4 as halfwords (3 x 3: (w0, w2), w1); then what requantises. What leaves: four
 * neighbouring outputs, the last ones of a row perhaps in the plane's padding. Always holds: of
 * columns P_d = (x_d, x_d+2) is one register, so that SMLAD takes two taps at a time.
 */
#ifndef MBN_DSP_PLANES_H
#define MBN_DSP_PLANES_H

#include "dsp/fill.h"
#include "dsp/requantise.h"

/* (x_d+2, x_d+4) from (x_d, x_d+2) and (x_d+4, x_d+6). */
MBN_INLINE uint32_t mbn_dsp_between(uint32_t low, uint32_t high)
{
#if MBN_DSP
    uint32_t out;
    __asm__("pkhtb %0, %1, %2, asr #16" : "=r"(out) : "r"(high << 16), "r"(low));
    return out;
#else
    return low >> 16 | high << 16;
#endif
}

/* One kernel row's products, added to four sums. words: the row's pairs of weights. */
MBN_INLINE void mbn_dsp_plane_row(const int8_t *row, const int32_t *words, int32_t y[4],
                                  const int32_t first, const int32_t width, const int32_t taps,
                                  const int32_t stride, const int32_t edge,
                                  const uint32_t zero_points)
{
    const uint32_t x0 = mbn_dsp_columns(row, first, width, edge, zero_points);
    const uint32_t x4 = mbn_dsp_columns(row, first + 4, width, edge, zero_points);
    const uint32_t w02 = (uint32_t)words[0], w13 = (uint32_t)words[1];
    const uint32_t p0 = mbn_sxtb16(x0), p1 = mbn_sxtb16_ror8(x0);
    const uint32_t p4 = mbn_sxtb16(x4), p5 = mbn_sxtb16_ror8(x4);
    const uint32_t p2 = mbn_dsp_between(p0, p4);
    if (stride == 1) {
        const uint32_t p3 = mbn_dsp_between(p1, p5);
        y[0] = mbn_smlad(p0, w02, y[0]), y[1] = mbn_smlad(p1, w02, y[1]);
        y[2] = mbn_smlad(p2, w02, y[2]), y[3] = mbn_smlad(p3, w02, y[3]);
        if (taps == 3) {
            y[0] = mbn_smlabb(p1, w13, y[0]), y[1] = mbn_smlatb(p0, w13, y[1]);
            y[2] = mbn_smlatb(p1, w13, y[2]), y[3] = mbn_smlabb(p4, w13, y[3]);
            return;
        }
        const uint32_t w4 = (uint32_t)words[2];
        y[0] = mbn_smlad(p1, w13, y[0]), y[1] = mbn_smlad(p2, w13, y[1]);
        y[2] = mbn_smlad(p3, w13, y[2]), y[3] = mbn_smlad(p4, w13, y[3]);
        y[0] = mbn_smlabb(p4, w4, y[0]), y[1] = mbn_smlabb(p5, w4, y[1]);
        y[2] = mbn_smlatb(p4, w4, y[2]), y[3] = mbn_smlatb(p5, w4, y[3]);
        return;
    }
    const uint32_t x8 = mbn_dsp_columns(row, first + 8, width, edge, zero_points);
    const uint32_t p8 = mbn_sxtb16(x8), p6 = mbn_dsp_between(p4, p8);
    y[0] = mbn_smlad(p0, w02, y[0]), y[1] = mbn_smlad(p2, w02, y[1]);
    y[2] = mbn_smlad(p4, w02, y[2]), y[3] = mbn_smlad(p6, w02, y[3]);
    if (taps == 3) {
        y[0] = mbn_smlabb(p1, w13, y[0]), y[1] = mbn_smlatb(p1, w13, y[1]);
        y[2] = mbn_smlabb(p5, w13, y[2]), y[3] = mbn_smlatb(p5, w13, y[3]);
        return;
    }
    const uint32_t w4 = (uint32_t)words[2], p9 = mbn_sxtb16_ror8(x8);
    y[0] = mbn_smlad(p1, w13, y[0]), y[1] = mbn_smlad(mbn_dsp_between(p1, p5), w13, y[1]);
    y[2] = mbn_smlad(p5, w13, y[2]), y[3] = mbn_smlad(mbn_dsp_between(p5, p9), w13, y[3]);
    y[0] = mbn_smlabb(p4, w4, y[0]), y[1] = mbn_smlatb(p4, w4, y[1]);
    y[2] = mbn_smlabb(p8, w4, y[2]), y[3] = mbn_smlatb(p8, w4, y[3]);
}

/* Four outputs of a channel. first: the column of the first output's first tap; all but pointers,
 * and first where not `edge`, are constants. */
MBN_INLINE int32_t mbn_dsp_plane(const int8_t *row0, const int8_t *row1, const int8_t *row2,
                                 const int8_t *row3, const int8_t *row4, const int32_t *words,
                                 int8_t *out, const int32_t first, const int32_t width,
                                 const int32_t taps, const int32_t stride, const int32_t edge,
                                 const int32_t zero_point, const int32_t shift, const int32_t low,
                                 const int32_t high)
{
    const uint32_t zero_points = UINT32_C(0x01010101) * (uint8_t)zero_point;
    const int32_t each = (taps + 1) / 2;
    int32_t y[4] = {words[0], words[0], words[0], words[0]};
    const int32_t *w = words + 1;
    mbn_dsp_plane_row(row0, w, y, first, width, taps, stride, edge, zero_points);
    mbn_dsp_plane_row(row1, w + each, y, first, width, taps, stride, edge, zero_points);
    mbn_dsp_plane_row(row2, w + 2 * each, y, first, width, taps, stride, edge, zero_points);
    if (taps == 5) {
        mbn_dsp_plane_row(row3, w + 3 * each, y, first, width, taps, stride, edge, zero_points);
        mbn_dsp_plane_row(row4, w + 4 * each, y, first, width, taps, stride, edge, zero_points);
    }
    const mbn_dsp_requantiser by = mbn_dsp_requantiser_of(w + taps * each, 1, shift);
    MBN_UNROLL
    for (int32_t k = 0; k < 4; k++) {
        out[k] = (int8_t)mbn_dsp_store_value(y[k], by, shift, low, high);
    }
    return 0;
}

#endif
