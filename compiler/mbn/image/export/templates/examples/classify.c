/* Classifies the image of @PREFIX@_sample.h. */
#include "@PREFIX@.h"
#include "@PREFIX@_sample.h"

#include <stdio.h>
#include <string.h>

static @PREFIX@_state state; /* everything that changes; no other RAM but the stack */

/* Prints the outputs and the largest; 0 if all bits are those of the host's reference. */
static int report(const int8_t *output, const int8_t *expected)
{
    unsigned best = 0;
    for (unsigned k = 0; k < @UPPER@_OUTPUT_BYTES; k++) {
        printf("%d ", output[k]);
        best = output[k] > output[best] ? k : best;
    }
#ifdef @UPPER@_CLASSES
    printf("\nclass %u: %s\n", best, @PREFIX@_label(best));
#else
    printf("\nclass %u\n", best);
#endif
    return memcmp(output, expected, @UPPER@_OUTPUT_BYTES) == 0 ? 0 : 1;
}

int main(void)
{
    if (@PREFIX@_predict_codes(&state, @PREFIX@_sample) != MBN_OK) {
        return 1;
    }
    return report(mbn_output(&state.base), @PREFIX@_sample_output);
}
