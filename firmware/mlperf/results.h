/* The result of an inference, as the runner reads it: `m-results-[0.023,0.977]`.
 *
 * The network's int8 output becomes three decimals a class, with integers only. If the graph ends
 * in a softmax that the network does not compute itself (rounding `single`), it is computed here
 * from the logits, in the fixed point of rounding `tflite` but without its last rounding to 1/256.
 */
#ifndef MBN_RESULTS_H
#define MBN_RESULTS_H

#include "network.h"

typedef struct mbn_results {
    int64_t thousandths[MBN_MODEL_OUTPUT_BYTES];
} mbn_results;

void mbn_results_take(mbn_results *results, const int8_t *output);

void mbn_results_put(const mbn_results *results);

/* MLPerf Tiny's name for the network's task, found by its shapes; for any other network its own
 * name. */
const char *mbn_results_benchmark(void);

#endif
