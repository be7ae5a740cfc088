/* Checks what may not change; see defence.h for what enters, what leaves and what always holds. */
#include "defence.h"

#include "frame.h"
#include "mbn/port.h"

const mbn_range *mbn_defence_damage(void)
{
#if defined(__arm__)
    extern const mbn_range mbn_ld_seal_start[];
    extern const mbn_range mbn_ld_seal_end[];
    for (const mbn_range *range = mbn_ld_seal_start; range < mbn_ld_seal_end; range++) {
        if (mbn_crc32(MBN_CRC32_START, range->start, range->size_bytes) != range->crc) {
            return range;
        }
    }
#endif
    return NULL;
}

static void fed(void *context, uint16_t stage)
{
    (void)context;
    (void)stage;
    mbn_port_watchdog_feed();
}

const mbn_observer mbn_defence_feeder = {.after = fed};
