/* tiny, compiled by mbn.
 *
 * Model:  deb1d855b3923536d5f726c4c6d9c2d3cee4ee7c0a57e37c659e10afb3df9b10
 * Input:  8x6x3 int8, real = 0.0078125 * (q - 0), stream
 * Output: 1x1x3 int8, real = 0.0625 * (q - 7)
 * Cost:   1983 multiply-accumulates, 195 parameters,
 *         160 bytes of arena, 315 bytes of weights and tables
 */
#include "network.h"

#include "scalar/kernels.h"

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

/* A row of zero points: what lies above and below a map. */
static const alignas(8) int8_t border_m128[16] = {
    -128, -128, -128, -128, -128, -128, -128, -128, -128, -128, -128, -128, -128, -128, -128, -128,
};

/* A row of zero points: what lies above and below a map. */
static const alignas(8) int8_t border_0[20] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
};

/* Stage 0: scalar: one pixel's window of 27 gathered, a dot product a channel. */
static void mbn_conv_8x6x3_to_4x3x4(const int8_t *in0, const int8_t *in1, const int8_t *in2, int8_t *out, int8_t *patch, const int8_t *weights, const int32_t *conv_bias, const int32_t *conv_doubled)
{
    int32_t _ptr[1];
    for (int32_t x = 0; x < 2; ++x) {
        int32_t cse_v1 = (x * 6);
        for (int32_t c = 0; c < 3; ++c) {
            patch[c] = in0[(cse_v1 + c)];
        }
        for (int32_t c_1 = 0; c_1 < 3; ++c_1) {
            patch[(c_1 + 3)] = in0[((cse_v1 + c_1) + 3)];
        }
        for (int32_t c_2 = 0; c_2 < 3; ++c_2) {
            patch[(c_2 + 6)] = in0[((cse_v1 + c_2) + 6)];
        }
        for (int32_t c_3 = 0; c_3 < 3; ++c_3) {
            patch[(c_3 + 9)] = in1[(cse_v1 + c_3)];
        }
        for (int32_t c_4 = 0; c_4 < 3; ++c_4) {
            patch[(c_4 + 12)] = in1[((cse_v1 + c_4) + 3)];
        }
        for (int32_t c_5 = 0; c_5 < 3; ++c_5) {
            patch[(c_5 + 15)] = in1[((cse_v1 + c_5) + 6)];
        }
        for (int32_t c_6 = 0; c_6 < 3; ++c_6) {
            patch[(c_6 + 18)] = in2[(cse_v1 + c_6)];
        }
        for (int32_t c_7 = 0; c_7 < 3; ++c_7) {
            patch[(c_7 + 21)] = in2[((cse_v1 + c_7) + 3)];
        }
        for (int32_t c_8 = 0; c_8 < 3; ++c_8) {
            patch[(c_8 + 24)] = in2[((cse_v1 + c_8) + 6)];
        }
        for (int32_t n = 0; n < 4; ++n) {
            _ptr[0] = conv_bias[n];
            mbn_scalar_dot((&(_ptr[0])), (&(patch[0])), (&(weights[(n * 27)])), 27);
            int32_t v_ = mbn_requantise(_ptr[0], conv_doubled[n]);
            int32_t v__1 = (v_) < (64) ? (v_) : (64);
            out[((n * 4) + x)] = ((int8_t)((v__1) > (-128) ? (v__1) : (-128)));
        }
    }
    for (int32_t c_9 = 0; c_9 < 3; ++c_9) {
        patch[c_9] = in0[(c_9 + 12)];
    }
    for (int32_t c_10 = 0; c_10 < 3; ++c_10) {
        patch[(c_10 + 3)] = in0[(c_10 + 15)];
    }
    for (int32_t c_11 = 0; c_11 < 3; ++c_11) {
        patch[(c_11 + 6)] = (int8_t)0;
    }
    for (int32_t c_12 = 0; c_12 < 3; ++c_12) {
        patch[(c_12 + 9)] = in1[(c_12 + 12)];
    }
    for (int32_t c_13 = 0; c_13 < 3; ++c_13) {
        patch[(c_13 + 12)] = in1[(c_13 + 15)];
    }
    for (int32_t c_14 = 0; c_14 < 3; ++c_14) {
        patch[(c_14 + 15)] = (int8_t)0;
    }
    for (int32_t c_15 = 0; c_15 < 3; ++c_15) {
        patch[(c_15 + 18)] = in2[(c_15 + 12)];
    }
    for (int32_t c_16 = 0; c_16 < 3; ++c_16) {
        patch[(c_16 + 21)] = in2[(c_16 + 15)];
    }
    for (int32_t c_17 = 0; c_17 < 3; ++c_17) {
        patch[(c_17 + 24)] = (int8_t)0;
    }
    for (int32_t n_1 = 0; n_1 < 4; ++n_1) {
        _ptr[0] = conv_bias[n_1];
        mbn_scalar_dot((&(_ptr[0])), (&(patch[0])), (&(weights[(n_1 * 27)])), 27);
        int32_t v__2 = mbn_requantise(_ptr[0], conv_doubled[n_1]);
        int32_t v__3 = (v__2) < (64) ? (v__2) : (64);
        out[((n_1 * 4) + 2)] = ((int8_t)((v__3) > (-128) ? (v__3) : (-128)));
    }
}

