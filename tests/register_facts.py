"""Registers and fields of parts whose makers' SVD files are not at hand, by the makers' headers.

What enters: nothing. What leaves: tables of addresses and of fields (lowest bit, width), each with
the header that has them. Always holds: none was taken from our C.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Fields = Mapping[str, tuple[int, int]]


@dataclass(frozen=True)
class Facts:
    """Of one file of ours as a board's image sees it. `others`: macros that are neither."""

    file: str
    board: str
    header: str
    registers: Mapping[str, int]
    fields: Fields
    others: frozenset[str]


def _at(base: int, prefix: str, **offsets: int) -> dict[str, int]:
    return {f"{prefix}{name}": base + offset for name, offset in offsets.items()}


_ON = 1  # width of a flag
_H7 = Facts(
    "family_stm32h7/clock.c",
    "arduino_portenta_h7",
    "STMicroelectronics/cmsis_device_h7, Include/stm32h743xx.h and stm32h747xx.h: RCC_TypeDef, "
    "PWR_TypeDef, SYSCFG_TypeDef, and the _Pos of each field",
    {
        **_at(0x58024400, "RCC_", CR=0, CFGR=0x10, D1CFGR=0x18, D2CFGR=0x1C, D3CFGR=0x20),
        **_at(0x58024400, "RCC_", PLLCKSELR=0x28, PLLCFGR=0x2C, PLL1DIVR=0x30, AHB4ENR=0xE0),
        **_at(0x58024400, "RCC_", APB1LENR=0xE8, APB2ENR=0xF0, APB4ENR=0xF4),
        **_at(0x58024800, "PWR_", CSR1=0x04, CR3=0x0C, D3CR=0x18),
        **_at(0x58000400, "SYSCFG_", PWRCR=0x2C),
        "FLASH_ACR": 0x52002000,
        "USART_ENR": 0x58024400 + 0xF0,  # the Portenta's line is on APB2
    },
    {
        "CR_HSION": (0, _ON),
        "CR_HSIRDY": (2, _ON),
        "CR_HSEON": (16, _ON),
        "CR_HSERDY": (17, _ON),
        "CR_HSEBYP": (18, _ON),
        "CR_PLL1ON": (24, _ON),
        "CR_PLL1RDY": (25, _ON),
        "CFGR_SW_MASK": (0, 3),
        "CFGR_SW_PLL1": (0, 3),
        "CFGR_SWS_MASK": (3, 3),
        "CFGR_SWS_PLL1": (3, 3),
        "PLLCKSELR_SOURCE_HSE": (0, 2),
        "PLLCFGR_PLL1RGE_4_TO_8": (2, 2),
        "PLLCFGR_DIVP1EN": (16, _ON),
        "D1CFGR_HPRE_HALF": (0, 4),
        "APB1LENR_TIM5": (3, _ON),
        "APB4ENR_SYSCFG": (1, _ON),
        "CR3_SUPPLY_MASK": (0, 3),
        "CSR1_ACTVOSRDY": (13, _ON),
        "D3CR_VOS_MASK": (14, 2),
        "D3CR_VOS_HIGHEST": (14, 2),
        "D3CR_VOSRDY": (13, _ON),
        "PWRCR_ODEN": (0, _ON),
    },
    frozenset({"PLLCKSELR_DIVM1_SHIFT", "PPRE_HALF", "AHB4ENR_GPIO", "HSI_HZ"}),
)
_U5 = Facts(
    "family_stm32u5/clock.c",
    "nucleo_u575zi_q",
    "stm32u585.h of Freya, after STMicroelectronics/cmsis_device_u5: RCC_TypeDef, PWR_TypeDef, "
    "ICACHE_TypeDef",
    {
        **_at(0x46020C00, "RCC_", CR=0, CFGR1=0x1C, PLL1CFGR=0x28, PLL1DIVR=0x34, AHB2ENR1=0x8C),
        **_at(0x46020C00, "RCC_", AHB3ENR=0x94, APB1ENR1=0x9C, APB2ENR=0xA4),
        "PWR_VOSR": 0x46020800 + 0x0C,
        "FLASH_ACR": 0x40022000,
        **_at(0x40030400, "ICACHE_", CR=0, SR=4),
    },
    {
        "CR_HSION": (8, _ON),
        "CR_HSIRDY": (10, _ON),
        "CR_PLL1ON": (24, _ON),
        "CR_PLL1RDY": (25, _ON),
        "CFGR1_SW_MASK": (0, 2),
        "CFGR1_SW_HSI": (0, 2),
        "CFGR1_SW_PLL1": (0, 2),
        "CFGR1_SWS_MASK": (2, 2),
        "CFGR1_SWS_HSI": (2, 2),
        "CFGR1_SWS_PLL1": (2, 2),
        "PLL1CFGR_SOURCE_HSI": (0, 2),
        "PLL1CFGR_RGE_8_TO_16": (2, 2),
        "PLL1CFGR_REN": (18, _ON),
        "AHB3ENR_PWR": (2, _ON),
        "APB1ENR1_TIM5": (3, _ON),
        "VOSR_BOOSTRDY": (14, _ON),
        "VOSR_VOSRDY": (15, _ON),
        "VOSR_RANGE_1": (16, 2),
        "VOSR_BOOSTEN": (18, _ON),
        "ICACHE_CR_EN": (0, _ON),
        "ICACHE_SR_BUSY": (0, _ON),
    },
    frozenset({"HSI_HZ"}),
)
# What both parts of the family have at the same offsets; Arm's PL011 (DDI 0183, 3.2)
_RP2_FIELDS: Fields = {
    "CLK_REF_XOSC": (0, 2),
    "CLK_SYS_SRC_AUX": (0, _ON),
    "CLK_PERI_ENABLE": (11, _ON),
    "XOSC_STABLE": (31, _ON),
    "PLL_LOCK": (31, _ON),
    "PLL_PWR_PD": (0, _ON),
    "PLL_PWR_POSTDIVPD": (3, _ON),
    "PLL_PWR_VCOPD": (5, _ON),
    "PAD_SCHMITT": (1, _ON),
    "PAD_PULL_UP": (3, _ON),
    "PAD_DRIVE_4MA": (4, 2),
    "PAD_INPUT_ENABLE": (6, _ON),
    "FUNCTION_UART": (0, 5),
    "FR_RXFE": (4, _ON),
    "FR_TXFF": (5, _ON),
    "WATCHDOG_REASON_TIMER": (0, _ON),
    "WATCHDOG_ENABLE": (30, _ON),
    "WATCHDOG_PAUSE_IN_DEBUG": (24, 3),
}
_RP2_OTHERS = frozenset(
    {
        *("REGISTER", "CLK_REF_XOSC_SELECTED", "CLK_SYS_REF_SELECTED", "CLK_SYS_AUX_SELECTED"),
        *("XOSC_ENABLE_1_TO_15_MHZ", "XOSC_STARTUP_CYCLES", "PLL_PWR_ALL", "LCR_H_8_BITS_FIFO"),
        *("CR_UARTEN_TXE_RXE", "WATCHDOG_COUNTS_PER_MS", "WATCHDOG_LOAD_MOST"),
        "WDSEL_ALL_BUT_OSCILLATORS",
    }
)


