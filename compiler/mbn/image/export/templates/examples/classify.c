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
    printf("\nclass %u\n", best);
    return memcmp(output, expected, @UPPER@_OUTPUT_BYTES) == 0 ? 0 : 1;
}

int main(void)
{
    const int8_t *row = @PREFIX@_sample;
    if (@PREFIX@_init(&state) != MBN_OK) {
        return 1;
    }
    for (unsigned y = 0; y < @UPPER@_INPUT_HEIGHT; y++) {
        if (mbn_push_row(&state.base, row) != MBN_OK) {
            return 1;
        }
        row += @UPPER@_INPUT_WIDTH * @UPPER@_INPUT_CHANNELS;
    }
    if (mbn_finish(&state.base) != MBN_OK) {
        return 1;
    }
    return report(mbn_output(&state.base), @PREFIX@_sample_output);
}
