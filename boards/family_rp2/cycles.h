/* A counter of 24 bits made one of 32 by a clock that tells its wraps. */
#ifndef MBN_RP2_CYCLES_H
#define MBN_RP2_CYCLES_H

#include <stdint.h>

#define MBN_SYSTICK_MASK 0xFFFFFFu

/* The number nearest to `about` whose low 24 bits are those of `low`, modulo 2^32. `about` is the
 * microseconds times the cycles in each: less than a wrap of the 24 bits off. */
static inline uint32_t mbn_rp2_cycles(uint32_t low, uint32_t about)
{
    const uint32_t apart = (low - about) & MBN_SYSTICK_MASK;
    return about + apart - (apart > MBN_SYSTICK_MASK / 2u ? MBN_SYSTICK_MASK + 1u : 0u);
}

#endif
