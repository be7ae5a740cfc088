/* What the check app records of an inference, by stage: checksums, cycles, one stage's rows.
 *
 * Maps are seen in canonical order, height x width x channel, whatever their layout is.
 */
#ifndef MBN_CHECK_WATCH_H
#define MBN_CHECK_WATCH_H

#include "frame.h"
#include "mbn/mbn.h"

#ifndef MBN_CHECK_STAGES
#define MBN_CHECK_STAGES 96u /* the paper's network has 28 layers, MobileNetV2 some 55 */
#endif

typedef struct mbn_watch {
    const mbn_network *network;
    mbn_frame_writer *writer; /* trace rows go out here */
    uint8_t flags;            /* MBN_WATCH_... */
    uint16_t traced;          /* stage */
    uint32_t started;         /* cycle counter when the running stage began */
    uint32_t crc[MBN_CHECK_STAGES];
    uint16_t rows[MBN_CHECK_STAGES];
    uint64_t cycles[MBN_CHECK_STAGES];
    uint32_t runs[MBN_CHECK_STAGES];
    mbn_observer observer;
} mbn_watch;

/* Resets all and sets the observer up; null if there is nothing to watch. */
const mbn_observer *mbn_watch_begin(mbn_watch *watch, uint8_t flags, uint16_t traced);

#endif
