/* tiny, compiled by mbn.
 *
 * Model:  deb1d855b3923536d5f726c4c6d9c2d3cee4ee7c0a57e37c659e10afb3df9b10
 * Input:  8x6x3 int8, real = 0.0078125 * (q - 0), stream
 * Output: 1x1x3 int8, real = 0.0625 * (q - 7)
 * Cost:   1983 multiply-accumulates, 195 parameters,
 *         352 bytes of arena, 392 bytes of weights and tables
 */
#include "network.h"

#include "dsp/kernels.h"

/* weights.c */
extern const alignas(4) int32_t mbn_model_00_pointwise[36];
extern const alignas(4) int32_t mbn_model_01_depthwise[28];
extern const alignas(4) int32_t mbn_model_01_pointwise[18];
extern const alignas(4) int32_t mbn_model_02_pool_bias[1];
extern const alignas(4) int32_t mbn_model_02_pool_doubled[1];
extern const alignas(4) int32_t mbn_model_03_pointwise[14];

/* A row of zero points: what lies above and below a map. */
static const alignas(8) int8_t border_m128[16] = {
    MBN_16(-128),
};

/* A row of zero points: what lies above and below a map. */
static const alignas(8) int8_t border_0[20] = {
    MBN_16(0), MBN_4(0),
};

/* network.S, and the same in C */
#if MBN_ASSEMBLY && defined(__ARM_FEATURE_DSP) && defined(__ARM_FP)
int32_t mbn_model_pointwise_28x4_1x3_4_16_s0_0to192(const int16_t *tile, const int32_t *stream, int8_t *out);
int32_t mbn_model_depthwise_s1_4x4x3_2x4_4_zero0_s0_0to192(const int32_t *words, int16_t *tile, const int8_t *row0, const int8_t *row1, const int8_t *row2, const int8_t *row3, const int8_t *row4, const int8_t *row5);
int32_t mbn_model_pointwise_4x5_4x3_4_20_s0_0to192_unpacked(const int16_t *tile, const int32_t *stream, int8_t *out);
int32_t mbn_model_pointwise_6x3_1x1_1_4_s0_unpacked(const int16_t *tile, const int32_t *stream, int8_t *out);
#else
static int32_t mbn_model_pointwise_28x4_1x3_4_16_s0_0to192(const int16_t *tile, const int32_t *stream, int8_t *out)
{
    mbn_dsp_band(tile, stream + 0, out + 0, 2, 2, 1, 3, 3, 16, 4, 14, 1, 0, -128, 64);
    return 0;
}
static int32_t mbn_model_depthwise_s1_4x4x3_2x4_4_zero0_s0_0to192(const int32_t *words, int16_t *tile, const int8_t *row0, const int8_t *row1, const int8_t *row2, const int8_t *row3, const int8_t *row4, const int8_t *row5)
{
    const int8_t *const rows[] = {row0, row1, row2, row3, row4, row5};
    mbn_dsp_depthwise_band(rows, words, tile, 4, 4, 4, 2, 7, 4, 3, 3, 1, 1, -128, 0, -128, 64);
    return 0;
}
static int32_t mbn_model_pointwise_4x5_4x3_4_20_s0_0to192_unpacked(const int16_t *tile, const int32_t *stream, int8_t *out)
{
    mbn_dsp_band(tile, stream + 0, out + 0, 2, 2, 4, 3, 4, 20, 4, 2, 0, 0, -128, 64);
    mbn_dsp_band(tile, stream + 12, out + 16, 1, 1, 4, 3, 4, 20, 4, 2, 0, 0, -128, 64);
    return 0;
}
static int32_t mbn_model_pointwise_6x3_1x1_1_4_s0_unpacked(const int16_t *tile, const int32_t *stream, int8_t *out)
{
    mbn_dsp_band(tile, stream + 0, out + 0, 1, 2, 1, 1, 1, 4, 1, 3, 0, 0, -128, 127);
    mbn_dsp_band(tile, stream + 7, out + 2, 1, 1, 1, 1, 1, 4, 1, 3, 0, 0, -128, 127);
    return 0;
}
#endif

