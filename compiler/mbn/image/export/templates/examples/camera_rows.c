/* Pushes rows of 8-bit pixels as a camera delivers them; the network runs meanwhile. */
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

/* In place of a camera: a pattern whose result is known. A real one fills the row by DMA. */
static void camera_row(unsigned y, uint8_t *row)
{
    for (unsigned x = 0; x < @UPPER@_INPUT_WIDTH; x++) {
        for (unsigned c = 0; c < @UPPER@_INPUT_CHANNELS; c++) {
            *row++ = @UPPER@_CAMERA_PIXEL(y, x, c);
        }
    }
}

int main(void)
{
    static uint8_t row[@UPPER@_INPUT_WIDTH * @UPPER@_INPUT_CHANNELS];
    if (@PREFIX@_init(&state) != MBN_OK) {
        return 1;
    }
    for (unsigned y = 0; y < @UPPER@_INPUT_HEIGHT; y++) {
        camera_row(y, row);
        if (mbn_push_pixels(&state.base, row) != MBN_OK) {
            return 1;
        }
    }
    if (mbn_finish(&state.base) != MBN_OK) {
        return 1;
    }
    return report(mbn_output(&state.base), @PREFIX@_camera_output);
}
