/* tiny, compiled by mbn.
 *
 * Model:  deb1d855b3923536d5f726c4c6d9c2d3cee4ee7c0a57e37c659e10afb3df9b10
 * Input:  8x6x3 int8, real = 0.0078125 * (q - 0), stream
 * Output: 1x1x3 int8, real = 0.0625 * (q - 7)
 * Cost:   1983 multiply-accumulates, 195 parameters,
 *         216 bytes of arena, 327 bytes of weights and tables
 */
#include "network.h"

#include "scalar/kernels.h"
#include "scalar/blocked.h"

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

/* A row of zero points: what lies above and below a map. */
static const alignas(8) int8_t border_m128[16] = {
    MBN_16(-128),
};

/* A row of zero points: what lies above and below a map. */
static const alignas(8) int8_t border_0[20] = {
    MBN_16(0), MBN_4(0),
};

/* network.S, and the same in C */
#if MBN_ASSEMBLY && (defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_8M_BASE__) || defined(__ARM_ARCH_7M__)) && (defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_8M_BASE__))
int32_t mbn_model_depthwise_4x3to3_1_1_4_0_4_s0_0to192(const int8_t *row0, const int8_t *row1, const int8_t *row2, const int8_t *weights, const int32_t *bias, const int32_t *factor, const int32_t *offset, const int32_t *exponent, int8_t *tile);
#else
static int32_t mbn_model_depthwise_4x3to3_1_1_4_0_4_s0_0to192(const int8_t *row0, const int8_t *row1, const int8_t *row2, const int8_t *weights, const int32_t *bias, const int32_t *factor, const int32_t *offset, const int32_t *exponent, int8_t *tile)
{
    for (int32_t c = 0; c < 4; c++) {
        for (int32_t g = 0; g < 1; g++) {
            mbn_scalar_depthwise(row0 + c * 4 + 0 + g * 3, row1 + c * 4 + 0 + g * 3, row2 + c * 4 + 0 + g * 3, weights + 9 * c, bias + c, factor + c, offset + c, exponent + c, tile + 0 + g * 12 + c * 3, 1, 1, 3, 1, 1, -128, 1, 0, -128, 64);
        }
    }
    return 0;
}
#endif
#if MBN_ASSEMBLY && (defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_8M_BASE__) || defined(__ARM_ARCH_7M__))
int32_t mbn_model_pointwise_4x5_4x3_4_20_s0_0to192(const int8_t *tile, const int32_t *stream, int32_t *unpacked, int8_t *out);
#else
static int32_t mbn_model_pointwise_4x5_4x3_4_20_s0_0to192(const int8_t *tile, const int32_t *stream, int32_t *unpacked, int8_t *out)
{
    (void)unpacked;
    mbn_scalar_couples(tile, stream, out, 5, 4, 3, 20, 4, 4, 0, -128, 64);
    return 0;
}
#endif

/* Stage 0: scalar: 3 pixels x 2 channels, windows of 27 gathered. */
static void mbn_conv_8x6x3_to_4x3x4(const int8_t *in0, const int8_t *in1, const int8_t *in2, int8_t *out, int8_t *patch, const int8_t *weights, const int32_t *conv_bias, const int32_t *conv_doubled)
{
    mbn_scalar_windows((&(in0[0])), (&(patch[0])), 3, 1, 3, 3, 2, 3, 0, 1, 0, 0);
    mbn_scalar_windows((&(in1[0])), (&(patch[27])), 3, 1, 3, 3, 2, 3, 0, 1, 0, 0);
    mbn_scalar_windows((&(in2[0])), (&(patch[54])), 3, 1, 3, 3, 2, 3, 0, 1, 0, 0);
    for (int32_t n = 0; n < 2; ++n) {
        int32_t cse_v1 = (n * 2);
        mbn_scalar_block((&(patch[0])), (&(weights[(n * 54)])), (&(conv_bias[cse_v1])), (&(conv_doubled[cse_v1])), (&(conv_doubled[cse_v1])), (&(conv_doubled[cse_v1])), (&(out[(n * 8)])), 27, 3, 1, 3, 2, 4, 0, -128, 64);
    }
}

