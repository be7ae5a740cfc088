/* Arm's MPS2 and MPS3 FPGA images as QEMU models them: one CMSDK UART, polled; a counter of
 * microseconds; a watchdog; no clock to set.
 *
 * board.toml sets MBN_UART_BASE, MBN_FPGAIO_BASE, MBN_WATCHDOG_BASE and the clocks. This file
 * implements port.h's serial line, clock and watchdog. Every wait has a limit.
 */
#include "../family_cortex_m/cortex_m.h"
#include "mbn/port.h"

/* APB UART, Cortex-M System Design Kit TRM (DDI 0479), table 4-9. */
#define UART_REGISTER(offset) (*(volatile uint32_t *)(MBN_UART_BASE + (offset)))
#define UART_DATA UART_REGISTER(0x00u)
#define UART_STATE UART_REGISTER(0x04u)
#define UART_CTRL UART_REGISTER(0x08u)
#define UART_BAUDDIV UART_REGISTER(0x10u)
#define STATE_TX_FULL 1u
#define STATE_RX_FULL 2u
#define CTRL_TX_ENABLE 1u
#define CTRL_RX_ENABLE 2u
#define BAUDDIV_LEAST 16u /* the fastest that the UART allows; emulation ignores it */

/* FPGA system control block, Arm AN386 and its siblings, 4.4: a counter with a prescaler; the clock
 * that it counts is the board's, whatever the core does. */
#define FPGAIO_REGISTER(offset) (*(volatile uint32_t *)(MBN_FPGAIO_BASE + (offset)))
#define FPGAIO_COUNTER FPGAIO_REGISTER(0x18u)
#define FPGAIO_PRESCALE FPGAIO_REGISTER(0x1Cu)
#define HZ_PER_MHZ 1000000u

/* APB watchdog, Cortex-M System Design Kit TRM (DDI 0479), table 4-13: at 0 an NMI, at 0 again a
 * reset; its clock is the system's, or the slow one of 32,768 Hz. */
#define WATCHDOG_REGISTER(offset) (*(volatile uint32_t *)(MBN_WATCHDOG_BASE + (offset)))
#define WATCHDOG_LOAD WATCHDOG_REGISTER(0x000u)
#define WATCHDOG_CONTROL WATCHDOG_REGISTER(0x008u)
#define WATCHDOG_INTCLR WATCHDOG_REGISTER(0x00Cu) /* any write: counts from LOAD anew */
#define WATCHDOG_LOCK WATCHDOG_REGISTER(0xC00u)
#define WATCHDOG_UNLOCK 0x1ACCE551u
#define WATCHDOG_INTERRUPT_AND_RESET 3u
#define MS_PER_S 1000u

/* A sleeping core leaves QEMU's main loop alone, which then fills its buffer of 32 bytes at a
 * multiple of the speed; polling without a rest takes in some 20 KB/s. */
#define NAP_CYCLES (MBN_CLOCK_HZ / 10000u) /* 100 us */
#define WRITE_SPINS 10000000u

void mbn_port_init(void)
{
    UART_BAUDDIV = BAUDDIV_LEAST;
    UART_CTRL = CTRL_TX_ENABLE | CTRL_RX_ENABLE;
}

uint32_t mbn_port_clock_hz(void)
{
    return MBN_CLOCK_HZ;
}

size_t mbn_port_read(uint8_t *data, size_t capacity)
{
    size_t size = 0;
    mbn_cortex_m_nap(NAP_CYCLES);
    while (size < capacity && (UART_STATE & STATE_RX_FULL) != 0u) {
        data[size++] = (uint8_t)UART_DATA;
    }
    return size;
}

void mbn_port_write(const uint8_t *data, size_t size_bytes)
{
    for (size_t k = 0; k < size_bytes; k++) {
        uint32_t spins = WRITE_SPINS;
        while ((UART_STATE & STATE_TX_FULL) != 0u && spins != 0u) {
            spins--;
        }
        UART_DATA = data[k];
    }
}

void mbn_port_watchdog_start(uint32_t milliseconds)
{
    WATCHDOG_LOCK = WATCHDOG_UNLOCK; /* and stays open: feeding is a write too */
    WATCHDOG_LOAD = MBN_WATCHDOG_HZ / MS_PER_S * milliseconds;
    WATCHDOG_CONTROL = WATCHDOG_INTERRUPT_AND_RESET;
}

void mbn_port_watchdog_feed(void)
{
    WATCHDOG_INTCLR = 0;
}

void mbn_port_clock_init(void)
{
    FPGAIO_PRESCALE = MBN_FPGAIO_HZ / HZ_PER_MHZ - 1u;
    FPGAIO_COUNTER = 0;
}

uint32_t mbn_port_microseconds(void)
{
    return FPGAIO_COUNTER;
}
