/* Nordic nRF52: 64 MHz from the crystal, instruction cache, UART0 without flow control, 8N1,
 * polled; the watchdog.
 *
 * board.toml sets MBN_TX_PORT and MBN_TX_PIN, MBN_RX_PORT and MBN_RX_PIN, MBN_BAUD. This file
 * implements port.h's serial line and clock. Every wait has a limit. Without the crystal the
 * internal oscillator gives the same 64 MHz (1.5 %). The UART without EasyDMA is used: it has a
 * FIFO of six bytes and needs no buffer that a transfer may outrun. Sections, by title: nRF52840
 * Product Specification v1.7; the nRF52833's registers are the same. Untested on hardware.
 */
#include "../family_cortex_m/cortex_m.h"
#include "mbn/port.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))

/* "CLOCK - Clock control", registers */
#define CLOCK_TASKS_HFCLKSTART REGISTER(0x40000000u)
#define CLOCK_EVENTS_HFCLKSTARTED REGISTER(0x40000100u)
/* "NVMC - Non-volatile memory controller", registers */
#define NVMC_ICACHECNF REGISTER(0x4001E540u)
#define ICACHECNF_CACHEEN 1u
/* "GPIO - General purpose input/output", registers; the two ports lie 0x300 apart */
#define GPIO_OUTSET(port) REGISTER(0x50000508u + 0x300u * (port))
#define GPIO_PIN_CNF(port, pin) REGISTER(0x50000700u + 0x300u * (port) + 4u * (pin))
#define PIN_CNF_OUTPUT 3u /* the input buffer is not connected */
#define PIN_CNF_INPUT_PULLED_UP (3u << 2)
/* "UART - Universal asynchronous receiver/transmitter", registers */
#define UART_TASKS_STARTRX REGISTER(0x40002000u)
#define UART_TASKS_STARTTX REGISTER(0x40002008u)
#define UART_EVENTS_RXDRDY REGISTER(0x40002108u)
#define UART_EVENTS_TXDRDY REGISTER(0x4000211Cu)
#define UART_ERRORSRC REGISTER(0x40002480u)
#define UART_ENABLE REGISTER(0x40002500u)
#define UART_PSEL_TXD REGISTER(0x4000250Cu)
#define UART_PSEL_RXD REGISTER(0x40002514u)
#define PSEL_PORT(which) ((which) << 5) /* "PSEL.TXD": the pin in the bits below */
#define UART_RXD REGISTER(0x40002518u)
#define UART_TXD REGISTER(0x4000251Cu)
#define UART_BAUDRATE REGISTER(0x40002524u)
#define ENABLE_UART 4u
#define ERRORSRC_ALL 0xFu /* written back: cleared */
#if MBN_BAUD == 921600u
#define BAUDRATE 0x0EBED000u
#elif MBN_BAUD == 115200u
#define BAUDRATE 0x01D7E000u
#else
#error "MBN_BAUD: the specification's table has 921600 and 115200, among others"
#endif
/* "TIMER - Timer/counter", registers: TIMER0, at 16 MHz over 2 ^ PRESCALER */
#define TIMER_TASKS_START REGISTER(0x40008000u)
#define TIMER_TASKS_CLEAR REGISTER(0x4000800Cu)
#define TIMER_TASKS_CAPTURE0 REGISTER(0x40008040u)
#define TIMER_BITMODE REGISTER(0x40008508u)
#define TIMER_PRESCALER REGISTER(0x40008510u)
#define TIMER_CC0 REGISTER(0x40008540u)
#define BITMODE_32 3u
#define PRESCALER_1_MHZ 4u

/* "WDT - Watchdog timer", registers: counts at 32,768 Hz, also while the core sleeps, and not while
 * a debugger halts it; once started it keeps its settings. */
