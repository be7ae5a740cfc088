/* NXP i.MX RT1062: the rated clock from the 24 MHz crystal and the core's PLL, caches, LPUART6,
 * 8N1, polled from its FIFO of four bytes; the watchdog WDOG1.
 *
 * board.toml sets MBN_PLL_TIMES, MBN_CORE_DIVIDER, MBN_CORE_HZ, MBN_BUS_DIVIDER, MBN_CORE_MV, the
 * line's MBN_LPUART_BASE, MBN_BAUD, MBN_LPUART_OVERSAMPLING and MBN_LPUART_DIVIDER (of 24 MHz), and
 * the registers of its two pads. Every wait has a limit. Without the PLL the core runs from the
 * crystal. Sections, by title, are cited in chip.h. Untested on hardware.
 */
#include "../family_cortex_m/caches.h"
#include "../family_cortex_m/cortex_m.h"
#include "mbn/port.h"

#include "chip.h"

#define CRYSTAL_HZ 24000000u
#define READY_SPINS 200000u /* 8 ms and more at 24 MHz; the PLL locks within 0.1 ms */
#define WRITE_SPINS 1000000u
#define CLOCK_ON 3u
#define LEAST_MV 800u
#define STEP_MV 25u
#define OSCILLATOR 1u /* of PERIPH_CLK2_SEL */
#define DIVIDED_PLL1 3u
#define PULL_UP_22K 3u
#define DRIVE 6u
#define FAST 2u
#define CRYSTAL_FOR_GPT 5u
#define HZ_PER_MHZ 1000000u
#define STAT_ERRORS (LPUART_STAT_PF | LPUART_STAT_FE | LPUART_STAT_NF | LPUART_STAT_OR)
/* "Watchdog Timer (WDOG3)", "Configuration": opens its registers */
#define RTWDOG_KEY 0xD928C520u
/* "Watchdog Timer (WDOG1-2)", "WDOGx_WSR": one after the other */
#define WSR_FIRST 0x5555u
#define WSR_SECOND 0xAAAAu
#define WT_MOST 0xFFu
#define MS_PER_TICK 500u

static uint32_t core_hz = CRYSTAL_HZ;

static bool wait_for(volatile uint32_t *address, uint32_t mask, uint32_t wanted)
{
    return mbn_cortex_m_wait(address, mask, wanted, READY_SPINS);
}

/* WDOG3 runs after a reset, and WDOG1 pulls a pin 16 s after power-on. */
static void watchdogs_stop(void)
{
    RTWDOG_CNT = RTWDOG_KEY;
    RTWDOG_TOVAL = 0xFFFFu;
    RTWDOG_CS = (RTWDOG_CS & ~RTWDOG_CS_EN) | RTWDOG_CS_UPDATE;
    CCM_CCGR3 |= CCM_CCGR3_CG8(CLOCK_ON);
    WDOG1_WMCR = 0;
}

/* "Core voltage": more of it before the core is faster (datasheet IMXRT1060CEC, operating ranges:
 * 1.25 V at 600 MHz). */
static bool voltage_start(void)
{
    const uint32_t steps = (MBN_CORE_MV - LEAST_MV) / STEP_MV;
    CCM_CCGR6 |= CCM_CCGR6_CG3(CLOCK_ON);
    DCDC_REG3 = (DCDC_REG3 & ~DCDC_REG3_TRG(31u)) | DCDC_REG3_TRG(steps);
    return wait_for(&DCDC_REG0, DCDC_REG0_STS_DC_OK, DCDC_REG0_STS_DC_OK);
}

static bool settled(uint32_t busy)
{
    return wait_for(&CCM_CDHIPR, busy, 0u);
}

/* The core and its buses from the crystal, while the PLL changes. */
static void from_crystal(void)
{
    CCM_CBCMR =
        (CCM_CBCMR & ~CCM_CBCMR_PERIPH_CLK2_SEL(3u)) | CCM_CBCMR_PERIPH_CLK2_SEL(OSCILLATOR);
    CCM_CBCDR &= ~CCM_CBCDR_PERIPH_CLK2_PODF(7u);
    CCM_CBCDR |= CCM_CBCDR_PERIPH_CLK_SEL;
    (void)settled(CCM_CDHIPR_PERIPH_CLK_SEL_BUSY);
}

/* "PLL1 (ARM PLL)": off, then on with its factor, not bypassed. */
static bool pll_start(void)
{
    CCM_ANALOG_PLL_ARM = CCM_ANALOG_PLL_ARM_POWERDOWN;
    CCM_ANALOG_PLL_ARM = CCM_ANALOG_PLL_ARM_ENABLE | CCM_ANALOG_PLL_ARM_DIV_SELECT(MBN_PLL_TIMES);
    return wait_for(&CCM_ANALOG_PLL_ARM, CCM_ANALOG_PLL_ARM_LOCK, CCM_ANALOG_PLL_ARM_LOCK);
}

