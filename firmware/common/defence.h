/* What an app does against damage: constants checked at the start, a watchdog fed band by band.
 *
 * What enters: the table of constants that the linker made and mbn.image.build.seal filled in. What
 * leaves: the first range that is damaged. Always holds: an app that finds one infers nothing.
 */
#ifndef MBN_DEFENCE_H
#define MBN_DEFENCE_H

#include "mbn/mbn.h"

#include <stdint.h>

#ifndef MBN_WATCHDOG_MS
#define MBN_WATCHDOG_MS 4000u /* a band of rows takes milliseconds */
#endif

/* Weights, other constants, code: where they lie now, and their CRC-32 when they were linked. */
typedef struct mbn_range {
    const uint8_t *start;
    uint32_t size_bytes;
    uint32_t crc;
} mbn_range;

#define MBN_DEFENCE_WORDS 256u

/* The first range whose CRC-32 is not what it was; null: all are whole (the host: never checked).
 * table: MBN_DEFENCE_WORDS words that nobody needs yet; with them a byte takes a third of the time
 * that frame.h's takes. */
const mbn_range *mbn_defence_damage(uint32_t *table);

/* Feeds the watchdog after every band: for apps that watch nothing else. */
extern const mbn_observer mbn_defence_feeder;

#endif
