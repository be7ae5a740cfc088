/* What the boards of the family share beyond port.h. */
#ifndef MBN_CORTEX_M_H
#define MBN_CORTEX_M_H

#include <stdbool.h>
#include <stdint.h>

/* Sleeps for that many core clocks (at least 1, less than 2^24) by SysTick; no handler runs. */
void mbn_cortex_m_nap(uint32_t cycles);

/* Reads a register until its bits of `mask` are as wanted, `spins` times at most. */
static inline bool mbn_cortex_m_wait(const volatile uint32_t *address, uint32_t mask,
                                     uint32_t wanted, uint32_t spins)
{
    for (; spins != 0u; spins--) {
        if ((*address & mask) == wanted) {
            return true;
        }
    }
    return false;
}

/* A family's, where the part says so: whether the last reset was a watchdog's. Clears what said it.
 * Asked before main, and only where RAM does not tell. Without it: false. */
bool mbn_cortex_m_reset_by_watchdog(void);

#endif
