/* tiny, compiled by mbn.
 *
 * Model:  deb1d855b3923536d5f726c4c6d9c2d3cee4ee7c0a57e37c659e10afb3df9b10
 * Input:  8x6x3 int8, real = 0.0078125 * (q - 0), stream
 * Output: 1x1x3 int8, real = 0.0625 * (q - 7)
 * Cost:   1983 multiply-accumulates, 195 parameters,
 *         216 bytes of arena, 327 bytes of weights and tables
 */
#ifndef MBN_MODEL_NETWORK_H
#define MBN_MODEL_NETWORK_H

#include "mbn/mbn.h"

#include <stdalign.h>

#define MBN_MODEL_INPUT_HEIGHT 8u
#define MBN_MODEL_INPUT_WIDTH 6u
#define MBN_MODEL_INPUT_CHANNELS 3u
#define MBN_MODEL_INPUT_SCALE 0.0078125f
#define MBN_MODEL_INPUT_ZERO_POINT (0)
/* A pixel p of 8 bits means (p / 255 - mean) / std, by channel; mbn_push_pixels stores it so. */
#define MBN_MODEL_INPUT_MEAN {0.501960813999176f, 0.501960813999176f, 0.501960813999176f}
#define MBN_MODEL_INPUT_STD {0.501960813999176f, 0.501960813999176f, 0.501960813999176f}
#define MBN_MODEL_OUTPUT_BYTES 3u
#define MBN_MODEL_OUTPUT_SCALE 0.0625f
#define MBN_MODEL_OUTPUT_ZERO_POINT (7)
#define MBN_MODEL_HOST_SOFTMAX 0 /* 1: left to the caller */
#define MBN_MODEL_ARENA_BYTES 216u
#define MBN_MODEL_FAR_BYTES 0u /* of them in a second memory, section .mbn_far */
#define MBN_MODEL_STAGES 4u

#ifdef __cplusplus
extern "C" {
#endif

extern const mbn_network mbn_model;

/* Everything that changes while the network runs; the caller owns it. */
typedef struct mbn_model_state {
    mbn_state base;
    uint16_t rows_done[5];
    const int8_t *window[6];
    int8_t *band[4];
    struct {
        uint32_t guard_low;
        alignas(16) uint8_t arena[MBN_MODEL_ARENA_BYTES];
        uint32_t guard_high;
    } memory;
} mbn_model_state;

/* Ties the state together and begins the first image. */
MBN_MUST_USE mbn_status mbn_model_init(mbn_model_state *state);

/* A whole image of 8-bit pixels, height x width x channel, in one call: mbn_output is
 * then the result. Nothing need be called before; it may be called again. */
MBN_MUST_USE static inline mbn_status
mbn_model_predict(mbn_model_state *state, const uint8_t *image)
{
    const uint32_t row = MBN_MODEL_INPUT_WIDTH * MBN_MODEL_INPUT_CHANNELS;
    mbn_status status = image ? mbn_model_init(state) : MBN_ERR_ARGUMENT;
    for (uint32_t y = 0; status == MBN_OK && y < MBN_MODEL_INPUT_HEIGHT; y++) {
        status = mbn_push_pixels(&state->base, image + y * row);
    }
    return status == MBN_OK ? mbn_finish(&state->base) : status;
}

/* A whole image of int8 codes, height x width x channel, in one call: mbn_output is
 * then the result. Nothing need be called before; it may be called again. */
MBN_MUST_USE static inline mbn_status
mbn_model_predict_codes(mbn_model_state *state, const int8_t *image)
{
    const uint32_t row = MBN_MODEL_INPUT_WIDTH * MBN_MODEL_INPUT_CHANNELS;
    mbn_status status = image ? mbn_model_init(state) : MBN_ERR_ARGUMENT;
    for (uint32_t y = 0; status == MBN_OK && y < MBN_MODEL_INPUT_HEIGHT; y++) {
        status = mbn_push_row(&state->base, image + y * row);
    }
    return status == MBN_OK ? mbn_finish(&state->base) : status;
}

#ifdef __cplusplus
}
#endif

#endif
