/* What an inference means, as the runner reads it: `m-results-[0.023,0.977]`.
 *
 * What enters: the network's int8 output. What leaves: three decimals a class. Always holds:
 * integers only. Where the graph ends in a softmax that the network does not compute itself
 * (rounding `single`), it is taken here, of the logits, in the same fixed point as rounding
 * `tflite`'s but without its last rounding to 1/256.
 */
#ifndef MBN_RESULTS_H
#define MBN_RESULTS_H

#include "network.h"

typedef struct mbn_results {
    int64_t thousandths[MBN_MODEL_OUTPUT_BYTES];
} mbn_results;

void mbn_results_take(mbn_results *results, const int8_t *output);

void mbn_results_put(const mbn_results *results);

/* MLPerf Tiny's name of the network's task, by the shapes; the network's own name where it is none
 * of them. */
const char *mbn_results_benchmark(void);

#endif
