/* port.h on every STM32: a USART on two pins, 8N1, polled; TIM5 for microseconds; the independent
 * watchdog.
 *
 * board.toml sets MBN_GPIO_BASE (port A's), MBN_TX_PORT and MBN_RX_PORT (0 is A), MBN_TX_PIN,
 * MBN_RX_PIN, MBN_PIN_FUNCTION, MBN_USART_BASE, MBN_BAUD; MBN_USART_OLD for the USART of F1 to F4,
 * MBN_LPUART for a low-power one. This file implements port.h's serial line and clock. Every wait
 * has a limit. The rates follow the clocks that the family really reached. Sections are cited by
 * title, since numbers differ between the manuals: RM0090 (F405), RM0390 (F446), RM0385 (F746),
 * RM0433 (H743), RM0455 (H7A3), RM0432 (L4R5), RM0456 (U575).
 */
#include "stm32.h"

#include "../family_cortex_m/cortex_m.h"
#include "mbn/port.h"

/* "GPIO registers"; the ports lie 0x400 apart ("Memory map"). */
#define GPIO(port, offset) REGISTER(MBN_GPIO_BASE + 0x400u * (port) + (offset))
#define GPIO_MODER(port) GPIO(port, 0x00u)
#define GPIO_OSPEEDR(port) GPIO(port, 0x08u)
#define GPIO_PUPDR(port) GPIO(port, 0x0Cu)
#define GPIO_AFR(port, pin) GPIO(port, 0x20u + 4u * ((pin) / 8u))
#define MODER_ALTERNATE 2u
#define OSPEEDR_FAST 2u /* 50 to 100 MHz by part; a bit takes 1 us */
#define PUPDR_UP 1u

#if defined(MBN_USART_OLD) /* "USART registers" of RM0090 and RM0390 */
#define USART_STATE REGISTER(MBN_USART_BASE + 0x00u)
#define USART_RECEIVED REGISTER(MBN_USART_BASE + 0x04u)
#define USART_SENT REGISTER(MBN_USART_BASE + 0x04u)
#define USART_BRR REGISTER(MBN_USART_BASE + 0x08u)
#define USART_CR1 REGISTER(MBN_USART_BASE + 0x0Cu)
#define CR1_UE (1u << 13)
#else /* "USART registers", "LPUART registers" of the others */
#define USART_CR1 REGISTER(MBN_USART_BASE + 0x00u)
#define USART_BRR REGISTER(MBN_USART_BASE + 0x0Cu)
#define USART_STATE REGISTER(MBN_USART_BASE + 0x1Cu)
#define USART_ICR REGISTER(MBN_USART_BASE + 0x20u)
#define USART_RECEIVED REGISTER(MBN_USART_BASE + 0x24u)
#define USART_SENT REGISTER(MBN_USART_BASE + 0x28u)
#define CR1_UE 1u
#define ICR_ERRORS 0xFu /* parity, framing, noise, overrun */
#endif
#define CR1_RE (1u << 2)
#define CR1_TE (1u << 3)
#define STATE_RXNE (1u << 5)
#define STATE_TXE (1u << 7)

/* A timer of 32 bits, "TIM2 to TIM5 registers"; at this address in all families. */
#define TIM5_CR1 REGISTER(0x40000C00u)
#define TIM5_EGR REGISTER(0x40000C14u)
#define TIM5_CNT REGISTER(0x40000C24u)
#define TIM5_PSC REGISTER(0x40000C28u)
#define TIM_CR1_CEN 1u
#define TIM_EGR_UG 1u /* takes the prescaler over */
#define HZ_PER_MHZ 1000000u

/* "Independent watchdog (IWDG)": the same registers in all families, at another place in the H7.
 * Its oscillator of 32 kHz is a rough one (17 to 47 kHz on an F4), so that 4 s may be 2.7 s. */
#if !defined(MBN_IWDG_BASE)
#define MBN_IWDG_BASE 0x40003000u
#endif
#define IWDG_KR REGISTER(MBN_IWDG_BASE + 0x00u)
#define IWDG_PR REGISTER(MBN_IWDG_BASE + 0x04u)
#define IWDG_RLR REGISTER(MBN_IWDG_BASE + 0x08u)
#define IWDG_SR REGISTER(MBN_IWDG_BASE + 0x0Cu)
#define KR_FEED 0xAAAAu
#define KR_OPEN 0x5555u
#define KR_START 0xCCCCu
#define PR_64 4u /* 500 Hz */
#define MS_PER_TICK 2u
#define RLR_MOST 0xFFFu
#define SR_UPDATES 0xFu
/* Debug halting control and status, ARMv7-M C1.6.2: a debugger would halt the core and not the
 * watchdog, so that under one there is none. */
#define DCB_DHCSR REGISTER(0xE000EDF0u)
#define DHCSR_DEBUGGER 1u

