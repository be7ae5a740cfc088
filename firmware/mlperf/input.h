/* The input as the runner loads it through `db`, and as the network reads it.
 *
 * What the bytes are is known from the network's shapes:
 *
 * - pixels: unsigned, 128 less in the network, or what its pixel table says. Every input with rows
 *   and columns that has a pixel table, three channels, or as many rows as columns.
 * - numbers: little-endian float32, quantised with the input's scale and zero point. The input of
 *   an autoencoder: one pixel whose channels are as many as the result's.
 * - codes: signed, as the network wants them. Every other input, such as a spectrogram.
 *
 * Whatever comes, nothing is written outside the buffer.
 */
#ifndef MBN_INPUT_H
#define MBN_INPUT_H

#include "network.h"

#include <stdbool.h>

#define MBN_INPUT_VALUES                                                                           \
    (MBN_MODEL_INPUT_HEIGHT * MBN_MODEL_INPUT_WIDTH * MBN_MODEL_INPUT_CHANNELS)

/* Whether the result is a reconstruction of the input. */
#define MBN_RECONSTRUCTS                                                                           \
    (MBN_MODEL_INPUT_HEIGHT * MBN_MODEL_INPUT_WIDTH == 1u &&                                       \
     MBN_MODEL_OUTPUT_BYTES == MBN_MODEL_INPUT_CHANNELS)

#if MBN_RECONSTRUCTS
#define MBN_INPUT_BYTES (4u * MBN_INPUT_VALUES)
#else
#define MBN_INPUT_BYTES MBN_INPUT_VALUES
#endif

/* Whether bytes are signed codes, as the network wants them. */
bool mbn_input_is_codes(void);

/* `db load`, the bytes that follow, `db print`. `count`: as text, or null. */
void mbn_input_load(const char *count);
void mbn_input_take(const char *digits);
void mbn_input_print(void);

/* Before and after inferences: what is loaded becomes what the network reads, and again what was
 * loaded. So nothing is converted in the time that is measured. */
void mbn_input_prepare(void);
void mbn_input_restore(void);

/* Gives the network a row. */
MBN_MUST_USE mbn_status mbn_input_push(mbn_state *state, uint32_t row);

#if MBN_RECONSTRUCTS
/* The numbers that were loaded. */
const float *mbn_input_numbers(void);
#endif

#endif
