/* Fills the pointwise's tile from a map, four pixels or one pixel's kernel row at a time.
 *
 * Bytes of a row become int16 pairs in one group of the tile, with eight halfwords from a pair to
 * the next. A word's bytes become the pairs (b0, b2) and (b1, b3), by one SXTB16 each. Nothing
 * beyond the given bytes is read, apart from the rest of a plane's last word.
 */
#ifndef MBN_DSP_FILL_H
#define MBN_DSP_FILL_H

#include "dsp/instructions.h"

#define MBN_DSP_MOST_RUN 28 /* bytes of a kernel row: seven pixels of four channels */

MBN_INLINE void mbn_dsp_put(int16_t *to, uint32_t pair)
{
    __builtin_memcpy(to, &pair, sizeof pair);
}

/* A run of bytes from `source`, of which `before` and `after` lie beside the map. tile: the
 * pixel's first pair. behind: the pairs of the bytes left after the last word of each run;
 * `spill` of these bytes come before this run's. All but the pointers are constants. */
MBN_INLINE int32_t mbn_dsp_patch(const int8_t *source, int16_t *tile, int16_t *behind,
                                 const int32_t run, const int32_t spill, const int32_t before,
                                 const int32_t after, const int32_t zero_point)
{
    int8_t padded[MBN_DSP_MOST_RUN];
    if (before + after > 0) {
        for (int32_t k = 0; k < run; k++) {
            const int inside = k >= before && k < run - after;
            padded[k] = inside ? source[k - before] : (int8_t)zero_point;
        }
        source = padded;
    }
    MBN_UNROLL
    for (int32_t q = 0; q < run / 4; q++) {
        const uint32_t word = mbn_load32(source + 4 * q);
        mbn_dsp_put(tile + 16 * q, mbn_sxtb16(word));
        mbn_dsp_put(tile + 16 * q + 8, mbn_sxtb16_ror8(word));
    }
    MBN_UNROLL
    for (int32_t k = 0; k < run % 4; k++) {
        behind[(spill + k) / 2 * 8 + (spill + k) % 2] = source[run / 4 * 4 + k];
    }
    return 0;
}

/* Four pixels of a plane into the low halves of a pair, those of another plane (`both`) into the
 * high ones. */
MBN_INLINE int32_t mbn_dsp_interleave(const int8_t *low, const int8_t *high, int16_t *tile,
                                      const int32_t both)
{
    const uint32_t a = mbn_load32(low), b = both ? mbn_load32(high) : 0u;
    const uint32_t a02 = mbn_sxtb16(a), a13 = mbn_sxtb16_ror8(a);
    const uint32_t b02 = mbn_sxtb16(b), b13 = mbn_sxtb16_ror8(b);
    mbn_dsp_put(tile, (a02 & 0xffffu) | b02 << 16);
    mbn_dsp_put(tile + 2, (a13 & 0xffffu) | b13 << 16);
    mbn_dsp_put(tile + 4, a02 >> 16 | (b02 & 0xffff0000u));
    mbn_dsp_put(tile + 6, a13 >> 16 | (b13 & 0xffff0000u));
    return 0;
}

/* Four columns of a plane from `first` on, of which some may lie beside the map (`edge`, with all
 * but the pointer constant). Nothing outside of the plane is read; it has four bytes at least. */
MBN_INLINE uint32_t mbn_dsp_columns(const int8_t *plane, const int32_t first, const int32_t width,
                                    const int32_t edge, const uint32_t zero_points)
{
    if (!edge || (first >= 0 && first <= width - 4)) {
        return mbn_load32(plane + first);
    }
    if (first <= -4 || first >= width) {
        return zero_points;
    }
    uint32_t word;
    int32_t from = 0; /* the word's first column */
    if (width >= 4) {
        from = first < 0 ? 0 : width - 4;
        word = mbn_load32(plane + from);
    } else {
        const uint32_t inside = (UINT32_C(1) << (8 * width)) - 1u;
        word = (mbn_load32(plane) & inside) | (zero_points & ~inside);
    }
    if (first < from) {
        return word << (8 * (from - first)) | zero_points >> (32 - 8 * (from - first));
    }
    if (first > from) {
        return word >> (8 * (first - from)) | zero_points << (32 - 8 * (first - from));
    }
    return word;
}

/* One tap of a convolution for four pixels: `count` channels into the low halves of as many pairs,
 * those `high` bytes behind into the high ones; `alone`: the last pair has no high half. column:
 * of the first pixel's tap. stride: 1 or 2. */
