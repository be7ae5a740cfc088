/* What the boards of the family share beyond port.h. */
#ifndef MBN_CORTEX_M_H
#define MBN_CORTEX_M_H

#include <stdint.h>

/* Sleeps for that many core clocks (at least 1, less than 2^24) by SysTick; no handler runs. */
void mbn_cortex_m_nap(uint32_t cycles);

#endif