def _rp2(clocks: int, resets: int, io: int, pads: int, xosc: int, pll: int) -> dict[str, int]:
    """By the bases of addressmap.h; offsets by clocks.h, resets.h, xosc.h, pll.h."""
    return {
        "CLOCKS_BASE": clocks,
        "RESETS_BASE": resets,
        "IO_BANK0_BASE": io,
        "PADS_BANK0_BASE": pads,
        "XOSC_BASE": xosc,
        "PLL_SYS_BASE": pll,
        **_at(clocks, "CLK_", REF_CTRL=0x30, REF_SELECTED=0x38, SYS_CTRL=0x3C, SYS_SELECTED=0x44),
        **_at(clocks, "CLK_", PERI_CTRL=0x48),
        **_at(resets, "RESETS_", RESET=0, DONE=8),
        **_at(xosc, "XOSC_", CTRL=0, STATUS=4, STARTUP=0x0C),
        **_at(pll, "PLL_", CS=0, PWR=4, FBDIV=8, PRIM=0x0C),
        "PADS_GPIO": pads + 4 + 4 * 1,  # of pin 1
        "IO_GPIO_CTRL": io + 8 * 1 + 4,
    }


def _rp2_line(uart: int, timer: int, watchdog: int) -> dict[str, int]:
    return {
        "UART0_BASE": uart,
        "TIMER_BASE": timer,
        "TIMER_TIMERAWL": timer + 0x28,
        "WATCHDOG_BASE": watchdog,
        **_at(uart, "UART_", DR=0, FR=0x18, IBRD=0x24, FBRD=0x28, LCR_H=0x2C, CR=0x30),
        **_at(watchdog, "WATCHDOG_", CTRL=0, LOAD=4, REASON=8),
    }


