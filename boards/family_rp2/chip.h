/* Where the RP2040 and the RP2350 differ: addresses and bit positions. Sections: RP2040 datasheet,
 * RP2350 datasheet (MBN_RP2350), by title. */
#ifndef MBN_RP2_CHIP_H
#define MBN_RP2_CHIP_H

#define REGISTER(address) (*(volatile uint32_t *)(address))

#if defined(MBN_RP2350) /* "Address map" */
#define CLOCKS_BASE 0x40010000u
#define RESETS_BASE 0x40020000u
#define IO_BANK0_BASE 0x40028000u
#define PADS_BANK0_BASE 0x40038000u
#define XOSC_BASE 0x40048000u
#define PLL_SYS_BASE 0x40050000u
#define UART0_BASE 0x40070000u
#define TIMER_BASE 0x400B0000u /* TIMER0 */
/* "Resets", list of registers */
#define RESET_IO_BANK0 (1u << 6)
#define RESET_PADS_BANK0 (1u << 9)
#define RESET_PLL_SYS (1u << 14)
#define RESET_TIMER (1u << 23)
#define RESET_UART0 (1u << 26)
/* "Tick generators": one for each timer; cycles of clk_ref */
#define TICK_CTRL REGISTER(0x40108018u)
#define TICK_CYCLES REGISTER(0x4010801Cu)
#define TICK_ENABLE 1u
#define WATCHDOG_TICK_CTRL REGISTER(0x40108030u)
#define WATCHDOG_TICK_CYCLES REGISTER(0x40108034u)
/* "Watchdog", list of registers: one down for each of its ticks, 24 bits */
#define WATCHDOG_BASE 0x400D8000u
#define WATCHDOG_COUNTS_PER_MS 1000u
/* "Power-on state machine", WDSEL: all but the oscillators; the RP2350 has 25 stages, of which
 * these are the third and the fourth */
#define PSM_WDSEL REGISTER(0x40018008u)
#define WDSEL_ALL_BUT_OSCILLATORS 0x01FFFFF3u
#else
#define CLOCKS_BASE 0x40008000u
#define RESETS_BASE 0x4000C000u
#define IO_BANK0_BASE 0x40014000u
#define PADS_BANK0_BASE 0x4001C000u
#define XOSC_BASE 0x40024000u
#define PLL_SYS_BASE 0x40028000u
#define UART0_BASE 0x40034000u
#define TIMER_BASE 0x40054000u
/* "Subsystem resets", list of registers */
#define RESET_IO_BANK0 (1u << 5)
#define RESET_PADS_BANK0 (1u << 8)
#define RESET_PLL_SYS (1u << 12)
#define RESET_TIMER (1u << 21)
#define RESET_UART0 (1u << 22)
/* "Watchdog", "Tick generation": cycles of clk_ref in the low bits */
#define TICK_CTRL REGISTER(0x4005802Cu)
#define TICK_ENABLE (1u << 9)
/* "Watchdog", list of registers: 24 bits of the ticks above, and two down for one (erratum
 * RP2040-E1); what it resets is the power-on state machine's choice */
#define WATCHDOG_BASE 0x40058000u
#define WATCHDOG_COUNTS_PER_MS 2000u
#define PSM_WDSEL REGISTER(0x40010008u)
#define WDSEL_ALL_BUT_OSCILLATORS 0x0001FFFCu
#endif

/* "Watchdog", list of registers: the same offsets */
#define WATCHDOG_CTRL REGISTER(WATCHDOG_BASE + 0x00u)
#define WATCHDOG_LOAD REGISTER(WATCHDOG_BASE + 0x04u)
#define WATCHDOG_REASON REGISTER(WATCHDOG_BASE + 0x08u)
#define WATCHDOG_REASON_TIMER 1u
#define WATCHDOG_LOAD_MOST 0x00FFFFFFu
#define WATCHDOG_ENABLE (1u << 30)
#define WATCHDOG_PAUSE_IN_DEBUG (7u << 24)

