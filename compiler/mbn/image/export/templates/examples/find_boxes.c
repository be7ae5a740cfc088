/* Finds the objects in the image of @PREFIX@_sample.h. */
#include "@PREFIX@.h"
#include "@PREFIX@_sample.h"

#include <stdio.h>
#include <string.h>

static @PREFIX@_state state; /* everything that changes, but for these two */
static mbn_candidate work[@UPPER@_CANDIDATES];
static mbn_detection found[@UPPER@_CANDIDATES];

/* Prints one object; corners in rows and columns of the image. */
static void report(const mbn_detection *one)
{
    printf("class %u, score %u of 32768, rows %u to %u, columns %u to %u\n", one->label, one->score,
           (unsigned)one->top * @UPPER@_INPUT_HEIGHT >> MBN_BOX_BITS,
           (unsigned)one->bottom * @UPPER@_INPUT_HEIGHT >> MBN_BOX_BITS,
           (unsigned)one->left * @UPPER@_INPUT_WIDTH >> MBN_BOX_BITS,
           (unsigned)one->right * @UPPER@_INPUT_WIDTH >> MBN_BOX_BITS);
}

/* 0 if all objects are those of the host's reference. */
int main(void)
{
    uint16_t count = 0;
    if (@PREFIX@_predict_codes(&state, @PREFIX@_sample) != MBN_OK ||
        @PREFIX@_detect(&state, work, found, @UPPER@_CANDIDATES, &count) != MBN_OK) {
        return 1;
    }
    for (unsigned k = 0; k < count; k++) {
        report(&found[k]);
    }
    printf("%u objects\n", count);
    const size_t size = count * sizeof found[0];
    return count == @UPPER@_SAMPLE_BOXES && memcmp(found, @PREFIX@_sample_boxes, size) == 0 ? 0 : 1;
}
