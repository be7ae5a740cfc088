/* STM32U5: 160 MHz from PLL1 on the internal oscillator of 16 MHz, range 1 with booster, ICACHE.
 *
 * board.toml sets MBN_PLL_N, MBN_PLL_R, MBN_CORE_HZ, MBN_FLASH_ACR, MBN_USART_BIT (of APB2). This
 * file implements the clocks of stm32.h. Every wait has a limit. Without the PLL the core runs from
 * the internal oscillator (16 MHz, 1 %: no crystal is needed). TrustZone is off (TZEN 0, as
 * shipped), so the non-secure addresses are those of all. Sections, by title: RM0456. Untested on
 * hardware.
 */
#include "../family_stm32/stm32.h"

/* "RCC registers" */
#define RCC_CR REGISTER(0x46020C00u)
#define RCC_CFGR1 REGISTER(0x46020C1Cu)
#define RCC_PLL1CFGR REGISTER(0x46020C28u)
#define RCC_PLL1DIVR REGISTER(0x46020C34u)
#define RCC_AHB2ENR1 REGISTER(0x46020C8Cu)
#define RCC_AHB3ENR REGISTER(0x46020C94u)
#define RCC_APB1ENR1 REGISTER(0x46020C9Cu)
#define RCC_APB2ENR REGISTER(0x46020CA4u)
/* "PWR registers" */
#define PWR_VOSR REGISTER(0x4602080Cu)
/* "FLASH access control register" */
#define FLASH_ACR REGISTER(0x40022000u)
/* "ICACHE registers" */
#define ICACHE_CR REGISTER(0x40030400u)
#define ICACHE_SR REGISTER(0x40030404u)

/* bit positions: the same sections */
#define CR_HSION (1u << 8)
#define CR_HSIRDY (1u << 10)
#define CR_PLL1ON (1u << 24)
#define CR_PLL1RDY (1u << 25)
#define CFGR1_SW_MASK 3u
#define CFGR1_SW_HSI 1u
#define CFGR1_SW_PLL1 3u
#define CFGR1_SWS_MASK (3u << 2)
#define CFGR1_SWS_HSI (1u << 2)
#define CFGR1_SWS_PLL1 (3u << 2)
#define PLL1CFGR_SOURCE_HSI 2u
#define PLL1CFGR_RGE_8_TO_16 (3u << 2) /* M and the booster's divider stay 1: 16 MHz for both */
#define PLL1CFGR_REN (1u << 18)
#define AHB3ENR_PWR (1u << 2)
#define APB1ENR1_TIM5 (1u << 3)
#define VOSR_BOOSTRDY (1u << 14)
#define VOSR_VOSRDY (1u << 15)
#define VOSR_RANGE_1 (3u << 16)
#define VOSR_BOOSTEN (1u << 18)
#define ICACHE_CR_EN 1u
#define ICACHE_SR_BUSY 1u

#define HSI_HZ 16000000u

static uint32_t core_hz = HSI_HZ;

/* "PWR dynamic voltage scaling": range 1, then, with the PLL's source chosen, the booster. */
static bool voltage_start(void)
{
    PWR_VOSR |= VOSR_RANGE_1;
    if (!mbn_stm32_wait(&PWR_VOSR, VOSR_VOSRDY, VOSR_VOSRDY)) {
        return false;
    }
    RCC_PLL1CFGR = PLL1CFGR_SOURCE_HSI | PLL1CFGR_RGE_8_TO_16 | PLL1CFGR_REN;
    PWR_VOSR |= VOSR_BOOSTEN;
    return mbn_stm32_wait(&PWR_VOSR, VOSR_BOOSTRDY, VOSR_BOOSTRDY);
}

static void internal_take(void)
{
    RCC_CFGR1 = (RCC_CFGR1 & ~CFGR1_SW_MASK) | CFGR1_SW_HSI;
    (void)mbn_stm32_wait(&RCC_CFGR1, CFGR1_SWS_MASK, CFGR1_SWS_HSI);
}

static bool pll_start(void)
{
    RCC_CR &= ~CR_PLL1ON;
    (void)mbn_stm32_wait(&RCC_CR, CR_PLL1RDY, 0u); /* its factors may only change while it is off */
    if (!voltage_start()) {
        return false;
    }
    RCC_PLL1DIVR = (MBN_PLL_N - 1u) | (1u << 9) | (1u << 16) | ((MBN_PLL_R - 1u) << 24);
    RCC_CR |= CR_PLL1ON;
    if (!mbn_stm32_wait(&RCC_CR, CR_PLL1RDY, CR_PLL1RDY)) {
        return false;
    }
    FLASH_ACR = MBN_FLASH_ACR;
    (void)mbn_stm32_wait(&FLASH_ACR, 0xFu, MBN_FLASH_ACR & 0xFu);
    RCC_CFGR1 = (RCC_CFGR1 & ~CFGR1_SW_MASK) | CFGR1_SW_PLL1;
    return mbn_stm32_wait(&RCC_CFGR1, CFGR1_SWS_MASK, CFGR1_SWS_PLL1);
}

mbn_stm32_clocks mbn_stm32_clocks_start(void)
{
    /* it invalidates itself after reset ("ICACHE reset and clocks") */
    (void)mbn_stm32_wait(&ICACHE_SR, ICACHE_SR_BUSY, 0u);
    ICACHE_CR |= ICACHE_CR_EN;
    RCC_AHB3ENR |= AHB3ENR_PWR;
    (void)RCC_AHB3ENR;
    RCC_CR |= CR_HSION;
    (void)mbn_stm32_wait(&RCC_CR, CR_HSIRDY, CR_HSIRDY);
    internal_take(); /* the ROM's bootloader may have started us with its PLL on */
    if (pll_start()) {
        core_hz = MBN_CORE_HZ;
    } else {
        internal_take();
    }
    /* USART1's kernel clock after reset: PCLK2, undivided ("RCC peripherals independent clock
     * configuration register 1") */
    return (mbn_stm32_clocks){core_hz, core_hz};
}

void mbn_stm32_serial_on(void)
{
    RCC_AHB2ENR1 |= (1u << MBN_TX_PORT) | (1u << MBN_RX_PORT);
    RCC_APB2ENR |= 1u << MBN_USART_BIT;
    (void)RCC_APB2ENR;
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
    return (mbn_stm32_reset){&REGISTER(0x46020CF4u), 1u << 29, 1u << 23};
}
