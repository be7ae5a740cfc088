/* Blocked bodies of the scalar kernel set: they compute a few outputs at once, so that each byte
 * loaded is used in several products, then requantise, clamp and store them.
 *
 * The input is int8 rows or a tile, weights, and one table for each word that requantises
 * (scalar/kernels.h; a word that the rounding lacks is not read). The output is up to three pixels
 * of one or two planes. Counts, strides, `shift`, `low` and `high` are constants once inlined. Only
 * the named bytes are read. The compiler has proved that sums fit, in any order.
 */
#ifndef MBN_SCALAR_BLOCKED_H
#define MBN_SCALAR_BLOCKED_H

#include "scalar/armv6m.h"
#include "scalar/couples.h"
#include "scalar/kernels.h"

/* Requantises, clamps and stores one channel's pixels, sum[p * apart] each; `lift` is added to what
 * is stored. */
MBN_INLINE void mbn_scalar_store(const int32_t *sum, int32_t apart, int32_t pixels, int32_t m,
                                 const int32_t *z, const int32_t *e, int8_t *out, int32_t shift,
                                 int32_t low, int32_t high, int32_t lift)
{
    MBN_UNROLL
    for (int32_t p = 0; p < pixels; p++) {
        const int32_t value = mbn_scalar_value(sum[p * apart], m, z, e, shift);
        out[p] = (int8_t)(mbn_scalar_clamp(value, low, high) + lift);
    }
}

/* One tap: sum[p * channels + n] += x[p * across] * w[n]. Loads first, side by side: on the
 * Cortex-M3 only the first of a run of loads takes two cycles. */
MBN_INLINE void mbn_scalar_tap(int32_t *sum, const int8_t *x, const int8_t *w, int32_t across,
                               int32_t pixels, int32_t channels)
{
    int32_t weight[2], value[3];
    MBN_UNROLL
    for (int32_t n = 0; n < channels; n++) {
        weight[n] = w[n];
    }
    MBN_UNROLL
    for (int32_t p = 0; p < pixels; p++) {
        value[p] = x[p * across];
    }
    MBN_UNROLL
    for (int32_t p = 0; p < pixels; p++) {
        MBN_UNROLL
        for (int32_t n = 0; n < channels; n++) {
            sum[p * channels + n] += value[p] * weight[n];
        }
    }
}

/* ARMv7-M without the DSP extension. The asm takes constants, which inlining must have found. */
#if defined(__ARM_ARCH_7M__) && !defined(MBN_PORTABLE)
#define MBN_V7_TAPS 1
#else
#define MBN_V7_TAPS 0
#endif

#if MBN_V7_TAPS
/* gcc would move the loads apart, and each would then take two cycles. */
#define MBN_V7_TAP(K)                                                                              \
    "ldrsb.w %[w0], [%[w], #2*" #K "]\n\t"                                                         \
    "ldrsb.w %[w1], [%[w], #2*" #K "+1]\n\t"                                                       \
    "ldrsb.w %[x0], [%[x], #%c[step]*" #K "]\n\t"                                                  \
    "ldrsb.w %[x1], [%[x], #%c[step]*" #K "+%c[across]]\n\t"                                       \
    "ldrsb.w %[x2], [%[x], #%c[step]*" #K "+2*%c[across]]\n\t"                                     \
    "mla %[s0], %[x0], %[w0], %[s0]\n\t"                                                          \
    "mla %[s1], %[x0], %[w1], %[s1]\n\t"                                                          \
    "mla %[s2], %[x1], %[w0], %[s2]\n\t"                                                          \
    "mla %[s3], %[x1], %[w1], %[s3]\n\t"                                                          \
    "mla %[s4], %[x2], %[w0], %[s4]\n\t"                                                          \
    "mla %[s5], %[x2], %[w1], %[s5]\n\t"

/* Four taps of three pixels by two channels. */
MBN_INLINE void mbn_scalar_four(int32_t *sum, const int8_t **x, const int8_t **w, int32_t step,
                                int32_t across)
{
    int32_t x0, x1, x2, w0, w1;
    __asm__(MBN_V7_TAP(0) MBN_V7_TAP(1) MBN_V7_TAP(2) MBN_V7_TAP(3)
            : [s0] "+r"(sum[0]), [s1] "+r"(sum[1]), [s2] "+r"(sum[2]), [s3] "+r"(sum[3]),
              [s4] "+r"(sum[4]), [s5] "+r"(sum[5]), [x0] "=&r"(x0), [x1] "=&r"(x1), [x2] "=&r"(x2),
              [w0] "=&r"(w0), [w1] "=&r"(w1)
            : [x] "r"(*x), [w] "r"(*w), [step] "i"(step), [across] "i"(across)
            : "memory");
    *x += 4 * step;
    *w += 8;
}
#endif

