/* Classifies the image of @PREFIX@_sample.h once a second. */
#include <Arduino.h>

#include <@PREFIX@.h>
#include <@PREFIX@_sample.h>

static @PREFIX@_state state; /* everything that changes; no other RAM but the stack */

/* The outputs; null where something went wrong. */
static const int8_t *run()
{
    if (@PREFIX@_predict_codes(&state, @PREFIX@_sample) != MBN_OK) {
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