/* Stage 1: scalar: depthwise by 3 pixels, tile of 4 x 3 pixels x 4 channels, pointwise 3 pixels x 2 channels, two channels a multiply. */
static void mbn_block_4x3x4_to_4x3x5(const int8_t *in0, const int8_t *in1, const int8_t *in2, const int8_t *in3, const int8_t *in4, const int8_t *in5, int8_t *out, const int32_t *pointwise, int8_t *tile, int32_t *unpacked, const int8_t *depthwise, const int32_t *depthwise_bias, const int32_t *depthwise_doubled)
{
    mbn_model_depthwise_4x3to3_1_1_4_0_4_s0_0to192((&(in0[0])), (&(in1[0])), (&(in2[0])), (&(depthwise[0])), (&(depthwise_bias[0])), (&(depthwise_doubled[0])), (&(depthwise_doubled[0])), (&(depthwise_doubled[0])), (&(tile[0])));
    mbn_model_depthwise_4x3to3_1_1_4_0_4_s0_0to192((&(in1[0])), (&(in2[0])), (&(in3[0])), (&(depthwise[0])), (&(depthwise_bias[0])), (&(depthwise_doubled[0])), (&(depthwise_doubled[0])), (&(depthwise_doubled[0])), (&(tile[12])));
    mbn_model_depthwise_4x3to3_1_1_4_0_4_s0_0to192((&(in2[0])), (&(in3[0])), (&(in4[0])), (&(depthwise[0])), (&(depthwise_bias[0])), (&(depthwise_doubled[0])), (&(depthwise_doubled[0])), (&(depthwise_doubled[0])), (&(tile[24])));
    mbn_model_depthwise_4x3to3_1_1_4_0_4_s0_0to192((&(in3[0])), (&(in4[0])), (&(in5[0])), (&(depthwise[0])), (&(depthwise_bias[0])), (&(depthwise_doubled[0])), (&(depthwise_doubled[0])), (&(depthwise_doubled[0])), (&(tile[36])));
    mbn_model_pointwise_4x5_4x3_4_20_s0_0to192((&(tile[0])), (&(pointwise[0])), (&(unpacked[0])), (&(out[0])));
}

/* Stage 2: scalar: sums in int32, channel by channel. */
static void mbn_pool_4x3x5_to_1x1x5(const int8_t *in0, const int8_t *in1, const int8_t *in2, const int8_t *in3, int8_t *out, const int32_t *pool_bias, const int32_t *pool_doubled)
{
    int32_t _ptr[1];
    for (int32_t c = 0; c < 5; ++c) {
        _ptr[0] = pool_bias[0];
        for (int32_t k = 0; k < 3; ++k) {
            int32_t cse_v1 = ((c * 4) + k);
            _ptr[0] = ((((_ptr[0] + ((int32_t)in0[cse_v1])) + ((int32_t)in1[cse_v1])) + ((int32_t)in2[cse_v1])) + ((int32_t)in3[cse_v1]));
        }
        int32_t v_ = mbn_requantise(_ptr[0], pool_doubled[0]);
        int32_t v__1 = (v_) < (127) ? (v_) : (127);
        out[c] = ((int8_t)((v__1) > (-128) ? (v__1) : (-128)));
    }
}

/* Stage 3: scalar: 3 pixels x 2 channels, 5 taps in place. */
static void mbn_dense_1x1x5_to_1x1x3(const int8_t *in0, int8_t *out, const int8_t *weights, const int32_t *conv_bias, const int32_t *conv_doubled)
{
    mbn_scalar_block((&(in0[0])), (&(weights[0])), (&(conv_bias[0])), (&(conv_doubled[0])), (&(conv_doubled[0])), (&(conv_doubled[0])), (&(out[0])), 5, 1, 1, 1, 2, 1, 0, -128, 127);
    mbn_scalar_block((&(in0[0])), (&(weights[10])), (&(conv_bias[2])), (&(conv_doubled[2])), (&(conv_doubled[2])), (&(conv_doubled[2])), (&(out[2])), 5, 1, 1, 1, 1, 1, 0, -128, 127);
}

/* Stage 0: conv stem
 * 8x6x3 -> 4x3x4, 1296 multiply-accumulates
 * scratch 88 bytes at 0; output at 152, whole map, 16 bytes a row */
static void stage_00_stem(
    const int8_t *const *in, int8_t *const *out, int8_t *scratch)
{
    mbn_conv_8x6x3_to_4x3x4(in[0], in[1], in[2], out[0], scratch, mbn_model_00_weights, mbn_model_00_conv_bias, mbn_model_00_conv_doubled);
}

/* Stage 1: block pw
 * 4x3x4 -> 4x3x5, 672 multiply-accumulates
 * scratch 72 bytes at 80; output at 0, whole map, 20 bytes a row */
static void stage_01_pw(
    const int8_t *const *in, int8_t *const *out, int8_t *scratch)
{
    mbn_block_4x3x4_to_4x3x5(in[0], in[1], in[2], in[3], in[4], in[5], out[0], mbn_model_01_pointwise, scratch, (int32_t *)(void *)(scratch + 48), mbn_model_01_depthwise, mbn_model_01_depthwise_bias, mbn_model_01_depthwise_doubled);
}

/* Stage 2: pool pool
 * 4x3x5 -> 1x1x5, 0 multiply-accumulates
 * scratch 0 bytes at 80; output at 208, whole map, 8 bytes a row */
