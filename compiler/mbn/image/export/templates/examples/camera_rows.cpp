/* Pushes rows of 8-bit pixels as a camera delivers them; the network runs meanwhile. */
#include <Arduino.h>

#include <@PREFIX@.h>
#include <@PREFIX@_sample.h>

static @PREFIX@_state state; /* everything that changes; no other RAM but the stack */

/* In place of a camera: a pattern whose result is known. A real one fills the row by DMA. */
static void camera_row(unsigned y, uint8_t *row)
{
    for (unsigned x = 0; x < @UPPER@_INPUT_WIDTH; x++) {
        for (unsigned c = 0; c < @UPPER@_INPUT_CHANNELS; c++) {
            *row++ = @UPPER@_CAMERA_PIXEL(y, x, c);
        }
    }
}

/* The outputs; null where something went wrong. */
static const int8_t *run()
{
    static uint8_t row[@UPPER@_INPUT_WIDTH * @UPPER@_INPUT_CHANNELS];
    if (@PREFIX@_init(&state) != MBN_OK) {
        return NULL;
    }
    for (unsigned y = 0; y < @UPPER@_INPUT_HEIGHT; y++) {
        camera_row(y, row);
        if (mbn_push_pixels(&state.base, row) != MBN_OK) {
            return NULL;
        }
    }
    if (mbn_finish(&state.base) != MBN_OK) {
        return NULL;
    }
    return mbn_output(&state.base);
}

void setup()
{
    Serial.begin(115200);
}

void loop()
{
    const int8_t *output = run();
    unsigned best = 0;
    bool same = output != NULL;
    for (unsigned k = 0; output != NULL && k < @UPPER@_OUTPUT_BYTES; k++) {
        Serial.print((int)output[k]);
        Serial.print(' ');
        best = output[k] > output[best] ? k : best;
        same = same && output[k] == @PREFIX@_camera_output[k];
    }
    Serial.println();
#ifdef @UPPER@_CLASSES
    Serial.print("class ");
    Serial.print(best);
    Serial.print(": ");
    Serial.println(@PREFIX@_label(best));
#else
    Serial.print("class ");
    Serial.println(best);
#endif
    Serial.println(same ? "as the reference" : "not as the reference");
    delay(1000);
}