#define WDT_TASKS_START REGISTER(0x40010000u)
#define WDT_CRV REGISTER(0x40010504u)
#define WDT_CONFIG REGISTER(0x4001050Cu)
#define WDT_RR0 REGISTER(0x40010600u)
#define WDT_FEED 0x6E524635u
#define CONFIG_SLEEP_RUN 1u
#define WDT_HZ 32768u
/* "POWER - Power supply", registers: ones cleared by writing them */
#define POWER_RESETREAS REGISTER(0x40000400u)
#define RESETREAS_DOG (1u << 1)
#define MS_PER_S 1000u

#define CORE_HZ 64000000u
#define CRYSTAL_SPINS 200000u /* some 10 ms; it starts in less than one */
#define WRITE_SPINS 100000u

void mbn_port_init(void)
{
    NVMC_ICACHECNF = ICACHECNF_CACHEEN;
    CLOCK_EVENTS_HFCLKSTARTED = 0;
    CLOCK_TASKS_HFCLKSTART = 1;
    for (uint32_t spins = CRYSTAL_SPINS; CLOCK_EVENTS_HFCLKSTARTED == 0u && spins != 0u; spins--) {
    }
    UART_ENABLE = 0;                             /* a boot loader may have used it */
    GPIO_OUTSET(MBN_TX_PORT) = 1u << MBN_TX_PIN; /* idle is high */
    GPIO_PIN_CNF(MBN_TX_PORT, MBN_TX_PIN) = PIN_CNF_OUTPUT;
    GPIO_PIN_CNF(MBN_RX_PORT, MBN_RX_PIN) = PIN_CNF_INPUT_PULLED_UP;
    UART_PSEL_TXD = PSEL_PORT(MBN_TX_PORT) | MBN_TX_PIN;
    UART_PSEL_RXD = PSEL_PORT(MBN_RX_PORT) | MBN_RX_PIN;
    UART_BAUDRATE = BAUDRATE;
    UART_ENABLE = ENABLE_UART;
    UART_EVENTS_RXDRDY = 0;
    UART_TASKS_STARTRX = 1;
    UART_TASKS_STARTTX = 1;
}

uint32_t mbn_port_clock_hz(void)
{
    return CORE_HZ;
}

/* No nap: SysTick stands still while this core sleeps, and nothing else would wake it. */
size_t mbn_port_read(uint8_t *data, size_t capacity)
{
    size_t size = 0;
    while (size < capacity && UART_EVENTS_RXDRDY != 0u) {
        UART_EVENTS_RXDRDY = 0; /* before the byte is read ("Reception") */
        data[size++] = (uint8_t)UART_RXD;
    }
    if (UART_ERRORSRC != 0u) {
        UART_ERRORSRC = ERRORSRC_ALL; /* a loss is told by the frame's CRC */
    }
    return size;
}

void mbn_port_write(const uint8_t *data, size_t size_bytes)
{
    for (size_t k = 0; k < size_bytes; k++) {
        UART_EVENTS_TXDRDY = 0;
        UART_TXD = data[k];
        for (uint32_t spins = WRITE_SPINS; UART_EVENTS_TXDRDY == 0u && spins != 0u; spins--) {
        }
    }
}

void mbn_port_clock_init(void)
{
    TIMER_BITMODE = BITMODE_32;
    TIMER_PRESCALER = PRESCALER_1_MHZ;
    TIMER_TASKS_CLEAR = 1;
    TIMER_TASKS_START = 1;
}

uint32_t mbn_port_microseconds(void)
{
    TIMER_TASKS_CAPTURE0 = 1;
    return TIMER_CC0;
}

void mbn_port_watchdog_start(uint32_t milliseconds)
{
    WDT_CONFIG = CONFIG_SLEEP_RUN;
    WDT_CRV = (uint32_t)((uint64_t)milliseconds * WDT_HZ / MS_PER_S);
    WDT_TASKS_START = 1;
}

void mbn_port_watchdog_feed(void)
{
    WDT_RR0 = WDT_FEED;
}

bool mbn_cortex_m_reset_by_watchdog(void)
{
    const uint32_t reasons = POWER_RESETREAS;
    POWER_RESETREAS = reasons;
    return (reasons & RESETREAS_DOG) != 0u;
}