_RP2040 = Facts(
    "family_rp2/chip.h",
    "rp2040_pico",
    "raspberrypi/pico-sdk, src/rp2040/hardware_regs/include/hardware/regs/",
    {
        **_rp2(0x40008000, 0x4000C000, 0x40014000, 0x4001C000, 0x40024000, 0x40028000),
        **_rp2_line(0x40034000, 0x40054000, 0x40058000),
        "TICK_CTRL": 0x40058000 + 0x2C,
        "PSM_WDSEL": 0x40010000 + 8,
    },
    {
        **_RP2_FIELDS,
        "RESET_IO_BANK0": (5, _ON),
        "RESET_PADS_BANK0": (8, _ON),
        "RESET_PLL_SYS": (12, _ON),
        "RESET_TIMER": (21, _ON),
        "RESET_UART0": (22, _ON),
        "TICK_ENABLE": (9, _ON),
    },
    _RP2_OTHERS,
)
_RP2350 = Facts(
    "family_rp2/chip.h",
    "rp2350_pico2",
    "raspberrypi/pico-sdk, src/rp2350/hardware_regs/include/hardware/regs/",
    {
        **_rp2(0x40010000, 0x40020000, 0x40028000, 0x40038000, 0x40048000, 0x40050000),
        **_rp2_line(0x40070000, 0x400B0000, 0x400D8000),
        "TICK_CTRL": 0x40108000 + 0x18,  # TICKS_TIMER0
        "TICK_CYCLES": 0x40108000 + 0x1C,
        "WATCHDOG_TICK_CTRL": 0x40108000 + 0x30,
        "WATCHDOG_TICK_CYCLES": 0x40108000 + 0x34,
        "PSM_WDSEL": 0x40018000 + 8,
    },
    {
        **_RP2_FIELDS,
        "RESET_IO_BANK0": (6, _ON),
        "RESET_PADS_BANK0": (9, _ON),
        "RESET_PLL_SYS": (14, _ON),
        "RESET_TIMER": (23, _ON),
        "RESET_UART0": (26, _ON),
        "TICK_ENABLE": (0, _ON),
    },
    _RP2_OTHERS,
)
_SAMD51 = Facts(
    "family_samd51/board.c",
    "feather_m4",
    "Microchip's headers of the SAMD51 (Apache 2.0), as in micropython/micropython, "
    "atmel-samd/asf4/samd51/include/instance/ and component/",
    {
        **_at(0x40001C00, "GCLK_", SYNCBUSY=4, GENCTRL=0x20 + 4 * 1, PCHCTRL=0x80 + 4 * 1),
        "MCLK_APBAMASK": 0x40000814,
        **_at(0x40001000, "OSCCTRL_", DPLLCTRLA0=0x30, DPLLRATIO0=0x34, DPLLCTRLB0=0x38),
        **_at(0x40001000, "OSCCTRL_", DPLLSYNCBUSY0=0x3C, DPLLSTATUS0=0x40),
        "NVMCTRL_CTRLA": 0x41004000,
        "CMCC_CTRL": 0x41006008,
        "PORT_OUTSET": 0x41008018,  # of PA01
        "PORT_PMUX": 0x41008030,
        "PORT_PINCFG": 0x41008041,
        **_at(0x43000400, "USART_", CTRLA=0, CTRLB=4, BAUD=0x0C, INTFLAG=0x18, STATUS=0x1A),
        **_at(0x43000400, "USART_", SYNCBUSY=0x1C, DATA=0x28),
        **_at(0x40003800, "TC0_", CTRLA=0, CTRLBSET=5, SYNCBUSY=0x10, COUNT=0x14),
        **_at(0x40002000, "WDT_", CTRLA=0, CONFIG=1, SYNCBUSY=8, CLEAR=0x0C),
        "RSTC_RCAUSE": 0x40000C00,
    },
    {
        "SYNCBUSY_GENCTRL0": (2, _ON),
        "GENCTRL_SRC_DFLL": (0, 4),
        "GENCTRL_SRC_DPLL0": (0, 4),
        "GENCTRL_GENEN": (8, _ON),
        "GENCTRL_IDC": (9, _ON),
        "GENCTRL_DIV": (16, 16),
        "PCHCTRL_GEN": (0, 4),
        "PCHCTRL_CHEN": (6, _ON),
        "APBAMASK_TC0": (14, _ON),
        "APBAMASK_TC1": (15, _ON),
        "DPLLCTRLA_ENABLE": (1, _ON),
        "DPLLCTRLB_LBYPASS": (11, _ON),
        "DPLLSYNCBUSY_ENABLE": (1, _ON),
        "DPLLSYNCBUSY_DPLLRATIO": (2, _ON),
        "DPLLSTATUS_LOCK": (0, _ON),
        "DPLLSTATUS_CLKRDY": (1, _ON),
        "CTRLA_AUTOWS": (2, _ON),
        "CMCC_CTRL_CEN": (0, _ON),
        "PINCFG_PMUXEN": (0, _ON),
        "PINCFG_INEN": (1, _ON),
        "PINCFG_PULLEN": (2, _ON),
        "USART_CTRLA_SWRST": (0, _ON),
        "USART_CTRLA_ENABLE": (1, _ON),
        "USART_CTRLA_MODE_INTERNAL": (2, 3),
        "USART_CTRLA_TXPO": (16, 2),
        "USART_CTRLA_RXPO": (20, 2),
        "USART_CTRLA_DORD": (30, _ON),
        "USART_CTRLB_TXEN": (16, _ON),
        "USART_CTRLB_RXEN": (17, _ON),
        "USART_INTFLAG_DRE": (0, _ON),
        "USART_INTFLAG_RXC": (2, _ON),
        "USART_STATUS_ERRORS": (0, 3),
        "USART_SYNCBUSY_SWRST": (0, _ON),
        "USART_SYNCBUSY_ENABLE": (1, _ON),
        "USART_SYNCBUSY_CTRLB": (2, _ON),
        "TC_CTRLA_ENABLE": (1, _ON),
        "TC_CTRLA_MODE_COUNT32": (2, 2),
        "TC_CTRLBSET_CMD": (5, 3),
        "TC_CTRLBSET_CMD_READSYNC": (5, 3),
        "TC_SYNCBUSY_ENABLE": (1, _ON),
        "WDT_CTRLA_ENABLE": (1, _ON),
        "WDT_SYNCBUSY_ENABLE": (1, _ON),
        "WDT_SYNCBUSY_CLEAR": (4, _ON),
        "RCAUSE_WDT": (5, _ON),
    },
    frozenset(
        {
            *("REGISTER", "REGISTER16", "REGISTER8", "DPLLRATIO_LDR", "GENERATOR_CORE"),
            *("GENERATOR_1_MHZ", "GENERATOR_48_MHZ", "CHANNEL_DPLL0", "CHANNEL_TC0_TC1"),
            *("WDT_FEED", "WDT_HZ", "WDT_LEAST", "WDT_PER_MOST", "MS_PER_S", "OSCILLATOR_HZ"),
            *("OSCILLATOR_MHZ", "READY_SPINS", "READ_SPINS", "WRITE_SPINS"),
        }
    ),
)
_RA8 = Facts(
    "family_ra8/board.c",
    "ek_ra8m1",
    "renesas/fsp, ra/fsp/src/bsp/cmsis/Device/RENESAS/Include/R7FA8M1AH.h: R_SYSTEM_Type, "
    "R_FCACHE_Type, R_MSTP_Type, R_PFS_Type, R_PMISC_Type, R_SCI_B0_Type, R_WDT_Type",
    {
        **_at(0x4001E000, "", SCKDIVCR=0x20, SCKDIVCR2=0x24, SCKSCR=0x26, PLLCCR=0x28, PLLCR=0x2A),
        **_at(0x4001E000, "", MOSCCR=0x32, OSCSF=0x3C, PLLCCR2=0x4C, SCICKDIVCR=0x54, SCICKCR=0x55),
        **_at(0x4001E000, "", RSTSR1=0xC0, PRCR=0x3FA, MOMCR=0xA50),
        **_at(0x4001C100, "", FCACHEE=0, FCACHEIV=4, FLWT=0x1C),
        "MSTPCRB": 0x40203000 + 4,
        "PFS": 0x40400800 + 4 * 1,  # of P0_01
        "PWPR_S": 0x40400D00 + 0x14,
        **_at(0x40358900, "SCI_", RDR=0, TDR=4, CCR0=8, CCR1=0x0C, CCR2=0x10, CCR3=0x14, CCR4=0x18),
        **_at(0x40358900, "SCI_", CSR=0x48, CFCLR=0x68),
        **_at(0x40202600, "", WDTRR=0, WDTCR=2, WDTRCR=6),
    },
    {
        "OSCSF_MOSCSF": (3, _ON),
        "OSCSF_PLLSF": (5, _ON),
        "SOURCE_PLL": (0, 3),
        "PLLCCR2_VALUE": (0, 12),
        "CPU_OVER_2": (0, 4),
        "SCI_OVER_4": (0, 3),
        "SCICKCR_REQUEST": (6, _ON),
        "SCICKCR_READY": (7, _ON),
        "FLWT_4": (0, 3),
        "MSTPCRB_SCI9": (22, _ON),
        "PWPR_PFSWE": (6, _ON),
        "PFS_PULL_UP": (4, _ON),
        "PFS_DRIVE_MEDIUM": (10, 2),
        "PFS_PERIPHERAL": (16, _ON),
        "PFS_SCI_ODD": (24, 5),
        "CCR1_IDLE_HIGH": (4, 2),
        "CCR2_BGDM": (4, _ON),
        "CCR2_BRME": (16, _ON),
        "CSR_TDRE": (29, _ON),
        "CSR_RDRF": (31, _ON),
        "WDTRCR_RESET": (7, _ON),
        "RSTSR1_WDTRF": (1, _ON),
    },
    frozenset(
        {
            *("REGISTER8", "REGISTER16", "REGISTER32", "MOMCR_8_TO_24_MHZ", "PLLCCR_VALUE"),
            *("SCKDIVCR_VALUE", "CPU_OVER_1", "PRCR_OPEN", "PRCR_CLOSED", "PRCR_OPEN_RESETS"),
            *("CCR0_IDSEL_TE_RE", "CCR3_8_BITS_LSB_FIRST", "CFCLR_ERRORS", "CFCLR_ALL"),
            *("WDTCR_ANY_TIME_OVER_8192", "WDT_PCLKB_CYCLES", "PCLKB_OVER", "MS_PER_S", "MOCO_HZ"),
            *("SCI_HZ", "MODULATION", "READY_SPINS", "WRITE_SPINS", "SETTLE_SPINS"),
            "CYCLES_PER_US",
        }
    ),
)
FACTS = (_H7, _U5, _RP2040, _RP2350, _SAMD51, _RA8)


