/* The instruction and data caches of cores that have them (Cortex-M7, M55, M85). */
#ifndef MBN_CORTEX_M_CACHES_H
#define MBN_CORTEX_M_CACHES_H

/* Invalidates both and turns them on. Once, early: no data may be in a data cache that is on.
 * Nothing here uses DMA, so no range is ever cleaned. */
void mbn_cortex_m_caches_on(void);

#endif
