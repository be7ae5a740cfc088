/* STM32L4 and L4+: the rated clock (80, 120 MHz) from the PLL on the internal oscillator of 16 MHz,
 * caches.
 *
 * board.toml sets MBN_PLL_M, MBN_PLL_N, MBN_CORE_HZ, MBN_FLASH_ACR, MBN_BOOST for the L4+'s range
 * above 80 MHz, MBN_PORT_G_POWERED where the serial line's pins are on VDDIO2; the line is LPUART1
 * (MBN_LPUART) or USART1. This file implements the clocks of stm32.h. Every wait has a
 * limit. Without the PLL the core runs from the internal oscillator (16 MHz, 1 %: no crystal is
 * needed). Sections, by title: RM0432 rev 9 (L4+), RM0351 (L475).
 * Untested on hardware.
 */
#include "../family_stm32/stm32.h"

/* "RCC registers" */
#define RCC_CR REGISTER(0x40021000u)
#define RCC_CFGR REGISTER(0x40021008u)
#define RCC_PLLCFGR REGISTER(0x4002100Cu)
#define RCC_AHB2ENR REGISTER(0x4002104Cu)
#define RCC_APB1ENR1 REGISTER(0x40021058u)
#define RCC_APB1ENR2 REGISTER(0x4002105Cu)
#define RCC_APB2ENR REGISTER(0x40021060u)
/* "PWR registers" */
#define PWR_CR2 REGISTER(0x40007004u)
#define PWR_CR5 REGISTER(0x40007080u)
/* "Flash access control register" */
#define FLASH_ACR REGISTER(0x40022000u)

/* bit positions: the same sections */
#define CR_HSION (1u << 8)
#define CR_HSIRDY (1u << 10)
#define CR_PLLON (1u << 24)
#define CR_PLLRDY (1u << 25)
#define CFGR_SW_MASK 3u
#define CFGR_SW_HSI 1u
#define CFGR_SW_PLL 3u
#define CFGR_SWS_MASK (3u << 2)
#define CFGR_SWS_HSI (1u << 2)
#define CFGR_SWS_PLL (3u << 2)
#define CFGR_HPRE_MASK (15u << 4)
#define CFGR_HPRE_HALF (8u << 4)
#define PLLCFGR_SOURCE_HSI 2u
#define PLLCFGR_PLLREN (1u << 24) /* R is 2 */
#define APB1ENR1_TIM5 (1u << 3)
#define APB1ENR1_PWR (1u << 28)
#define APB1ENR2_LPUART1 1u
#define APB2ENR_USART1 (1u << 14)
#define CR2_IOSV (1u << 9)    /* VDDIO2 is there: PG2 to PG15 work */
#define CR5_R1MODE (1u << 8)  /* set: range 1 without boost */
#define SETTLE_SPINS 200u     /* more than 1 us at 60 MHz ("Dynamic voltage scaling management") */

#define HSI_HZ 16000000u

static uint32_t core_hz = HSI_HZ;

/* "Dynamic voltage scaling management": range 1 as after a reset, flash waits; with boost then half
 * of the rate for a microsecond. */
static bool pll_take(void)
{
#if defined(MBN_BOOST)
    PWR_CR5 &= ~CR5_R1MODE;
#endif
    FLASH_ACR = MBN_FLASH_ACR;
    (void)mbn_stm32_wait(&FLASH_ACR, 0xFu, MBN_FLASH_ACR & 0xFu);
    RCC_CFGR = (RCC_CFGR & ~(CFGR_HPRE_MASK | CFGR_SW_MASK)) | CFGR_HPRE_HALF | CFGR_SW_PLL;
    if (!mbn_stm32_wait(&RCC_CFGR, CFGR_SWS_MASK, CFGR_SWS_PLL)) {
        return false;
    }
    for (volatile uint32_t spins = SETTLE_SPINS; spins != 0u; spins--) {
    }
    RCC_CFGR &= ~CFGR_HPRE_MASK;
    return true;
}

mbn_stm32_clocks mbn_stm32_clocks_start(void)
{
    RCC_APB1ENR1 |= APB1ENR1_PWR;
    (void)RCC_APB1ENR1;
    RCC_CR |= CR_HSION;
    (void)mbn_stm32_wait(&RCC_CR, CR_HSIRDY, CR_HSIRDY);
    RCC_CR &= ~CR_PLLON;
    (void)mbn_stm32_wait(&RCC_CR, CR_PLLRDY, 0u); /* its factors may only change while it is off */
    RCC_PLLCFGR = PLLCFGR_SOURCE_HSI | ((MBN_PLL_M - 1u) << 4) | (MBN_PLL_N << 8) | PLLCFGR_PLLREN;
    RCC_CR |= CR_PLLON;
    if (mbn_stm32_wait(&RCC_CR, CR_PLLRDY, CR_PLLRDY) && pll_take()) {
        core_hz = MBN_CORE_HZ;
    } else {
        RCC_CFGR = (RCC_CFGR & ~(CFGR_HPRE_MASK | CFGR_SW_MASK)) | CFGR_SW_HSI;
        (void)mbn_stm32_wait(&RCC_CFGR, CFGR_SWS_MASK, CFGR_SWS_HSI);
    }
    /* the line's kernel clock after reset: its APB's ("Peripherals independent clock
     * configuration"), undivided */
    return (mbn_stm32_clocks){core_hz, core_hz};
}

void mbn_stm32_serial_on(void)
{
#if defined(MBN_PORT_G_POWERED)
    PWR_CR2 |= CR2_IOSV;
#endif
    RCC_AHB2ENR |= (1u << MBN_TX_PORT) | (1u << MBN_RX_PORT);
#if defined(MBN_LPUART)
    RCC_APB1ENR2 |= APB1ENR2_LPUART1;
    (void)RCC_APB1ENR2;
#else
    RCC_APB2ENR |= APB2ENR_USART1;
    (void)RCC_APB2ENR;
#endif
}

uint32_t mbn_stm32_timer_on(void)
{
    RCC_APB1ENR1 |= APB1ENR1_TIM5;
    (void)RCC_APB1ENR1;
    return core_hz;
}

/* "RCC control/status register": IWDGRSTF, RMVF */
mbn_stm32_reset mbn_stm32_reset_flags(void)
{
    return (mbn_stm32_reset){&REGISTER(0x40021094u), 1u << 29, 1u << 23};
}
