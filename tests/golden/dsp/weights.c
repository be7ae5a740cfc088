/* tiny, compiled by mbn.
 *
 * Model:  deb1d855b3923536d5f726c4c6d9c2d3cee4ee7c0a57e37c659e10afb3df9b10
 * Input:  8x6x3 int8, real = 0.0078125 * (q - 0), stream
 * Output: 1x1x3 int8, real = 0.0625 * (q - 7)
 * Cost:   1983 multiply-accumulates, 195 parameters,
 *         352 bytes of arena, 392 bytes of weights and tables
 */
#include <stdalign.h>
#include <stdint.h>

/* weights.c */
extern const alignas(4) int32_t mbn_model_00_pointwise[36];
extern const alignas(4) int32_t mbn_model_01_depthwise[28];
extern const alignas(4) int32_t mbn_model_01_pointwise[18];
extern const alignas(4) int32_t mbn_model_02_pool_bias[1];
extern const alignas(4) int32_t mbn_model_02_pool_doubled[1];
extern const alignas(4) int32_t mbn_model_03_pointwise[14];

/* Stage 0, stem: pointwise streams, two channels each; 2 x 18. */
const alignas(4) int32_t mbn_model_00_pointwise[36] = {
    -33659904, -131072, -1607209855, -124959270, 77156838, 1576184895, -1000927067, 481389054,
    683505162, -2095656861, -394578743, 1087737634, 1289853742, -1489308792, -596658101, 65428,
    4194304, 4194304, -33608504, -130872, 2014103129, -765124941, -563008833, 919307544,
    -1657738627, -175488297, 26627811, 1525655868, -1051456094, 430860027, 632976135, 2132004192,
    -1253535452, 55660, 4194304, 4194304,
};

/* Stage 1, pw: depthwise, 7 words a channel; 4 x 7. */
const alignas(4) int32_t mbn_model_01_depthwise[28] = {
    3407745, 4194189, 4980633, -1638438, 65522, -62720, 16777216, 5767077, 6553521, 7339965, 720894,
    22, -21148, 16777216, 8126409, -7798827, -7012383, 3014690, 58, -44856, 16777216, -6225939,
    -5439495, -4718587, 5374022, 94, -35924, 16777216,
};

/* Stage 1, pw: pointwise streams, two channels each; 3 x 6. */
const alignas(4) int32_t mbn_model_01_pointwise[18] = {
    -62080, -42908, -1724651903, -225624102, 16777216, 16777216, -23736, -37204, 1677635915,
    -1118369115, 16777216, 16777216, -18032, 0, 13172758, 2228335, 16777216, 0,
};

/* Stage 2, pool: folded bias; 1. */
const alignas(4) int32_t mbn_model_02_pool_bias[1] = {
    768,
};

/* Stage 2, pool: 2 m, the multiplier doubled; 1. */
const alignas(4) int32_t mbn_model_02_pool_doubled[1] = {
    715827882,
};

/* Stage 3, dense: pointwise streams, two channels each; 2 x 7. */
const alignas(4) int32_t mbn_model_03_pointwise[14] = {
    -25472, -1692, 1267548033, -1511613990, 62003, 4194304, 4194304, 22088, 0, 655614, 6488151, 177,
    4194304, 0,
};
