/* tiny, compiled by mbn.
 *
 * Model:  deb1d855b3923536d5f726c4c6d9c2d3cee4ee7c0a57e37c659e10afb3df9b10
 * Input:  8x6x3 int8, real = 0.0078125 * (q - 0), stream
 * Output: 1x1x3 int8, real = 0.0625 * (q - 7)
 * Cost:   1983 multiply-accumulates, 195 parameters,
 *         160 bytes of arena, 315 bytes of weights and tables
 */
#include <stdalign.h>
#include <stdint.h>

/* weights.c */
extern const int8_t mbn_model_00_weights[108];
extern const int32_t mbn_model_00_conv_bias[4];
extern const int32_t mbn_model_00_conv_doubled[4];
extern const int8_t mbn_model_01_depthwise[36];
extern const int32_t mbn_model_01_depthwise_bias[4];
extern const int32_t mbn_model_01_depthwise_doubled[4];
extern const int8_t mbn_model_01_weights[20];
extern const int32_t mbn_model_01_pointwise_bias[5];
extern const int32_t mbn_model_01_pointwise_doubled[5];
extern const int32_t mbn_model_02_pool_bias[1];
extern const int32_t mbn_model_02_pool_doubled[1];
extern const int8_t mbn_model_03_weights[15];
extern const int32_t mbn_model_03_conv_bias[3];
extern const int32_t mbn_model_03_conv_doubled[3];

/* Stage 0, stem: N x (kh, kw, C); 4 x 27. */
const alignas(4) int8_t mbn_model_00_weights[108] = {
    -127, -38, 51, -115, -26, 63, -103, -14, 75, -91, -2, 87, -79, 10, 99, -67, 22, 111, -55, 34,
    123, -43, 46, -120, -31, 58, -108, -19, 70, -96, -7, 82, -84, 5, 94, -72, 17, 106, -60, 29, 118,
    -48, 41, -125, -36, 53, -113, -24, 65, -101, -12, 77, -89, 0, 89, -77, 12, 101, -65, 24, 113,
    -53, 36, 125, -41, 48, -118, -29, 60, -106, -17, 72, -94, -5, 84, -82, 7, 96, -70, 19, 108, -58,
    31, 120, -46, 43, -123, -34, 55, -111, -22, 67, -99, -10, 79, -87, 2, 91, -75, 14, 103, -63, 26,
    115, -51, 38, 127, -39,
};

/* Stage 0, stem: folded bias; 4. */
const alignas(4) int32_t mbn_model_00_conv_bias[4] = {
    -131072, -130972, -130872, -130772,
};

/* Stage 0, stem: 2 m, the multiplier doubled; 4. */
const alignas(4) int32_t mbn_model_00_conv_doubled[4] = {
    4194304, 4194304, 4194304, 4194304,
};

/* Stage 1, pw: depthwise, C x (kh, kw); 4 x 9. */
const alignas(4) int8_t mbn_model_01_depthwise[36] = {
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

/* Stage 1, pw: pointwise, N x K; 5 x 4. */
const alignas(4) int8_t mbn_model_01_weights[20] = {
    -127, -38, 51, -115, -26, 63, -103, -14, 75, -91, -2, 87, -79, 10, 99, -67, 22, 111, -55, 34,
};

/* Stage 1, pw: folded bias; 5. */
const alignas(4) int32_t mbn_model_01_pointwise_bias[5] = {
    -62080, -42908, -23736, -37204, -18032,
};

/* Stage 1, pw: 2 m, the multiplier doubled; 5. */
const alignas(4) int32_t mbn_model_01_pointwise_doubled[5] = {
    16777216, 16777216, 16777216, 16777216, 16777216,
};

/* Stage 2, pool: folded bias; 1. */
const alignas(4) int32_t mbn_model_02_pool_bias[1] = {
    768,
};

/* Stage 2, pool: 2 m, the multiplier doubled; 1. */
const alignas(4) int32_t mbn_model_02_pool_doubled[1] = {
    715827882,
};

/* Stage 3, dense: N x (kh, kw, C); 3 x 5. */
const alignas(4) int8_t mbn_model_03_weights[15] = {
    -127, -38, 51, -115, -26, 63, -103, -14, 75, -91, -2, 87, -79, 10, 99,
};

/* Stage 3, dense: folded bias; 3. */
const alignas(4) int32_t mbn_model_03_conv_bias[3] = {
    -25472, -1692, 22088,
};

/* Stage 3, dense: 2 m, the multiplier doubled; 3. */
const alignas(4) int32_t mbn_model_03_conv_doubled[3] = {
    4194304, 4194304, 4194304,
};