/* Stage 1: scalar: tile of 3 pixels x 4 channels, a dot product a value. */
static void mbn_block_4x3x4_to_4x3x5(const int8_t *in0, const int8_t *in1, const int8_t *in2, int8_t *out, int8_t *tile, const int8_t *depthwise, const int32_t *depthwise_bias, const int32_t *depthwise_doubled, const int8_t *weights, const int32_t *pointwise_bias, const int32_t *pointwise_doubled)
{
    int32_t _ptr[1];
    for (int32_t c = 0; c < 4; ++c) {
        int32_t cse_v1 = (c * 4);
        int32_t cse_v2 = (c * 9);
        int32_t cse_v4 = (cse_v2 + 1);
        int32_t cse_v5 = (cse_v1 + 1);
        int32_t cse_v6 = (cse_v2 + 2);
        int32_t cse_v7 = (cse_v2 + 4);
        int32_t cse_v8 = (cse_v2 + 5);
        int32_t cse_v9 = (cse_v2 + 7);
        int32_t cse_v10 = (cse_v2 + 8);
        int32_t cse_v11 = (cse_v2 + 3);
        int32_t cse_v12 = (cse_v2 + 6);
        int32_t v_ = mbn_requantise((((((((((depthwise_bias[c] + (((int32_t)in0[cse_v1]) * ((int32_t)depthwise[cse_v4]))) + (((int32_t)in0[cse_v5]) * ((int32_t)depthwise[cse_v6]))) + (((int32_t)in1[cse_v1]) * ((int32_t)depthwise[cse_v7]))) + (((int32_t)in1[cse_v5]) * ((int32_t)depthwise[cse_v8]))) + (((int32_t)in2[cse_v1]) * ((int32_t)depthwise[cse_v9]))) + (((int32_t)in2[cse_v5]) * ((int32_t)depthwise[cse_v10]))) - (((int32_t)depthwise[cse_v2]) * 128)) - (((int32_t)depthwise[cse_v11]) * 128)) - (((int32_t)depthwise[cse_v12]) * 128)), depthwise_doubled[c]);
        int32_t v__1 = (v_) < (64) ? (v_) : (64);
        tile[c] = ((int8_t)((v__1) > (-128) ? (v__1) : (-128)));
        int32_t cse_v13 = (cse_v1 + 2);
        int32_t v__2 = mbn_requantise((((((((((depthwise_bias[c] + (((int32_t)in0[cse_v1]) * ((int32_t)depthwise[cse_v2]))) + (((int32_t)in0[cse_v5]) * ((int32_t)depthwise[cse_v4]))) + (((int32_t)in0[cse_v13]) * ((int32_t)depthwise[cse_v6]))) + (((int32_t)in1[cse_v1]) * ((int32_t)depthwise[cse_v11]))) + (((int32_t)in1[cse_v5]) * ((int32_t)depthwise[cse_v7]))) + (((int32_t)in1[cse_v13]) * ((int32_t)depthwise[cse_v8]))) + (((int32_t)in2[cse_v1]) * ((int32_t)depthwise[cse_v12]))) + (((int32_t)in2[cse_v5]) * ((int32_t)depthwise[cse_v9]))) + (((int32_t)in2[cse_v13]) * ((int32_t)depthwise[cse_v10]))), depthwise_doubled[c]);
        int32_t v__3 = (v__2) < (64) ? (v__2) : (64);
        tile[(c + 4)] = ((int8_t)((v__3) > (-128) ? (v__3) : (-128)));
        int32_t v__4 = mbn_requantise((((((((((depthwise_bias[c] + (((int32_t)in0[cse_v5]) * ((int32_t)depthwise[cse_v2]))) + (((int32_t)in0[cse_v13]) * ((int32_t)depthwise[cse_v4]))) + (((int32_t)in1[cse_v5]) * ((int32_t)depthwise[cse_v11]))) + (((int32_t)in1[cse_v13]) * ((int32_t)depthwise[cse_v7]))) + (((int32_t)in2[cse_v5]) * ((int32_t)depthwise[cse_v12]))) + (((int32_t)in2[cse_v13]) * ((int32_t)depthwise[cse_v9]))) - (((int32_t)depthwise[cse_v6]) * 128)) - (((int32_t)depthwise[cse_v8]) * 128)) - (((int32_t)depthwise[cse_v10]) * 128)), depthwise_doubled[c]);
        int32_t v__5 = (v__4) < (64) ? (v__4) : (64);
        tile[(c + 8)] = ((int8_t)((v__5) > (-128) ? (v__5) : (-128)));
    }
    for (int32_t x = 0; x < 3; ++x) {
        for (int32_t n = 0; n < 5; ++n) {
            _ptr[0] = pointwise_bias[n];
            int32_t cse_v3 = (n * 4);
            mbn_scalar_dot((&(_ptr[0])), (&(tile[(x * 4)])), (&(weights[cse_v3])), 4);
            int32_t v__6 = mbn_requantise(_ptr[0], pointwise_doubled[n]);
            int32_t v__7 = (v__6) < (64) ? (v__6) : (64);
            out[(cse_v3 + x)] = ((int8_t)((v__7) > (-128) ? (v__7) : (-128)));
        }
    }
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

/* Stage 3: scalar: one pixel's window of 5 gathered, a dot product a channel. */
static void mbn_dense_1x1x5_to_1x1x3(const int8_t *in0, int8_t *out, int8_t *patch, const int8_t *weights, const int32_t *conv_bias, const int32_t *conv_doubled)
{
    int32_t _ptr[1];
    for (int32_t c = 0; c < 5; ++c) {
        patch[c] = in0[c];
    }
    for (int32_t n = 0; n < 3; ++n) {
        _ptr[0] = conv_bias[n];
        mbn_scalar_dot((&(_ptr[0])), (&(patch[0])), (&(weights[(n * 5)])), 5);
        int32_t v_ = mbn_requantise(_ptr[0], conv_doubled[n]);
        int32_t v__1 = (v_) < (127) ? (v_) : (127);
        out[n] = ((int8_t)((v__1) > (-128) ? (v__1) : (-128)));
    }
}

/* Stage 0: conv stem
 * 8x6x3 -> 4x3x4, 1296 multiply-accumulates
 * scratch 32 bytes at 64; output at 96, whole map, 16 bytes a row */
static void stage_00_stem(
    const int8_t *const *in, int8_t *const *out, int8_t *scratch)
{
    mbn_conv_8x6x3_to_4x3x4(in[0], in[1], in[2], out[0], scratch, mbn_model_00_weights, mbn_model_00_conv_bias, mbn_model_00_conv_doubled);
}

/* Stage 1: block pw
 * 4x3x4 -> 4x3x5, 672 multiply-accumulates
 * scratch 16 bytes at 80; output at 0, whole map, 20 bytes a row */
static void stage_01_pw(
    const int8_t *const *in, int8_t *const *out, int8_t *scratch)
{
    mbn_block_4x3x4_to_4x3x5(in[0], in[1], in[2], out[0], scratch, mbn_model_01_depthwise, mbn_model_01_depthwise_bias, mbn_model_01_depthwise_doubled, mbn_model_01_weights, mbn_model_01_pointwise_bias, mbn_model_01_pointwise_doubled);
}

/* Stage 2: pool pool
 * 4x3x5 -> 1x1x5, 0 multiply-accumulates
 * scratch 0 bytes at 80; output at 152, whole map, 8 bytes a row */
static void stage_02_pool(
    const int8_t *const *in, int8_t *const *out, int8_t *scratch)
{
    (void)scratch;
    mbn_pool_4x3x5_to_1x1x5(in[0], in[1], in[2], in[3], out[0], mbn_model_02_pool_bias, mbn_model_02_pool_doubled);
}

/* Stage 3: dense dense
 * 1x1x5 -> 1x1x3, 15 multiply-accumulates
 * scratch 8 bytes at 8; output at 0, whole map, 4 bytes a row */
static void stage_03_dense(
    const int8_t *const *in, int8_t *const *out, int8_t *scratch)
{
    mbn_dense_1x1x5_to_1x1x3(in[0], out[0], scratch, mbn_model_03_weights, mbn_model_03_conv_bias, mbn_model_03_conv_doubled);
}

static const mbn_tensor tensors[5] = {
    {.offset_bytes = 0, .row_bytes = 20,
     .height = 8, .width = 6, .channels = 3,
     .depth = 3, .plane_bytes = 0, .reader = 0,
     .zero_point = 0, .scale = 0.0078125f},
    {.offset_bytes = 96, .row_bytes = 16,
     .height = 4, .width = 3, .channels = 4,
     .depth = 4, .plane_bytes = 4, .reader = 1,
     .zero_point = -128, .scale = 0.03125f},
    {.offset_bytes = 0, .row_bytes = 20,
     .height = 4, .width = 3, .channels = 5,
     .depth = 4, .plane_bytes = 4, .reader = 2,
     .zero_point = -128, .scale = 0.03125f},
    {.offset_bytes = 152, .row_bytes = 8,
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
     .macs = 1296, .scratch_offset_bytes = 64,
     .input = 0, .output = 1, .second = MBN_NO_TENSOR,
     .kernel_rows = 3, .stride_rows = 2, .pad_top = 0, .band_rows = 1},
    {.name = "pw",
     .run = stage_01_pw, .border = border_m128,
     .macs = 672, .scratch_offset_bytes = 80,
     .input = 1, .output = 2, .second = MBN_NO_TENSOR,
     .kernel_rows = 3, .stride_rows = 1, .pad_top = 1, .band_rows = 1},
    {.name = "pool",
     .run = stage_02_pool, .border = NULL,
     .macs = 0, .scratch_offset_bytes = 80,
     .input = 2, .output = 3, .second = MBN_NO_TENSOR,
     .kernel_rows = 4, .stride_rows = 1, .pad_top = 0, .band_rows = 1},
    {.name = "dense",
     .run = stage_03_dense, .border = NULL,
     .macs = 15, .scratch_offset_bytes = 8,
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
    .window_rows = 4,
    .band_rows = 1,
    .input_mode = MBN_INPUT_STREAM,
    .pixels = NULL,
    .arena_bytes = MBN_MODEL_ARENA_BYTES,
    .near_bytes = 0,
    .weights_bytes = 315,
    .macs = 1983,
};

mbn_status mbn_model_init(mbn_model_state *state)
{
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