/* Stage 0: dsp: im2col of 4 pixels, 27 taps in 14 pairs; 4 pixels x 2 channels. */
static void mbn_conv_8x6x3_to_4x3x4(const int8_t *in0, const int8_t *in1, const int8_t *in2, int8_t *out, int16_t *tile, const int32_t *pointwise)
{
    mbn_dsp_patch((&(in0[0])), (&(tile[0])), (&(tile[96])), 9, 0, 0, 0, 0);
    mbn_dsp_patch((&(in1[0])), (&(tile[32])), (&(tile[96])), 9, 1, 0, 0, 0);
    mbn_dsp_patch((&(in2[0])), (&(tile[64])), (&(tile[96])), 9, 2, 0, 0, 0);
    mbn_dsp_patch((&(in0[6])), (&(tile[2])), (&(tile[98])), 9, 0, 0, 0, 0);
    mbn_dsp_patch((&(in1[6])), (&(tile[34])), (&(tile[98])), 9, 1, 0, 0, 0);
    mbn_dsp_patch((&(in2[6])), (&(tile[66])), (&(tile[98])), 9, 2, 0, 0, 0);
    mbn_dsp_patch((&(in0[12])), (&(tile[4])), (&(tile[100])), 9, 0, 0, 3, 0);
    mbn_dsp_patch((&(in1[12])), (&(tile[36])), (&(tile[100])), 9, 1, 0, 3, 0);
    mbn_dsp_patch((&(in2[12])), (&(tile[68])), (&(tile[100])), 9, 2, 0, 3, 0);
    mbn_model_pointwise_28x4_1x3_4_16_s0_0to192((&(tile[0])), (&(pointwise[0])), (&(out[0])));
}

/* Stage 1: dsp: depthwise by 3x3 strips, all channels in assembly; pointwise 4 pixels x 2 channels, 2 pairs; bands of 4 rows, tile of 12 pixels. */
static void mbn_block_4x3x4_to_4x3x5(const int8_t *in0, const int8_t *in1, const int8_t *in2, const int8_t *in3, const int8_t *in4, const int8_t *in5, int8_t *out, int16_t *tile, const int32_t *depthwise, const int32_t *pointwise)
{
    mbn_model_depthwise_s1_4x4x3_2x4_4_zero0_s0_0to192((&(depthwise[0])), (&(tile[0])), (&(in0[0])), (&(in1[0])), (&(in2[0])), (&(in3[0])), (&(in4[0])), (&(in5[0])));
    mbn_model_pointwise_4x5_4x3_4_20_s0_0to192_unpacked((&(tile[0])), (&(pointwise[0])), (&(out[0])));
}

/* Stage 2: dsp: sums of whole maps, two values an instruction. */
static void mbn_pool_4x3x5_to_1x1x5(const int8_t *in0, const int8_t *in1, const int8_t *in2, const int8_t *in3, int8_t *out, const int32_t *pool_bias, const int32_t *pool_doubled)
{
    int32_t _ptr[1];
    for (int32_t c = 0; c < 5; ++c) {
        _ptr[0] = pool_bias[0];
        int32_t cse_v1 = (c * 4);
        mbn_dsp_row_sum((&(_ptr[0])), (&(in0[cse_v1])), 3);
        mbn_dsp_row_sum((&(_ptr[0])), (&(in1[cse_v1])), 3);
        mbn_dsp_row_sum((&(_ptr[0])), (&(in2[cse_v1])), 3);
        mbn_dsp_row_sum((&(_ptr[0])), (&(in3[cse_v1])), 3);
        int32_t v_ = mbn_requantise(_ptr[0], pool_doubled[0]);
        int32_t v__1 = (v_) < (127) ? (v_) : (127);
        out[c] = ((int8_t)((v__1) > (-128) ? (v__1) : (-128)));
    }
}

/* Stage 3: dsp: im2col of 4 pixels, 5 taps in 3 pairs; 4 pixels x 2 channels. */
static void mbn_dense_1x1x5_to_1x1x3(const int8_t *in0, int8_t *out, int16_t *tile, const int32_t *pointwise)
{
    for (int32_t c = 0; c < 3; ++c) {
        tile[(c * 8)] = ((int16_t)in0[c]);
    }
    for (int32_t c_1 = 0; c_1 < 2; ++c_1) {
        tile[((c_1 * 8) + 1)] = ((int16_t)in0[(c_1 + 3)]);
    }
    mbn_model_pointwise_6x3_1x1_1_4_s0_unpacked((&(tile[0])), (&(pointwise[0])), (&(out[0])));
}

/* Stage 0: conv stem
 * 8x6x3 -> 4x3x4, 1296 multiply-accumulates
 * scratch 224 bytes at 0; output at 288, whole map, 16 bytes a row */