/* sum[p * channels + n] += x[k * step + p * across] . w[k * channels + n] over `taps`. */
MBN_INLINE void mbn_scalar_sums(int32_t *sum, const int8_t *x, const int8_t *w, int32_t taps,
                                int32_t step, int32_t across, int32_t pixels, int32_t channels)
{
#if defined(MBN_V6)
    if (channels == 2 && (pixels == 1 || across == 1)) {
        mbn_v6_sums(sum, x, w, taps, step, pixels);
        return;
    }
#endif
    const int8_t *const last = w + taps / 4 * 4 * channels;
    while (w != last) {
#if MBN_V7_TAPS
        if (channels == 2 && pixels == 3 && 3 * step + 2 * across < 4096) {
            mbn_scalar_four(sum, &x, &w, step, across);
            continue;
        }
#endif
        MBN_UNROLL
        for (int32_t k = 0; k < 4; k++) {
            mbn_scalar_tap(sum, x + k * step, w + k * channels, across, pixels, channels);
        }
        x += 4 * step;
        w += 4 * channels;
    }
    MBN_UNROLL
    for (int32_t k = 0; k < taps % 4; k++) {
        mbn_scalar_tap(sum, x + k * step, w + k * channels, across, pixels, channels);
    }
}

/* Up to three pixels by one or two channels: x[k * step + p * across] . w[k * channels + n] over
 * `taps`, bias[n] first; channel n to out[n * plane], pixel by pixel. */
MBN_INLINE int32_t mbn_scalar_block(const int8_t *x, const int8_t *w, const int32_t *bias,
                                    const int32_t *m, const int32_t *z, const int32_t *e,
                                    int8_t *out, int32_t taps, int32_t step, int32_t across,
                                    int32_t pixels, int32_t channels, int32_t plane, int32_t shift,
                                    int32_t low, int32_t high)
{
    int32_t sum[6];
    MBN_UNROLL
    for (int32_t p = 0; p < pixels; p++) {
        MBN_UNROLL
        for (int32_t n = 0; n < channels; n++) {
            sum[p * channels + n] = bias[n];
        }
    }
    mbn_scalar_sums(sum, x, w, taps, step, across, pixels, channels);
    MBN_UNROLL
    for (int32_t n = 0; n < channels; n++) {
        mbn_scalar_store(sum + n, channels, pixels, m[n], z + n, e + n, out + n * plane, shift, low,
                         high, 0);
    }
    return 0;
}

/* One kernel row of a 3x3 depthwise. The first `left` and last `right` columns that the pixels
 * need lie outside the map and hold `zero`; row points at the first column inside. */
MBN_INLINE void mbn_scalar_depthwise_line(int32_t *sum, const int8_t *row, const int8_t *w,
                                          int32_t stride, int32_t step, int32_t pixels,
                                          int32_t left, int32_t right, int32_t zero)
{
    const int32_t columns = (pixels - 1) * stride + 3;
    const int32_t weight[3] = {w[0], w[1], w[2]};
    MBN_FULLY
    for (int32_t i = 0; i < columns; i++) {
        const int32_t outside = i < left || i >= columns - right;
        const int32_t value = outside ? zero : row[(i - left) * step];
        MBN_UNROLL
        for (int32_t p = 0; p < pixels; p++) {
            const int32_t k = i - p * stride;
            if (k >= 0 && k < 3) {
                sum[p] += value * weight[k];
            }
        }
    }
}

/* Up to three pixels of one channel of a 3x3 depthwise, side by side in out. lifted: out is a tile
 * of scalar/couples.h. */
MBN_INLINE int32_t mbn_scalar_depthwise(const int8_t *row0, const int8_t *row1, const int8_t *row2,
                                        const int8_t *w, const int32_t *bias, const int32_t *m,
                                        const int32_t *z, const int32_t *e, int8_t *out,
                                        int32_t stride, int32_t step, int32_t pixels, int32_t left,
                                        int32_t right, int32_t zero, int32_t lifted, int32_t shift,
                                        int32_t low, int32_t high)
{
    int32_t sum[3];
    MBN_UNROLL
    for (int32_t p = 0; p < pixels; p++) {
        sum[p] = *bias;
    }
    mbn_scalar_depthwise_line(sum, row0, w, stride, step, pixels, left, right, zero);
    mbn_scalar_depthwise_line(sum, row1, w + 3, stride, step, pixels, left, right, zero);
    mbn_scalar_depthwise_line(sum, row2, w + 6, stride, step, pixels, left, right, zero);
    mbn_scalar_store(sum, 1, pixels, *m, z, e, out, shift, low, high, lifted ? MBN_TILE_LIFT : 0);
    return 0;
}

/* A kernel row of up to three pixels' windows, [column][channel][pixel]. Values lie `between` bytes
 * apart from channel to channel and `beside` from column to column. The first `left` and last
 * `right` columns that the pixels need lie outside the map and hold `zero`; source points at the
 * first column inside. lifted: `to` is a tile of scalar/couples.h. */
MBN_INLINE int32_t mbn_scalar_windows(const int8_t *source, int8_t *to, int32_t channels,
                                      int32_t between, int32_t beside, int32_t across,
                                      int32_t stride, int32_t pixels, int32_t left, int32_t right,
                                      int32_t zero, int32_t lifted)
{
    const int32_t columns = (pixels - 1) * stride + across, lift = lifted ? MBN_TILE_LIFT : 0;
    for (int32_t c = 0; c < channels; c++) {
        MBN_FULLY
        for (int32_t i = 0; i < columns; i++) {
            const int32_t outside = i < left || i >= columns - right;
            const int32_t value = outside ? zero : source[(i - left) * beside];
            MBN_UNROLL
            for (int32_t p = 0; p < pixels; p++) {
                const int32_t k = i - p * stride;
                if (k >= 0 && k < across) {
                    to[k * channels * pixels + p] = (int8_t)(value + lift);
                }
            }
        }
        source += between;
        to += pixels;
    }
    return 0;
}

#endif
