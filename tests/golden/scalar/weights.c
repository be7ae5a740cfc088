/* tiny, compiled by mbn.
 *
 * Model:  deb1d855b3923536d5f726c4c6d9c2d3cee4ee7c0a57e37c659e10afb3df9b10
 * Input:  8x6x3 int8, real = 0.0078125 * (q - 0), stream
 * Output: 1x1x3 int8, real = 0.0625 * (q - 7)
 * Cost:   1983 multiply-accumulates, 195 parameters,
 *         216 bytes of arena, 327 bytes of weights and tables
 */
#include <stdalign.h>
#include <stdint.h>

/* weights.c */
extern const int8_t mbn_model_00_weights[108];
extern const alignas(4) int32_t mbn_model_00_conv_bias[4];
extern const alignas(4) int32_t mbn_model_00_conv_doubled[4];
extern const alignas(4) int32_t mbn_model_01_pointwise[18];
extern const int8_t mbn_model_01_depthwise[36];
extern const alignas(4) int32_t mbn_model_01_depthwise_bias[4];
extern const alignas(4) int32_t mbn_model_01_depthwise_doubled[4];
extern const alignas(4) int32_t mbn_model_02_pool_bias[1];
extern const alignas(4) int32_t mbn_model_02_pool_doubled[1];
extern const int8_t mbn_model_03_weights[15];
extern const alignas(4) int32_t mbn_model_03_conv_bias[3];
extern const alignas(4) int32_t mbn_model_03_conv_doubled[3];

/* Stage 0, stem: pairs of channels, (kh, kw, C) x 2; 108. */
const int8_t mbn_model_00_weights[108] = {
    -127, -19, -38, 70, 51, -96, -115, -7, -26, 82, 63, -84, -103, 5, -14, 94, 75, -72, -91, 17, -2,
    106, 87, -60, -79, 29, 10, 118, 99, -48, -67, 41, 22, -125, 111, -36, -55, 53, 34, -113, 123,
    -24, -43, 65, 46, -101, -120, -12, -31, 77, 58, -89, -108, 0, 89, -58, -77, 31, 12, 120, 101,
    -46, -65, 43, 24, -123, 113, -34, -53, 55, 36, -111, 125, -22, -41, 67, 48, -99, -118, -10, -29,
    79, 60, -87, -106, 2, -17, 91, 72, -75, -94, 14, -5, 103, 84, -63, -82, 26, 7, 115, 96, -51,
    -70, 38, 19, 127, 108, -39,
};

/* Stage 0, stem: folded bias; 4. */
const alignas(4) int32_t mbn_model_00_conv_bias[4] = {
    -131072, -130972, -130872, -130772,
};

/* Stage 0, stem: 2 m, the multiplier doubled; 4. */
const alignas(4) int32_t mbn_model_00_conv_doubled[4] = {
    4194304, 4194304, 4194304, 4194304,
};

/* Stage 1, pw: streams, two channels each; 3 x 6. */
const alignas(4) int32_t mbn_model_01_pointwise[18] = {
    -1083811327, 1914244531, 1482820992, -108444, 16777216, 16777216, -1976490549, 1038342014,
    1856676680, -102740, 16777216, 16777216, -2139033706, -2139053495, -83568, -65536, 16777216, 0,
};

/* Stage 1, pw: depthwise, C x (kh, kw); 36. */
const int8_t mbn_model_01_depthwise[36] = {
    -127, -38, 51, -115, -26, 63, -103, -14, 75, -91, -2, 87, -79, 10, 99, -67, 22, 111, -55, 34,
    123, -43, 46, -120, -31, 58, -108, -19, 70, -96, -7, 82, -84, 5, 94, -72,
};

/* Stage 1, pw: folded bias; 4. */
const alignas(4) int32_t mbn_model_01_depthwise_bias[4] = {
    -62720, -21148, -44856, -35924,
};

/* Stage 1, pw: 2 m, the multiplier doubled; 4. */
const alignas(4) int32_t mbn_model_01_depthwise_doubled[4] = {
    16777216, 16777216, 16777216, 16777216,
};

/* Stage 2, pool: folded bias; 1. */
const alignas(4) int32_t mbn_model_02_pool_bias[1] = {
    768,
};

/* Stage 2, pool: 2 m, the multiplier doubled; 1. */
const alignas(4) int32_t mbn_model_02_pool_doubled[1] = {
    715827882,
};

/* Stage 3, dense: pairs of channels, (kh, kw, C) x 2; 15. */
const int8_t mbn_model_03_weights[15] = {
    -127, 63, -38, -103, 51, -14, -115, 75, -26, -91, -2, 87, -79, 10, 99,
};

/* Stage 3, dense: folded bias; 3. */
const alignas(4) int32_t mbn_model_03_conv_bias[3] = {
    -25472, -1692, 22088,
};

/* Stage 3, dense: 2 m, the multiplier doubled; 3. */
const alignas(4) int32_t mbn_model_03_conv_doubled[3] = {
    4194304, 4194304, 4194304,
};