static void stage_00_stem(
    const int8_t *const *in, int8_t *const *out, int8_t *scratch)
{
    mbn_conv_8x6x3_to_4x3x4(in[0], in[1], in[2], out[0], (int16_t *)(void *)(scratch), mbn_model_00_pointwise);
}

/* Stage 1: block pw
 * 4x3x4 -> 4x3x5, 672 multiply-accumulates
 * scratch 128 bytes at 0; output at 128, whole map, 20 bytes a row */
static void stage_01_pw(
    const int8_t *const *in, int8_t *const *out, int8_t *scratch)
{
    mbn_block_4x3x4_to_4x3x5(in[0], in[1], in[2], in[3], in[4], in[5], out[0], (int16_t *)(void *)(scratch), mbn_model_01_depthwise, mbn_model_01_pointwise);
}

/* Stage 2: pool pool
 * 4x3x5 -> 1x1x5, 0 multiply-accumulates
 * scratch 0 bytes at 0; output at 208, whole map, 8 bytes a row */
static void stage_02_pool(
    const int8_t *const *in, int8_t *const *out, int8_t *scratch)
{
    (void)scratch;
    mbn_pool_4x3x5_to_1x1x5(in[0], in[1], in[2], in[3], out[0], mbn_model_02_pool_bias, mbn_model_02_pool_doubled);
}

/* Stage 3: dense dense
 * 1x1x5 -> 1x1x3, 15 multiply-accumulates
 * scratch 48 bytes at 0; output at 344, whole map, 4 bytes a row */
static void stage_03_dense(
    const int8_t *const *in, int8_t *const *out, int8_t *scratch)
{
    mbn_dense_1x1x5_to_1x1x3(in[0], out[0], (int16_t *)(void *)(scratch), mbn_model_03_pointwise);
}

static const mbn_tensor tensors[5] = {
    {.offset_bytes = 224, .row_bytes = 20,
     .height = 8, .width = 6, .channels = 3,
     .depth = 3, .plane_bytes = 0, .reader = 0,
     .zero_point = 0, .scale = 0.0078125f},
    {.offset_bytes = 288, .row_bytes = 16,
     .height = 4, .width = 3, .channels = 4,
     .depth = 4, .plane_bytes = 4, .reader = 1,
     .zero_point = -128, .scale = 0.03125f},
    {.offset_bytes = 128, .row_bytes = 20,
     .height = 4, .width = 3, .channels = 5,
     .depth = 4, .plane_bytes = 4, .reader = 2,
     .zero_point = -128, .scale = 0.03125f},
    {.offset_bytes = 208, .row_bytes = 8,
     .height = 1, .width = 1, .channels = 5,
     .depth = 1, .plane_bytes = 1, .reader = 3,
     .zero_point = -128, .scale = 0.015625f},
    {.offset_bytes = 344, .row_bytes = 4,
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
     .macs = 672, .scratch_offset_bytes = 0,
     .input = 1, .output = 2, .second = MBN_NO_TENSOR,
     .kernel_rows = 3, .stride_rows = 1, .pad_top = 1, .band_rows = 4},
    {.name = "pool",
     .run = stage_02_pool, .border = NULL,
     .macs = 0, .scratch_offset_bytes = 0,
     .input = 2, .output = 3, .second = MBN_NO_TENSOR,
     .kernel_rows = 4, .stride_rows = 1, .pad_top = 0, .band_rows = 1},
    {.name = "dense",
     .run = stage_03_dense, .border = NULL,
     .macs = 15, .scratch_offset_bytes = 0,
     .input = 3, .output = 4, .second = MBN_NO_TENSOR,
     .kernel_rows = 1, .stride_rows = 1, .pad_top = 0, .band_rows = 1},
};

static const mbn_segment segments[2] = {{0, 0}, {1, 3}};

const mbn_network mbn_model = {
    .name = "tiny",
    .model_sha256 = "deb1d855b3923536d5f726c4c6d9c2d3cee4ee7c0a57e37c659e10afb3df9b10",
    .tensors = tensors,
    .stages = stages,
    .segments = segments,
    .tensor_count = 5,
    .stage_count = 4,
    .segment_count = 2,
    .input = 0,
    .output = 4,
    .window_rows = 6,
    .band_rows = 4,
    .input_mode = MBN_INPUT_STREAM,
    .pixels = NULL,
    .arena_bytes = MBN_MODEL_ARENA_BYTES,
    .near_bytes = 0,
    .weights_bytes = 392,
    .macs = 1983,
    .needs_fpu = MBN_NEEDS_FPU,
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