def bits(*places: int) -> int:
    return sum(1 << place for place in places)


# Values of several fields of R7FA8M1AH.h, spelled out
RA8_VALUES = {
    "SCKDIVCR_VALUE": 2 | 3 << 4 | 3 << 8 | 2 << 12 | 2 << 16 | 1 << 20 | 1 << 24 | 3 << 28,
    "PLLCCR2_VALUE": 1 | 3 << 4 | 1 << 8,  # PLODIVP, Q, R
    "CCR0_IDSEL_TE_RE": bits(10, 4, 0),
    "CCR3_8_BITS_LSB_FIRST": 2 << 8 | bits(12),  # CHR, LSBF
    "CFCLR_ERRORS": bits(24, 27, 28),  # ORERC, PERC, FERC
    "CFCLR_ALL": bits(4, 16, 17, 18, 24, 26, 27, 28, 29, 31),
    "WDTCR_ANY_TIME_OVER_8192": 8 << 4 | 3 << 8 | 3 << 12,  # CKS, RPES, RPSS
    "PRCR_OPEN": 0xA5 << 8 | bits(0, 1),  # PRKEY, PRC1, PRC0
    "PRCR_OPEN_RESETS": 0xA5 << 8 | bits(5),  # PRC5
    "PRCR_CLOSED": 0xA5 << 8,
}
