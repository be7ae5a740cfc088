/* Turns the caches on: ARMv7-M Architecture Reference Manual B2.2 and B3.2 (ARMv8-M: the same
 * registers).
 *
 * Both caches are off after reset. Every line is invalidated first, since its content is unknown.
 */
#include "caches.h"

#include <stdint.h>

#define SCB_CCR (*(volatile uint32_t *)0xE000ED14u)    /* B3.2.8 */
#define SCB_CCSIDR (*(volatile uint32_t *)0xE000ED80u) /* B4.8.1 */
#define SCB_CSSELR (*(volatile uint32_t *)0xE000ED84u) /* B4.8.3 */
#define ICIALLU (*(volatile uint32_t *)0xE000EF50u)    /* B2.2.7 */
#define DCISW (*(volatile uint32_t *)0xE000EF60u)
#define CCR_DC (1u << 16)
#define CCR_IC (1u << 17)

#define WAYS(ccsidr) (((ccsidr) >> 3) & 0x3FFu) /* each less one */
#define SETS(ccsidr) (((ccsidr) >> 13) & 0x7FFFu)
#define LINE_LOG2(ccsidr) (((ccsidr)&7u) + 4u) /* of bytes */

static void barrier(void)
{
    __asm volatile("dsb\n\tisb" ::: "memory");
}

/* The way stands in the top bits, the set above the line's offset (B2.2.7). */
static void data_invalidate(void)
{
    SCB_CSSELR = 0; /* level 1, data */
    barrier();
    const uint32_t geometry = SCB_CCSIDR;
    const uint32_t ways = WAYS(geometry);
    const uint32_t way_shift = ways == 0u ? 0u : (uint32_t)__builtin_clz(ways);
    for (uint32_t set = 0; set <= SETS(geometry); set++) {
        for (uint32_t way = 0; way <= ways; way++) {
            DCISW = (way << way_shift) | (set << LINE_LOG2(geometry));
        }
    }
    barrier();
}

void mbn_cortex_m_caches_on(void)
{
    barrier();
    ICIALLU = 0;
    barrier();
    SCB_CCR |= CCR_IC;
    barrier();
    if ((SCB_CCR & CCR_DC) == 0u) { /* a debugger may have started us with it on */
        data_invalidate();
        SCB_CCR |= CCR_DC;
    }
    barrier();
}
