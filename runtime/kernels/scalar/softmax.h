/* The softmax of rounding `tflite`: `count` int8 logits to int8 of scale 1/256, zero point -128.
 *
 * The scale of the logits is given as Q31 `multiplier` and `left` shift; `least` is the smallest
 * difference from the largest logit that counts. `count` is at most 4095. The bits are those of
 * TensorFlow Lite's reference_ops::Softmax (gemmlowp's fixed point). It uses integers only, and no
 * table.
 */
#ifndef MBN_SCALAR_SOFTMAX_H
#define MBN_SCALAR_SOFTMAX_H

#include "scalar/kernels.h"

/* 2^exponent * x, saturated. */
MBN_INLINE int32_t mbn_multiply_by_pot(int32_t x, int32_t exponent)
{
    int64_t wide = (int64_t)x * (INT64_C(1) << exponent);
    return wide > INT32_MAX ? INT32_MAX : wide < INT32_MIN ? INT32_MIN : (int32_t)wide;
}

/* exp(a) in Q0.31 for a in [-1/4, 0), Q0.31: a Taylor series about -1/8. */
MBN_INLINE int32_t mbn_exp_near_zero(int32_t a)
{
    const int32_t constant_term = 1895147668, one_third = 715827883;
    int32_t x = a + (1 << 28);
    int32_t x2 = mbn_high_multiply(x, x);
    int32_t x3 = mbn_high_multiply(x2, x), x4 = mbn_high_multiply(x2, x2);
    int32_t higher = mbn_high_multiply(mbn_divide_by_pot(x4, 2) + x3, one_third) + x2;
    return constant_term + mbn_high_multiply(x + mbn_divide_by_pot(higher, 1), constant_term);
}

/* exp(a) in Q0.31 for a <= 0, Q5.26. */
static inline __attribute__((unused)) int32_t mbn_exp_negative(int32_t a)
{
    /* exp(-2^k), k = -2 .. 4 */
    static const int32_t factors[7] = {1672461947, 1302514674, 790015084, 290630308,
                                       39332535,   720401,     242};
    const int32_t quarter = 1 << 24;
    if (a == 0) {
        return INT32_MAX;
    }
    int32_t part = (a & (quarter - 1)) - quarter;
    int32_t result = mbn_exp_near_zero(part * 32);
    uint32_t remainder = (uint32_t)part - (uint32_t)a;
    for (uint32_t k = 0; k < 7u; k++) {
        if ((remainder & (UINT32_C(1) << (24u + k))) != 0u) {
            result = mbn_high_multiply(result, factors[k]);
        }
    }
    return result;
}

/* 1 / (1 + a) in Q0.31 for a in [0, 1), Q0.31: Newton's division in Q2.29, three steps. */
MBN_INLINE int32_t mbn_one_over_one_plus(int32_t a)
{
    int32_t half = (int32_t)(((int64_t)a + INT32_MAX + 1) >> 1);
    int32_t x = 1515870810 + mbn_high_multiply(half, -1010580540); /* 48/17, -32/17 */
    for (int32_t k = 0; k < 3; k++) {
        int32_t rest = (1 << 29) - mbn_high_multiply(half, x);
        x += mbn_multiply_by_pot(mbn_high_multiply(x, rest), 2);
    }
    return mbn_multiply_by_pot(x, 1);
}

/* The exponential of a logit's difference from the largest. */
MBN_INLINE int32_t mbn_softmax_exp(int32_t difference, int32_t multiplier, int32_t left)
{
    int32_t scaled = difference * (int32_t)(UINT32_C(1) << left);
    return mbn_exp_negative(mbn_high_multiply(scaled, multiplier));
}

/* Logits lie `step` bytes apart, results `apart`: a pixel of a map that lies by channels. */
static inline __attribute__((unused)) int32_t mbn_softmax_apart(const int8_t *logits, int8_t *out,
                                                                int32_t count, int32_t step,
                                                                int32_t apart, int32_t multiplier,
                                                                int32_t left, int32_t least)
{
    int32_t largest = -128;
    uint32_t total = 0; /* Q12.19 */
    for (int32_t k = 0; k < count; k++) {
        largest = logits[k * step] > largest ? logits[k * step] : largest;
    }
    for (int32_t k = 0; k < count; k++) {
        int32_t difference = logits[k * step] - largest;
        if (difference >= least) {
            int32_t value = mbn_softmax_exp(difference, multiplier, left);
            total += (uint32_t)mbn_divide_by_pot(value, 12);
        }
    }
    int32_t leading = 0; /* total is not 0: the largest adds 2^19 */
    while ((total << leading) < UINT32_C(0x80000000)) {
        leading++;
    }
    int32_t scale = mbn_one_over_one_plus((int32_t)((total << leading) - UINT32_C(0x80000000)));
    int32_t shift = 12 - leading + 31 - 8; /* above 31 where hundreds of classes are alike */
    for (int32_t k = 0; k < count; k++) {
        int32_t value = -128, difference = logits[k * step] - largest;
        if (difference >= least && shift <= 31) {
            int32_t exponential = mbn_softmax_exp(difference, multiplier, left);
            value += mbn_divide_by_pot(mbn_high_multiply(scale, exponential), shift);
        }
        out[k * apart] = (int8_t)(value > 127 ? 127 : value);
    }
    return 0;
}

static inline __attribute__((unused)) int32_t mbn_softmax(const int8_t *logits, int8_t *out,
                                                          int32_t count, int32_t multiplier,
                                                          int32_t left, int32_t least)
{
    return mbn_softmax_apart(logits, out, count, 1, 1, multiplier, left, least);
}

#endif
