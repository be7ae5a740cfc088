/* Checks constants against their CRCs; see defence.h. */
#include "defence.h"

#include "frame.h"
#include "mbn/port.h"

#include <string.h>

#if defined(__arm__) && !defined(MBN_NO_SEAL) /* an exported sketch has none */
/* The same CRC-32 as mbn_crc32's, four bytes at a time. */
static uint32_t range_crc(const mbn_range *range, const uint32_t *table)
{
    const uint8_t *data = range->start;
    uint32_t left = range->size_bytes;
    uint32_t crc = ~MBN_CRC32_START;
    for (; left >= 4u; left -= 4u) {
        uint32_t word;
        memcpy(&word, data, sizeof word);
        data += 4;
        crc ^= word; /* least byte first */
        crc = (crc >> 8) ^ table[crc & 255u];
        crc = (crc >> 8) ^ table[crc & 255u];
        crc = (crc >> 8) ^ table[crc & 255u];
        crc = (crc >> 8) ^ table[crc & 255u];
    }
    return mbn_crc32(~crc, data, left);
}
#endif

const mbn_range *mbn_defence_damage(uint32_t *table)
{
#if defined(__arm__) && !defined(MBN_NO_SEAL)
    extern const mbn_range mbn_ld_seal_start[];
    extern const mbn_range mbn_ld_seal_end[];
    for (uint32_t k = 0; k < MBN_DEFENCE_WORDS; k++) {
        /* what a byte does to a CRC of 0 before the last inversion */
        const uint8_t byte = (uint8_t)k;
        table[k] = ~mbn_crc32(UINT32_MAX, &byte, 1);
    }
    for (const mbn_range *range = mbn_ld_seal_start; range < mbn_ld_seal_end; range++) {
        if (range_crc(range, table) != range->crc) {
            return range;
        }
    }
#else
    (void)table;
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
