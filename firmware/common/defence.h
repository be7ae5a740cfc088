/* Protects an app against damage: constants are checked at the start, and a watchdog is fed band by
 * band.
 *
 * The linker makes the table of constants and mbn.image.build.seal fills it in. An app that finds a
 * damaged range runs no inference.
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

/* The first range whose CRC-32 has changed; null if none has (the host is never checked). table:
 * MBN_DEFENCE_WORDS words that are free for use now; with them a byte takes a third of the time
 * of frame.h's CRC. */
const mbn_range *mbn_defence_damage(uint32_t *table);

/* Feeds the watchdog after every band, for apps that have no observer of their own. */
extern const mbn_observer mbn_defence_feeder;

#endif