#define READY_SPINS 200000u /* some 60 ms at 16 MHz; a crystal starts in 2 ms (datasheets) */
/* Well under a byte's time on the line, so that none is overrun; the rest saves power on the part,
 * and lets an emulator's other threads run. */
#define NAPS_PER_BYTE 2u
#define BITS_PER_BYTE 10u
#define WRITE_SPINS 1000000u

static mbn_stm32_clocks clocks;

bool mbn_stm32_wait(volatile uint32_t *address, uint32_t mask, uint32_t wanted)
{
    for (uint32_t spins = READY_SPINS; spins != 0u; spins--) {
        if ((*address & mask) == wanted) {
            return true;
        }
    }
    return false;
}

static void pin_start(uint32_t port, uint32_t pin, uint32_t pull)
{
    const uint32_t two = 2u * pin;
    const uint32_t four = 4u * (pin % 8u);
    GPIO_AFR(port, pin) = (GPIO_AFR(port, pin) & ~(15u << four)) | (MBN_PIN_FUNCTION << four);
    GPIO_OSPEEDR(port) = (GPIO_OSPEEDR(port) & ~(3u << two)) | (OSPEEDR_FAST << two);
    GPIO_PUPDR(port) = (GPIO_PUPDR(port) & ~(3u << two)) | (pull << two);
    GPIO_MODER(port) = (GPIO_MODER(port) & ~(3u << two)) | (MODER_ALTERNATE << two);
}

/* "Fractional baud rate generation": oversampling by 16, so that the register is the quotient;
 * "LPUART baud rate generation": 256 times the quotient. */
static uint32_t divider(uint32_t clock_hz)
{
#if defined(MBN_LPUART)
    return (uint32_t)((256ull * clock_hz + MBN_BAUD / 2u) / MBN_BAUD);
#else
    return (clock_hz + MBN_BAUD / 2u) / MBN_BAUD;
#endif
}

void mbn_port_init(void)
{
    clocks = mbn_stm32_clocks_start();
    mbn_stm32_serial_on();
    pin_start(MBN_TX_PORT, MBN_TX_PIN, 0u);
    pin_start(MBN_RX_PORT, MBN_RX_PIN, PUPDR_UP);
    USART_BRR = divider(clocks.usart_hz);
    USART_CR1 = CR1_UE | CR1_TE | CR1_RE;
}

uint32_t mbn_port_clock_hz(void)
{
    return clocks.core_hz;
}

size_t mbn_port_read(uint8_t *data, size_t capacity)
{
    size_t size = 0;
    mbn_cortex_m_nap(clocks.core_hz / (MBN_BAUD / BITS_PER_BYTE) / NAPS_PER_BYTE);
    /* the old USART clears an overrun by reading the state, then the data ("Status register
     * (USART_SR)"), the new one on demand; the frame's CRC tells the loss */
    while (size < capacity && (USART_STATE & STATE_RXNE) != 0u) {
        data[size++] = (uint8_t)USART_RECEIVED;
    }
#if !defined(MBN_USART_OLD)
    USART_ICR = ICR_ERRORS;
#endif
    return size;
}

void mbn_port_write(const uint8_t *data, size_t size_bytes)
{
    for (size_t k = 0; k < size_bytes; k++) {
        uint32_t spins = WRITE_SPINS;
        while ((USART_STATE & STATE_TXE) == 0u && spins != 0u) {
            spins--;
        }
        USART_SENT = data[k];
    }
}

void mbn_port_clock_init(void)
{
    TIM5_PSC = mbn_stm32_timer_on() / HZ_PER_MHZ - 1u;
    TIM5_EGR = TIM_EGR_UG;
    TIM5_CR1 = TIM_CR1_CEN;
}

uint32_t mbn_port_microseconds(void)
{
    return TIM5_CNT;
}

void mbn_port_watchdog_start(uint32_t milliseconds)
{
    const uint32_t ticks = milliseconds / MS_PER_TICK;
    if ((DCB_DHCSR & DHCSR_DEBUGGER) != 0u) {
        return;
    }
    IWDG_KR = KR_START;
    IWDG_KR = KR_OPEN;
    IWDG_PR = PR_64;
    IWDG_RLR = ticks < RLR_MOST ? ticks : RLR_MOST;
    (void)mbn_stm32_wait(&IWDG_SR, SR_UPDATES, 0u);
    IWDG_KR = KR_FEED;
}

void mbn_port_watchdog_feed(void)
{
    IWDG_KR = KR_FEED; /* harmless where it was not started */
}

bool mbn_cortex_m_reset_by_watchdog(void)
{
    const mbn_stm32_reset reset = mbn_stm32_reset_flags();
    const bool watchdog = (*reset.flags & reset.watchdog) != 0u;
    *reset.flags |= reset.clear;
    return watchdog;
}