static void stage_02_pool(
    const int8_t *const *in, int8_t *const *out, int8_t *scratch)
{
    (void)scratch;
    mbn_pool_4x3x5_to_1x1x5(in[0], in[1], in[2], in[3], out[0], mbn_model_02_pool_bias, mbn_model_02_pool_doubled);
}

/* Stage 3: dense dense
 * 1x1x5 -> 1x1x3, 15 multiply-accumulates
 * scratch 0 bytes at 0; output at 0, whole map, 4 bytes a row */
static void stage_03_dense(
    const int8_t *const *in, int8_t *const *out, int8_t *scratch)
{
    (void)scratch;
    mbn_dense_1x1x5_to_1x1x3(in[0], out[0], mbn_model_03_weights, mbn_model_03_conv_bias, mbn_model_03_conv_doubled);
}

static const mbn_tensor tensors[5] = {
    {.offset_bytes = 88, .row_bytes = 20,
     .height = 8, .width = 6, .channels = 3,
     .depth = 3, .plane_bytes = 0, .reader = 0,
     .zero_point = 0, .scale = 0.0078125f},
    {.offset_bytes = 152, .row_bytes = 16,
     .height = 4, .width = 3, .channels = 4,
     .depth = 4, .plane_bytes = 4, .reader = 1,
     .zero_point = -128, .scale = 0.03125f},
    {.offset_bytes = 0, .row_bytes = 20,
     .height = 4, .width = 3, .channels = 5,
     .depth = 4, .plane_bytes = 4, .reader = 2,
     .zero_point = -128, .scale = 0.03125f},
    {.offset_bytes = 208, .row_bytes = 8,
     .height = 1, .width = 1, .channels = 5,
     .depth = 1, .plane_bytes = 1, .reader = 3,
     .zero_point = -128, .scale = 0.015625f},
    {.offset_bytes = 0, .row_bytes = 4,
     .height = 1, .width = 1, .channels = 3,
     .depth = 1, .plane_bytes = 1, .reader = 3,
     .zero_point = 7, .scale = 0.0625f},
};

static const mbn_stage stages[4] = {
    {.name = "stem",
     .run = stage_00_stem, .border = border_0,
     .macs = 1296, .scratch_offset_bytes = 0,
     .input = 0, .output = 1, .second = MBN_NO_TENSOR,
     .kernel_rows = 3, .stride_rows = 2, .pad_top = 0, .band_rows = 1},
    {.name = "pw",
     .run = stage_01_pw, .border = border_m128,
     .macs = 672, .scratch_offset_bytes = 80,
     .input = 1, .output = 2, .second = MBN_NO_TENSOR,
     .kernel_rows = 3, .stride_rows = 1, .pad_top = 1, .band_rows = 4},
    {.name = "pool",
     .run = stage_02_pool, .border = NULL,
     .macs = 0, .scratch_offset_bytes = 80,
     .input = 2, .output = 3, .second = MBN_NO_TENSOR,
     .kernel_rows = 4, .stride_rows = 1, .pad_top = 0, .band_rows = 1},
    {.name = "dense",
     .run = stage_03_dense, .border = NULL,
     .macs = 15, .scratch_offset_bytes = 0,
     .input = 3, .output = 4, .second = MBN_NO_TENSOR,
     .kernel_rows = 1, .stride_rows = 1, .pad_top = 0, .band_rows = 1},
};

static const mbn_segment segments[3] = {{0, 0}, {1, 2}, {3, 3}};

const mbn_network mbn_model = {
    .name = "tiny",
    .model_sha256 = "deb1d855b3923536d5f726c4c6d9c2d3cee4ee7c0a57e37c659e10afb3df9b10",
    .tensors = tensors,
    .stages = stages,
    .segments = segments,
    .tensor_count = 5,
    .stage_count = 4,
    .segment_count = 3,
    .input = 0,
    .output = 4,
    .window_rows = 6,
    .band_rows = 4,
    .input_mode = MBN_INPUT_STREAM,
    .pixels = NULL,
    .arena_bytes = MBN_MODEL_ARENA_BYTES,
    .near_bytes = 0,
    .weights_bytes = 327,
    .macs = 1983,
};

mbn_status mbn_model_init(mbn_model_state *state)
{
    if (state == NULL) {
        return MBN_ERR_ARGUMENT;
    }
    state->base = (mbn_state){
        .network = &mbn_model,
        .arena = state->memory.arena,
        .rows_done = state->rows_done,
        .window = state->window,
        .band = state->band,
        .guard_low = &state->memory.guard_low,
        .guard_high = &state->memory.guard_high,
    };
    return mbn_begin(&state->base);
}