/* "Clocks", list of registers: the same offsets */
#define CLK_REF_CTRL REGISTER(CLOCKS_BASE + 0x30u)
#define CLK_REF_SELECTED REGISTER(CLOCKS_BASE + 0x38u)
#define CLK_SYS_CTRL REGISTER(CLOCKS_BASE + 0x3Cu)
#define CLK_SYS_SELECTED REGISTER(CLOCKS_BASE + 0x44u)
#define CLK_PERI_CTRL REGISTER(CLOCKS_BASE + 0x48u)
#define CLK_REF_XOSC 2u
#define CLK_REF_XOSC_SELECTED (1u << 2)
#define CLK_SYS_SRC_AUX 1u
#define CLK_SYS_REF_SELECTED 1u
#define CLK_SYS_AUX_SELECTED (1u << 1)
#define CLK_PERI_ENABLE (1u << 11) /* its source 0 is clk_sys */

/* "Subsystem resets" and "Resets" */
#define RESETS_RESET REGISTER(RESETS_BASE + 0x00u)
#define RESETS_DONE REGISTER(RESETS_BASE + 0x08u)

/* "Crystal oscillator (XOSC)" */
#define XOSC_CTRL REGISTER(XOSC_BASE + 0x00u)
#define XOSC_STATUS REGISTER(XOSC_BASE + 0x04u)
#define XOSC_STARTUP REGISTER(XOSC_BASE + 0x0Cu)
#define XOSC_ENABLE_1_TO_15_MHZ ((0xFABu << 12) | 0xAA0u)
#define XOSC_STABLE (1u << 31)
#define XOSC_STARTUP_CYCLES 256u /* a unit of XOSC_STARTUP */

/* "PLL" */
#define PLL_CS REGISTER(PLL_SYS_BASE + 0x00u)
#define PLL_PWR REGISTER(PLL_SYS_BASE + 0x04u)
#define PLL_FBDIV REGISTER(PLL_SYS_BASE + 0x08u)
#define PLL_PRIM REGISTER(PLL_SYS_BASE + 0x0Cu)
#define PLL_LOCK (1u << 31)
#define PLL_PWR_PD 1u
#define PLL_PWR_POSTDIVPD (1u << 3)
#define PLL_PWR_VCOPD (1u << 5)
#define PLL_PWR_ALL 0x2Du

/* "GPIO": a pad's and a pin's registers; function 2 is the UART on pins 0 and 1 */
#define PADS_GPIO(pin) REGISTER(PADS_BANK0_BASE + 4u + 4u * (pin))
#define IO_GPIO_CTRL(pin) REGISTER(IO_BANK0_BASE + 4u + 8u * (pin))
#define PAD_DRIVE_4MA (1u << 4)
#define PAD_INPUT_ENABLE (1u << 6)
#define PAD_PULL_UP (1u << 3)
#define PAD_SCHMITT (1u << 1) /* written whole, so the RP2350's isolation (bit 8) ends too */
#define FUNCTION_UART 2u

/* "UART": Arm's PL011 */
#define UART_DR REGISTER(UART0_BASE + 0x00u)
#define UART_FR REGISTER(UART0_BASE + 0x18u)
#define UART_IBRD REGISTER(UART0_BASE + 0x24u)
#define UART_FBRD REGISTER(UART0_BASE + 0x28u)
#define UART_LCR_H REGISTER(UART0_BASE + 0x2Cu)
#define UART_CR REGISTER(UART0_BASE + 0x30u)
#define FR_RXFE (1u << 4)
#define FR_TXFF (1u << 5)
#define LCR_H_8_BITS_FIFO 0x70u
#define CR_UARTEN_TXE_RXE 0x301u

/* "Timer": the microseconds' low word */
#define TIMER_TIMERAWL REGISTER(TIMER_BASE + 0x28u)

#endif