static void clocks_start(void)
{
    const bool powered = voltage_start();
    from_crystal();
    if (!powered || !pll_start()) {
        return;
    }
    CCM_CACRR = CCM_CACRR_ARM_PODF(MBN_CORE_DIVIDER - 1u);
    CCM_CBCDR = (CCM_CBCDR & ~(CCM_CBCDR_AHB_PODF(7u) | CCM_CBCDR_IPG_PODF(3u))) |
                CCM_CBCDR_IPG_PODF(MBN_BUS_DIVIDER - 1u);
    CCM_CBCMR |= CCM_CBCMR_PRE_PERIPH_CLK_SEL(DIVIDED_PLL1);
    if (!settled(CCM_CDHIPR_ARM_PODF_BUSY) || !settled(CCM_CDHIPR_AHB_PODF_BUSY)) {
        return;
    }
    CCM_CBCDR &= ~CCM_CBCDR_PERIPH_CLK_SEL;
    if (settled(CCM_CDHIPR_PERIPH_CLK_SEL_BUSY)) {
        core_hz = MBN_CORE_HZ;
    }
}

/* "LPUART", "Baud rate generation": clock over (OSR + 1) * SBR. */
static void line_start(void)
{
    CCM_CSCDR1 = (CCM_CSCDR1 & ~CCM_CSCDR1_UART_CLK_PODF(63u)) | CCM_CSCDR1_UART_CLK_SEL;
    CCM_CCGR4 |= CCM_CCGR4_CG1(CLOCK_ON);
    CCM_CCGR3 |= CCM_CCGR3_CG3(CLOCK_ON);
    REGISTER(MBN_TX_MUX) = IOMUXC_MUX_MODE(MBN_PIN_FUNCTION);
    REGISTER(MBN_RX_MUX) = IOMUXC_MUX_MODE(MBN_PIN_FUNCTION);
    REGISTER(MBN_TX_PAD) = IOMUXC_PAD_DSE(DRIVE) | IOMUXC_PAD_SPEED(FAST);
    REGISTER(MBN_RX_PAD) =
        IOMUXC_PAD_HYS | IOMUXC_PAD_PKE | IOMUXC_PAD_PUE | IOMUXC_PAD_PUS(PULL_UP_22K);
    REGISTER(MBN_TX_INPUT) = MBN_PIN_DAISY;
    REGISTER(MBN_RX_INPUT) = MBN_PIN_DAISY;
    LPUART_CTRL = 0;
    LPUART_BAUD =
        LPUART_BAUD_OSR(MBN_LPUART_OVERSAMPLING - 1u) | LPUART_BAUD_SBR(MBN_LPUART_DIVIDER);
    LPUART_FIFO = LPUART_FIFO_RXFE | LPUART_FIFO_TXFE;
    LPUART_CTRL = LPUART_CTRL_RE | LPUART_CTRL_TE;
}

void mbn_port_init(void)
{
    watchdogs_stop();
    mbn_cortex_m_caches_on();
    clocks_start();
    line_start();
}

uint32_t mbn_port_clock_hz(void)
{
    return core_hz;
}

size_t mbn_port_read(uint8_t *data, size_t capacity)
{
    size_t size = 0;
    while (size < capacity && (LPUART_STAT & LPUART_STAT_RDRF) != 0u) {
        data[size++] = (uint8_t)LPUART_DATA;
    }
    LPUART_STAT = STAT_ERRORS; /* an overrun would end reception; the frame's CRC tells the loss */
    return size;
}

void mbn_port_write(const uint8_t *data, size_t size_bytes)
{
    for (size_t k = 0; k < size_bytes; k++) {
        uint32_t spins = WRITE_SPINS;
        while ((LPUART_STAT & LPUART_STAT_TDRE) == 0u && spins != 0u) {
            spins--;
        }
        LPUART_DATA = data[k];
    }
}

void mbn_port_clock_init(void)
{
    CCM_CCGR1 |= CCM_CCGR1_CG10(CLOCK_ON) | CCM_CCGR1_CG11(CLOCK_ON);
    GPT1_CR = 0;
    GPT1_PR = GPT1_PR_PRESCALER(CRYSTAL_HZ / HZ_PER_MHZ - 1u);
    GPT1_CR = GPT1_CR_CLKSRC(CRYSTAL_FOR_GPT) | GPT1_CR_EN_24M | GPT1_CR_FRR;
    GPT1_CR |= GPT1_CR_EN;
}

uint32_t mbn_port_microseconds(void)
{
    return GPT1_CNT;
}

/* Some of its bits can be written once only ("WDOGx_WCR"); not while a debugger halts the core. */
void mbn_port_watchdog_start(uint32_t milliseconds)
{
    const uint32_t ticks = milliseconds / MS_PER_TICK;
    const uint32_t less_one = ticks == 0u ? 0u : ticks - 1u;
    WDOG1_WCR = (uint16_t)(WDOG1_WCR_WT(less_one < WT_MOST ? less_one : WT_MOST) | WDOG1_WCR_SRS |
                           WDOG1_WCR_WDA | WDOG1_WCR_WDBG | WDOG1_WCR_WDE);
    mbn_port_watchdog_feed();
}

void mbn_port_watchdog_feed(void)
{
    WDOG1_WSR = WSR_FIRST;
    WDOG1_WSR = WSR_SECOND;
}

bool mbn_cortex_m_reset_by_watchdog(void)
{
    const bool watchdog = (SRC_SRSR & SRC_SRSR_wdog_rst_b) != 0u;
    SRC_SRSR = SRC_SRSR_wdog_rst_b; /* cleared by writing it */
    return watchdog;
}
