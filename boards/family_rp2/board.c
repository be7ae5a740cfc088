/* Raspberry Pi RP2040 and RP2350: the rated clock from a crystal of 12 MHz, UART0 on pins 0 (TX)
 * and 1 (RX), 8N1, polled from its FIFO of 32 bytes; the other core stays in the boot ROM.
 *
 * board.toml sets MBN_XOSC_HZ, MBN_PLL_FBDIV, MBN_PLL_POST1, MBN_PLL_POST2, MBN_CORE_HZ, MBN_BAUD,
 * MBN_RP2350. This file implements port.h's serial line and clocks; on the RP2040, which has no
 * cycle counter, cycles by SysTick. Every wait has a limit. Without the PLL the core runs from the
 * crystal. Sections, by title, are cited in chip.h. Untested on hardware.
 */
#include "chip.h"
#include "cycles.h"

#include "../family_cortex_m/cortex_m.h"
#include "mbn/port.h"

#define READY_SPINS 200000u /* 100 ms and more at the ring oscillator's 7 to 12 MHz */
#define WRITE_SPINS 100000u
#define HZ_PER_MHZ 1000000u
/* "Startup delay": 1 ms is recommended; some boards' crystals take longer */
#define CRYSTAL_START_MS 6u

static uint32_t core_hz = MBN_XOSC_HZ;

static bool wait_for(volatile uint32_t *address, uint32_t mask, uint32_t wanted)
{
    return mbn_cortex_m_wait(address, mask, wanted, READY_SPINS);
}

static void reset_end(uint32_t what)
{
    RESETS_RESET &= ~what;
    (void)wait_for(&RESETS_DONE, what, what);
}

/* "PLL", "Programming sequence" */
static bool pll_start(void)
{
    RESETS_RESET |= RESET_PLL_SYS;
    reset_end(RESET_PLL_SYS);
    PLL_PWR = PLL_PWR_ALL;
    PLL_CS = 1u; /* reference divider */
    PLL_FBDIV = MBN_PLL_FBDIV;
    PLL_PWR &= ~(PLL_PWR_PD | PLL_PWR_VCOPD);
    if (!wait_for(&PLL_CS, PLL_LOCK, PLL_LOCK)) {
        return false;
    }
    PLL_PRIM = (MBN_PLL_POST1 << 16) | (MBN_PLL_POST2 << 12);
    PLL_PWR &= ~PLL_PWR_POSTDIVPD;
    return true;
}

/* "Clocks": the reference from the crystal; the system from it too while the PLL changes. */
static void clocks_start(void)
{
    XOSC_STARTUP = MBN_XOSC_HZ / 1000u * CRYSTAL_START_MS / XOSC_STARTUP_CYCLES;
    XOSC_CTRL = XOSC_ENABLE_1_TO_15_MHZ;
    (void)wait_for(&XOSC_STATUS, XOSC_STABLE, XOSC_STABLE);
    CLK_SYS_CTRL &= ~CLK_SYS_SRC_AUX;
    (void)wait_for(&CLK_SYS_SELECTED, CLK_SYS_REF_SELECTED, CLK_SYS_REF_SELECTED);
    CLK_REF_CTRL = CLK_REF_XOSC;
    (void)wait_for(&CLK_REF_SELECTED, CLK_REF_XOSC_SELECTED, CLK_REF_XOSC_SELECTED);
    if (pll_start()) {
        CLK_SYS_CTRL = 0;               /* the auxiliary source is the PLL */
        CLK_SYS_CTRL = CLK_SYS_SRC_AUX; /* which must not change with its choice */
        if (wait_for(&CLK_SYS_SELECTED, CLK_SYS_AUX_SELECTED, CLK_SYS_AUX_SELECTED)) {
            core_hz = MBN_CORE_HZ;
        } else {
            CLK_SYS_CTRL = 0;
        }
    }
    CLK_PERI_CTRL = CLK_PERI_ENABLE;
}

static void microseconds_start(void)
{
    reset_end(RESET_TIMER);
#if defined(MBN_RP2350)
    TICK_CYCLES = MBN_XOSC_HZ / HZ_PER_MHZ;
    TICK_CTRL = TICK_ENABLE;
    WATCHDOG_TICK_CYCLES = MBN_XOSC_HZ / HZ_PER_MHZ;
    WATCHDOG_TICK_CTRL = TICK_ENABLE;
#else
    TICK_CTRL = TICK_ENABLE | (MBN_XOSC_HZ / HZ_PER_MHZ);
#endif
}

