/* The result of an inference, as the runner reads it: `m-results-[0.023,0.977]`.
 *
 * The network's int8 output becomes three decimals a class, with integers only. If the graph ends
 * in a softmax that the network does not compute itself (rounding `single`), it is computed here
 * from the logits, in the fixed point of rounding `tflite` but without its last rounding to 1/256.
 * Where the input is codes (key words), decimals are cut and not rounded, as the reference
 * submission does. Of an autoencoder the result is one number: the mean over its values of
 * (result - input)^2, in float32, in their order.
 */
#ifndef MBN_RESULTS_H
#define MBN_RESULTS_H

#include "input.h"
#include "network.h"

#if MBN_RECONSTRUCTS
#define MBN_RESULTS 1u
#else
#define MBN_RESULTS MBN_MODEL_OUTPUT_BYTES
#endif

typedef struct mbn_results {
    int64_t thousandths[MBN_RESULTS]; /* INT64_MIN: no number */
} mbn_results;

void mbn_results_take(mbn_results *results, const int8_t *output);

void mbn_results_put(const mbn_results *results);

/* MLPerf Tiny's name for the network's task, found by its shapes; for any other network its own
 * name. */
const char *mbn_results_benchmark(void);

#endif
