/* Finds the objects in the image of @PREFIX@_sample.h once a second. */
#include <Arduino.h>

#include <@PREFIX@.h>
#include <@PREFIX@_sample.h>
#include <string.h>

static @PREFIX@_state state; /* everything that changes, but for these two */
static mbn_candidate work[@UPPER@_CANDIDATES];
static mbn_detection found[@UPPER@_CANDIDATES];

/* A number behind its name. */
static void say(const char *name, unsigned value)
{
    Serial.print(name);
    Serial.print(value);
}

/* One object; corners in rows and columns of the image. */
static void report(const mbn_detection *one)
{
    say("class ", one->label);
    say(", score ", one->score);
    say(" of 32768, rows ", (unsigned)one->top * @UPPER@_INPUT_HEIGHT >> MBN_BOX_BITS);
    say(" to ", (unsigned)one->bottom * @UPPER@_INPUT_HEIGHT >> MBN_BOX_BITS);
    say(", columns ", (unsigned)one->left * @UPPER@_INPUT_WIDTH >> MBN_BOX_BITS);
    say(" to ", (unsigned)one->right * @UPPER@_INPUT_WIDTH >> MBN_BOX_BITS);
    Serial.println();
}

void setup()
{
    Serial.begin(115200);
}

void loop()
{
    uint16_t count = 0;
    bool same = @PREFIX@_predict_codes(&state, @PREFIX@_sample) == MBN_OK &&
                @PREFIX@_detect(&state, work, found, @UPPER@_CANDIDATES, &count) == MBN_OK;
    for (unsigned k = 0; k < count; k++) {
        report(&found[k]);
    }
    say("", count);
    Serial.println(" objects");
    same = same && count == @UPPER@_SAMPLE_BOXES &&
           memcmp(found, @PREFIX@_sample_boxes, count * sizeof found[0]) == 0;
    Serial.println(same ? "as the reference" : "not as the reference");
    delay(1000);
}
