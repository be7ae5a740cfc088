/* Classifies the image of @PREFIX@_sample.h once a second. */
#include <Arduino.h>

#include <@PREFIX@.h>
#include <@PREFIX@_sample.h>

static @PREFIX@_state state; /* everything that changes; no other RAM but the stack */

/* The outputs; null where something went wrong. */
static const int8_t *run()
{
    const int8_t *row = @PREFIX@_sample;
    if (@PREFIX@_init(&state) != MBN_OK) {
        return NULL;
    }
    for (unsigned y = 0; y < @UPPER@_INPUT_HEIGHT; y++) {
        if (mbn_push_row(&state.base, row) != MBN_OK) {
            return NULL;
        }
        row += @UPPER@_INPUT_WIDTH * @UPPER@_INPUT_CHANNELS;
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
        same = same && output[k] == @PREFIX@_sample_output[k];
    }
    Serial.println();
    Serial.print("class ");
    Serial.println(best);
    Serial.println(same ? "as the reference" : "not as the reference");
    delay(1000);
}
