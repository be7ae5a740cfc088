/* What the STM32 families share beyond port.h: port.c asks a family for its clocks and gates. */
#ifndef MBN_STM32_H
#define MBN_STM32_H

#include <stdbool.h>
#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(address))

/* What runs at which rate, after a fallback too, in Hz. */
typedef struct mbn_stm32_clocks {
    uint32_t core_hz;
    uint32_t usart_hz; /* the kernel clock of the serial line's USART */
} mbn_stm32_clocks;

/* The family's: rated clock, flash wait states, caches; never fails, falls back. */
mbn_stm32_clocks mbn_stm32_clocks_start(void);

/* The family's: clocks the pins' ports and the USART. */
void mbn_stm32_serial_on(void);

/* The family's: clocks TIM5; at which rate it counts, in Hz. */
uint32_t mbn_stm32_timer_on(void);

/* The family's: the register of reset flags, its flag of the independent watchdog, the bit that
 * clears them. */
typedef struct mbn_stm32_reset {
    volatile uint32_t *flags;
    uint32_t watchdog;
    uint32_t clear;
} mbn_stm32_reset;

mbn_stm32_reset mbn_stm32_reset_flags(void);

/* Reads until (value & mask) is wanted, a bounded number of times; whether it was seen. */
bool mbn_stm32_wait(volatile uint32_t *address, uint32_t mask, uint32_t wanted);

#endif
