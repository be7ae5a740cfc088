/* Element-wise bodies on cores with the DSP extension: additions, products, tables.
 *
 * What enters: rows of any length. What leaves: a row of the same length. Always holds: the same
 * bits as the scalar set's bodies; nothing beyond `count` is read or written.
 */
#ifndef MBN_DSP_ELEMENTS_H
#define MBN_DSP_ELEMENTS_H

#include "dsp/instructions.h"

/* The clamp: one SSAT where it is int8's own range. */
MBN_INLINE int8_t mbn_dsp_clamped(int32_t value, const int32_t low, const int32_t high)
{
    if (low == -128 && high == 127) {
        return (int8_t)mbn_ssat8(value);
    }
    value = value < low ? low : value;
    return (int8_t)(value > high ? high : value);
}

/* mbn_scalar_add for r from 9 to 30: the sum is below 2^40, so its middle 32 bits hold what is
 * shifted. Four values a turn, whose loads come in a row. */
MBN_INLINE int32_t mbn_dsp_add(const int8_t *a, const int8_t *b, int8_t *out, int32_t count,
                               const int32_t *table, const int32_t r, const int32_t low,
                               const int32_t high)
{
    const int32_t first = table[0], second = table[1];
    const int64_t offset = (int64_t)((uint64_t)(uint32_t)table[3] << 32 | (uint32_t)table[2]);
    int32_t k = 0;
    for (; k + 4 <= count; k += 4) {
        const int32_t a0 = a[k], a1 = a[k + 1], a2 = a[k + 2], a3 = a[k + 3];
        const int32_t b0 = b[k], b1 = b[k + 1], b2 = b[k + 2], b3 = b[k + 3];
        const int64_t s0 = offset + (int64_t)a0 * first + (int64_t)b0 * second;
        const int64_t s1 = offset + (int64_t)a1 * first + (int64_t)b1 * second;
        out[k] = mbn_dsp_clamped((int32_t)(s0 >> r), low, high);
        out[k + 1] = mbn_dsp_clamped((int32_t)(s1 >> r), low, high);
        const int64_t s2 = offset + (int64_t)a2 * first + (int64_t)b2 * second;
        const int64_t s3 = offset + (int64_t)a3 * first + (int64_t)b3 * second;
        out[k + 2] = mbn_dsp_clamped((int32_t)(s2 >> r), low, high);
        out[k + 3] = mbn_dsp_clamped((int32_t)(s3 >> r), low, high);
    }
    for (; k < count; k++) {
        const int64_t sum = offset + (int64_t)a[k] * first + (int64_t)b[k] * second;
        out[k] = mbn_dsp_clamped((int32_t)(sum >> r), low, high);
    }
    return 0;
}

/* One value of a product, (a - first) * factor, in rounding `single`. */
MBN_INLINE int8_t mbn_dsp_multiplied(int32_t a, int32_t factor, int32_t start, int32_t doubled,
                                     const int32_t shift, const int32_t low, const int32_t high)
{
    const int32_t sum = (int32_t)((uint32_t)(a * factor) << shift) + start;
    return mbn_dsp_clamped(mbn_smmulr(sum, doubled), low, high);
}

/* A row times one factor: start is offset - first * factor << shift. */
MBN_INLINE int32_t mbn_dsp_gate(const int8_t *a, const int8_t *gate, int8_t *out, int32_t count,
                                const int32_t first, const int32_t second, const int32_t doubled,
                                const int32_t offset, const int32_t shift, const int32_t low,
                                const int32_t high)
{
    const int32_t factor = gate[0] - second;
    const int32_t start = offset - (int32_t)((uint32_t)(first * factor) << shift);
    int32_t k = 0;
    for (; k + 4 <= count; k += 4) {
        const int32_t a0 = a[k], a1 = a[k + 1], a2 = a[k + 2], a3 = a[k + 3];
        out[k] = mbn_dsp_multiplied(a0, factor, start, doubled, shift, low, high);
        out[k + 1] = mbn_dsp_multiplied(a1, factor, start, doubled, shift, low, high);
        out[k + 2] = mbn_dsp_multiplied(a2, factor, start, doubled, shift, low, high);
        out[k + 3] = mbn_dsp_multiplied(a3, factor, start, doubled, shift, low, high);
    }
    for (; k < count; k++) {
        out[k] = mbn_dsp_multiplied(a[k], factor, start, doubled, shift, low, high);
    }
    return 0;
}

/* Two rows, value by value. */
MBN_INLINE int32_t mbn_dsp_product(const int8_t *a, const int8_t *b, int8_t *out, int32_t count,
                                   const int32_t first, const int32_t second, const int32_t doubled,
                                   const int32_t offset, const int32_t shift, const int32_t low,
                                   const int32_t high)
{
    for (int32_t k = 0; k < count; k++) {
        out[k] = mbn_dsp_multiplied(a[k] - first, b[k] - second, offset, doubled, shift, low, high);
    }
    return 0;
}

/* A row looked up; table: what -128 is becomes first. Four values a turn: a word in, a word out. */
MBN_INLINE int32_t mbn_dsp_table(const int8_t *row, int8_t *out, int32_t count, const int8_t *table)
{
    const uint8_t *codes = (const uint8_t *)table;
    int32_t k = 0;
    for (; k + 4 <= count; k += 4) {
        const uint32_t word = mbn_load32(row + k) ^ UINT32_C(0x80808080);
        uint32_t made = codes[word & 0xffu];
        made |= (uint32_t)codes[word >> 8 & 0xffu] << 8;
        made |= (uint32_t)codes[word >> 16 & 0xffu] << 16;
        made |= (uint32_t)codes[word >> 24] << 24;
        __builtin_memcpy(out + k, &made, sizeof made);
    }
    for (; k < count; k++) {
        out[k] = table[row[k] + 128];
    }
    return 0;
}

#endif
