/* i.MX RT1062: registers and their fields, named as in NXP's SVD file, with which a test compares
 * them (tests/test_registers.py). Sections of the RT1060 Reference Manual (IMXRT1060RM), by title.
 */
#ifndef MBN_IMXRT_CHIP_H
#define MBN_IMXRT_CHIP_H

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define REGISTER16(address) (*(volatile uint16_t *)(address))

/* "Clock Controller Module (CCM)" */
#define CCM_CACRR REGISTER(0x400FC010u)
#define CCM_CACRR_ARM_PODF(less_one) ((less_one) << 0)
#define CCM_CBCDR REGISTER(0x400FC014u)
#define CCM_CBCDR_IPG_PODF(less_one) ((less_one) << 8)
#define CCM_CBCDR_AHB_PODF(less_one) ((less_one) << 10)
#define CCM_CBCDR_PERIPH_CLK_SEL (1u << 25)
#define CCM_CBCDR_PERIPH_CLK2_PODF(less_one) ((less_one) << 27)
#define CCM_CBCMR REGISTER(0x400FC018u)
#define CCM_CBCMR_PERIPH_CLK2_SEL(source) ((source) << 12)
#define CCM_CBCMR_PRE_PERIPH_CLK_SEL(source) ((source) << 18)
#define CCM_CDHIPR REGISTER(0x400FC048u)
#define CCM_CDHIPR_AHB_PODF_BUSY (1u << 1)
#define CCM_CDHIPR_PERIPH_CLK_SEL_BUSY (1u << 5)
#define CCM_CDHIPR_ARM_PODF_BUSY (1u << 16)
#define CCM_CSCDR1 REGISTER(0x400FC024u)
#define CCM_CSCDR1_UART_CLK_PODF(less_one) ((less_one) << 0)
#define CCM_CSCDR1_UART_CLK_SEL (1u << 6)
#define CCM_CCGR1 REGISTER(0x400FC06Cu)
#define CCM_CCGR1_CG10(mode) ((mode) << 20) /* GPT1's bus clock ("CCM_CCGR1") */
#define CCM_CCGR1_CG11(mode) ((mode) << 22) /* and its counter's */
#define CCM_CCGR3 REGISTER(0x400FC074u)
#define CCM_CCGR3_CG3(mode) ((mode) << 6)  /* LPUART6 ("CCM_CCGR3") */
#define CCM_CCGR3_CG8(mode) ((mode) << 16) /* WDOG1 */
#define CCM_CCGR4 REGISTER(0x400FC078u)
#define CCM_CCGR4_CG1(mode) ((mode) << 2) /* IOMUXC ("CCM_CCGR4") */
#define CCM_CCGR6 REGISTER(0x400FC080u)
#define CCM_CCGR6_CG3(mode) ((mode) << 6) /* DCDC ("CCM_CCGR6") */

/* "CCM Analog Memory Map": the core's PLL, 24 MHz times DIV_SELECT over 2 */
#define CCM_ANALOG_PLL_ARM REGISTER(0x400D8000u)
#define CCM_ANALOG_PLL_ARM_DIV_SELECT(times) ((times) << 0)
#define CCM_ANALOG_PLL_ARM_POWERDOWN (1u << 12)
#define CCM_ANALOG_PLL_ARM_ENABLE (1u << 13)
#define CCM_ANALOG_PLL_ARM_LOCK (1u << 31)

/* "DCDC Converter (DCDC)": 0.8 V and 25 mV a step */
#define DCDC_REG0 REGISTER(0x40080000u)
#define DCDC_REG0_STS_DC_OK (1u << 31)
#define DCDC_REG3 REGISTER(0x4008000Cu)
#define DCDC_REG3_TRG(steps) ((steps) << 0)

/* "IOMUX Controller (IOMUXC)": the fields of each pad */
#define IOMUXC_MUX_MODE(function) ((function) << 0)
#define IOMUXC_PAD_DSE(strength) ((strength) << 3)
#define IOMUXC_PAD_SPEED(speed) ((speed) << 6)
#define IOMUXC_PAD_PKE (1u << 12)
#define IOMUXC_PAD_PUE (1u << 13)
#define IOMUXC_PAD_PUS(pull) ((pull) << 14)
#define IOMUXC_PAD_HYS (1u << 16)

/* "Low Power Universal Asynchronous Receiver/Transmitter (LPUART)" */
#define LPUART_BAUD REGISTER(MBN_LPUART_BASE + 0x10u)
#define LPUART_BAUD_SBR(divider) ((divider) << 0)
#define LPUART_BAUD_OSR(less_one) ((less_one) << 24)
#define LPUART_STAT REGISTER(MBN_LPUART_BASE + 0x14u)
#define LPUART_STAT_PF (1u << 16)
#define LPUART_STAT_FE (1u << 17)
#define LPUART_STAT_NF (1u << 18)
#define LPUART_STAT_OR (1u << 19)
#define LPUART_STAT_RDRF (1u << 21)
#define LPUART_STAT_TDRE (1u << 23)
#define LPUART_CTRL REGISTER(MBN_LPUART_BASE + 0x18u)
#define LPUART_CTRL_RE (1u << 18)
#define LPUART_CTRL_TE (1u << 19)
#define LPUART_DATA REGISTER(MBN_LPUART_BASE + 0x1Cu)
#define LPUART_FIFO REGISTER(MBN_LPUART_BASE + 0x28u)
#define LPUART_FIFO_RXFE (1u << 3)
#define LPUART_FIFO_TXFE (1u << 7)

/* "General Purpose Timer (GPT)" */
#define GPT1_CR REGISTER(0x401EC000u)
#define GPT1_CR_EN (1u << 0)
#define GPT1_CR_CLKSRC(source) ((source) << 6)
#define GPT1_CR_FRR (1u << 9)
#define GPT1_CR_EN_24M (1u << 10)
#define GPT1_PR REGISTER(0x401EC004u)
#define GPT1_PR_PRESCALER(less_one) ((less_one) << 0)
#define GPT1_CNT REGISTER(0x401EC024u)

/* "Watchdog Timer (WDOG1-2)": 16 bits, half seconds */
#define WDOG1_WCR REGISTER16(0x400B8000u)
#define WDOG1_WCR_WDBG (1u << 1)
#define WDOG1_WCR_WDE (1u << 2)
#define WDOG1_WCR_SRS (1u << 4)
#define WDOG1_WCR_WDA (1u << 5)
#define WDOG1_WCR_WT(less_one) ((less_one) << 8)
#define WDOG1_WSR REGISTER16(0x400B8002u)
#define WDOG1_WMCR REGISTER16(0x400B8008u)

/* "Watchdog Timer (WDOG3)", in the SVD file: RTWDOG; on after a reset */
#define RTWDOG_CS REGISTER(0x400BC000u)
#define RTWDOG_CS_UPDATE (1u << 5)
#define RTWDOG_CS_EN (1u << 7)
#define RTWDOG_CS_CMD32EN (1u << 13)
#define RTWDOG_CNT REGISTER(0x400BC004u)
#define RTWDOG_TOVAL REGISTER(0x400BC008u)

/* "System Reset Controller (SRC)" */
#define SRC_SRSR REGISTER(0x400F8008u)
#define SRC_SRSR_wdog_rst_b (1u << 4)

/* "IOMUXC GPR": how FlexRAM's 16 banks of 32 KB are shared out */
#define IOMUXC_GPR_GPR14 0x400AC038u
#define IOMUXC_GPR_GPR16 0x400AC040u
#define IOMUXC_GPR_GPR17 0x400AC044u

#endif