MBN_INLINE int32_t mbn_dsp_window(const int8_t *row, int16_t *tile, const int32_t column,
                                  const int32_t count, const int32_t high,
                                  const int32_t plane_bytes, const int32_t width,
                                  const int32_t stride, const int32_t edge,
                                  const int32_t zero_point, const int32_t alone)
{
    const uint32_t zero_points = UINT32_C(0x01010101) * (uint8_t)zero_point;
    for (int32_t c = 0; c < count; c++) {
        const int8_t *const other = row + high;
        const int32_t both = !(alone && c == count - 1);
        const uint32_t a = mbn_dsp_columns(row, column, width, edge, zero_points);
        const uint32_t b = both ? mbn_dsp_columns(other, column, width, edge, zero_points) : 0u;
        const uint32_t a02 = mbn_sxtb16(a), b02 = mbn_sxtb16(b);
        uint32_t a13, b13;
        if (stride == 1) {
            a13 = mbn_sxtb16_ror8(a), b13 = mbn_sxtb16_ror8(b);
            mbn_dsp_put(tile, (a02 & 0xffffu) | b02 << 16);
            mbn_dsp_put(tile + 2, (a13 & 0xffffu) | b13 << 16);
            mbn_dsp_put(tile + 4, a02 >> 16 | (b02 & 0xffff0000u));
            mbn_dsp_put(tile + 6, a13 >> 16 | (b13 & 0xffff0000u));
        } else {
            a13 = mbn_sxtb16(mbn_dsp_columns(row, column + 4, width, edge, zero_points));
            b13 = both ? mbn_sxtb16(mbn_dsp_columns(other, column + 4, width, edge, zero_points))
                       : 0u;
            mbn_dsp_put(tile, (a02 & 0xffffu) | b02 << 16);
            mbn_dsp_put(tile + 2, a02 >> 16 | (b02 & 0xffff0000u));
            mbn_dsp_put(tile + 4, (a13 & 0xffffu) | b13 << 16);
            mbn_dsp_put(tile + 6, a13 >> 16 | (b13 & 0xffff0000u));
        }
        row += plane_bytes, tile += 8;
    }
    return 0;
}

/* 3x3 windows of `count` pixels of a colour image's rows, as asm/windows.py fills the tile. left,
 * right: columns of the first and last window that lie beside the map if `edge` has bit 0 or 1.
 * group: pixels of a group of the tile. All but the pointers and `edge` are constants. */
MBN_INLINE int32_t mbn_dsp_windows(const int8_t *row0, const int8_t *row1, const int8_t *row2,
                                   int16_t *tile, int32_t edge, const int32_t count,
                                   const int32_t stride, const int32_t left, const int32_t right,
                                   const int32_t group, const int32_t zero_point)
{
    const int8_t *const rows[] = {row0, row1, row2};
    const int32_t inside = ((count - 1) * stride - left + 3 - right) * 3;
    for (int32_t p = 0; p < count; p++) {
        int16_t *const to = tile + p / group * (14 * 8) + p % group * 2;
        for (int32_t ky = 0; ky < 3; ky++) {
            for (int32_t tap = 0; tap < 9; tap++) {
                const int32_t at = (p * stride - left) * 3 + tap;
                const int outside = ((edge & 1) && at < 0) || ((edge & 2) && at >= inside);
                int32_t pair = 4 * ky + tap / 4 * 2 + tap % 2, high = tap % 4 < 2;
                if (tap == 8) {
                    pair = 12 + ky / 2, high = ky % 2;
                }
                to[8 * pair + high] = outside ? (int8_t)zero_point : rows[ky][at];
            }
        }
    }
    return 0;
}

/* noipa: a constant that gcc found in all calls would cost registers that the asm needs */
#if defined(__clang__)
#define MBN_SHARED static __attribute__((noinline, unused)) int32_t
#else
#define MBN_SHARED static __attribute__((noipa, unused)) int32_t
#endif

/* A 3x3 window of three channels inside the map, as mbn_dsp_patch fills it: most first layers'. A
 * function, so that an image has it once. */
MBN_SHARED mbn_dsp_any_patch(const int8_t *row0, const int8_t *row1, const int8_t *row2,
                             int16_t *tile)
{
    mbn_dsp_patch(row0, tile, tile + 96, 9, 0, 0, 0, 0);
    mbn_dsp_patch(row1, tile + 32, tile + 96, 9, 1, 0, 0, 0);
    mbn_dsp_patch(row2, tile + 64, tile + 96, 9, 2, 0, 0, 0);
    return 0;
}

#endif