static void uart_start(void)
{
    reset_end(RESET_IO_BANK0 | RESET_PADS_BANK0 | RESET_UART0);
    PADS_GPIO(0) = PAD_DRIVE_4MA | PAD_INPUT_ENABLE | PAD_SCHMITT;
    PADS_GPIO(1) = PAD_DRIVE_4MA | PAD_INPUT_ENABLE | PAD_SCHMITT | PAD_PULL_UP;
    IO_GPIO_CTRL(0) = FUNCTION_UART;
    IO_GPIO_CTRL(1) = FUNCTION_UART;
    /* "Baud rate calculation": a quotient in 64ths of 16 clocks a bit */
    const uint32_t divider = (core_hz * 4u + MBN_BAUD / 2u) / MBN_BAUD;
    UART_IBRD = divider >> 6;
    UART_FBRD = divider & 63u;
    UART_LCR_H = LCR_H_8_BITS_FIFO; /* also takes the divider over */
    UART_CR = CR_UARTEN_TXE_RXE;
}

#if !defined(MBN_RP2350)
/* SysTick, ARMv6-M Architecture Reference Manual B3.3; nothing here may nap: it stops then. */
#define SYST_CSR REGISTER(0xE000E010u)
#define SYST_RVR REGISTER(0xE000E014u)
#define SYST_CVR REGISTER(0xE000E018u)
#define SYST_CSR_CORE_ENABLE 5u

static uint32_t cycles_offset;

static void cycles_start(void)
{
    SYST_RVR = MBN_SYSTICK_MASK;
    SYST_CVR = 0;
    SYST_CSR = SYST_CSR_CORE_ENABLE;
    const uint32_t now = TIMER_TIMERAWL;
    cycles_offset = SYST_CVR + now * (core_hz / HZ_PER_MHZ);
}

bool mbn_port_has_cycles(void)
{
    return core_hz == MBN_CORE_HZ;
}

uint32_t mbn_port_cycles(void)
{
    const uint32_t microseconds = TIMER_TIMERAWL;
    return mbn_rp2_cycles(cycles_offset - SYST_CVR, microseconds * (core_hz / HZ_PER_MHZ));
}
#endif

void mbn_port_init(void)
{
    clocks_start();
    microseconds_start();
    uart_start();
#if !defined(MBN_RP2350)
    cycles_start();
#endif
}

uint32_t mbn_port_clock_hz(void)
{
    return core_hz;
}

size_t mbn_port_read(uint8_t *data, size_t capacity)
{
    size_t size = 0;
    while (size < capacity && (UART_FR & FR_RXFE) == 0u) {
        data[size++] = (uint8_t)UART_DR;
    }
    return size;
}

void mbn_port_write(const uint8_t *data, size_t size_bytes)
{
    for (size_t k = 0; k < size_bytes; k++) {
        uint32_t spins = WRITE_SPINS;
        while ((UART_FR & FR_TXFF) != 0u && spins != 0u) {
            spins--;
        }
        UART_DR = data[k];
    }
}

void mbn_port_clock_init(void)
{
    /* the microseconds run since mbn_port_init */
}

uint32_t mbn_port_microseconds(void)
{
    return TIMER_TIMERAWL;
}

static uint32_t watchdog_load;

void mbn_port_watchdog_start(uint32_t milliseconds)
{
    const uint32_t most = WATCHDOG_LOAD_MOST / WATCHDOG_COUNTS_PER_MS;
    watchdog_load = (milliseconds < most ? milliseconds : most) * WATCHDOG_COUNTS_PER_MS;
    PSM_WDSEL = WDSEL_ALL_BUT_OSCILLATORS;
    WATCHDOG_LOAD = watchdog_load;
    WATCHDOG_CTRL = WATCHDOG_ENABLE | WATCHDOG_PAUSE_IN_DEBUG;
}

void mbn_port_watchdog_feed(void)
{
    WATCHDOG_LOAD = watchdog_load;
}

bool mbn_cortex_m_reset_by_watchdog(void)
{
    return (WATCHDOG_REASON & WATCHDOG_REASON_TIMER) != 0u;
}
