/* STM32F4 and F7: the rated clock from the PLL, its flash wait states, caches.
 *
 * board.toml sets MBN_HSE_HZ (an oscillator: MBN_HSE_BYPASS), MBN_PLL_INPUT_HZ, MBN_PLL_N,
 * MBN_PLL_P, MBN_PLL_Q, MBN_CORE_HZ, MBN_VOS, MBN_OVERDRIVE, MBN_FLASH_ACR, MBN_APB1_DIVIDER and
 * MBN_APB2_DIVIDER, the USART's bus (MBN_USART_APB: 1 or 2) and its bit there. This file implements
 * the clocks of stm32.h. Every wait has a limit and a fallback: crystal -> PLL from the internal
 * oscillator (1 %) -> internal oscillator alone (16 MHz). That is also how the STM32F405's image
 * boots on QEMU's netduinoplus2, where RCC reads 0. Sections, by title: RM0090 rev 19 (F405),
 * RM0390 (F446), RM0385 (F746).
 */
#include "../family_stm32/stm32.h"

#if defined(MBN_CACHES)
#include "../family_cortex_m/caches.h"
#endif

/* "RCC registers"; RM0090 7.3, RM0390 6.3, RM0385 5.3 */
#define RCC_CR REGISTER(0x40023800u)
#define RCC_PLLCFGR REGISTER(0x40023804u)
#define RCC_CFGR REGISTER(0x40023808u)
#define RCC_AHB1ENR REGISTER(0x40023830u)
#define RCC_APB1ENR REGISTER(0x40023840u)
#define RCC_APB2ENR REGISTER(0x40023844u)
/* "Power control registers"; RM0090 5.4, RM0390 5.4, RM0385 4.4: PWR_CR1 and PWR_CSR1 there */
#define PWR_CR REGISTER(0x40007000u)
#define PWR_CSR REGISTER(0x40007004u)
/* "Flash access control register"; RM0090 3.9.1, RM0390 3.8.1, RM0385 3.7.1 */
#define FLASH_ACR REGISTER(0x40023C00u)

/* bit positions: the same sections */
#define CR_HSION 1u
#define CR_HSEON (1u << 16)
#define CR_HSERDY (1u << 17)
#define CR_HSEBYP (1u << 18)
#define CR_PLLON (1u << 24)
#define CR_PLLRDY (1u << 25)
#define PLLCFGR_SOURCE_HSE (1u << 22)
#define PLLCFGR_AS_RESET (1u << 29) /* reserved, or PLLR of 2: as after reset */
#define CFGR_SW_PLL 2u
#define CFGR_SW_MASK 3u
#define CFGR_SWS_MASK (3u << 2)
#define CFGR_SWS_PLL (2u << 2)
#define CFGR_PPRE1_SHIFT 10u
#define CFGR_PPRE2_SHIFT 13u
#define APB1ENR_TIM5 (1u << 3)
#define APB1ENR_PWR (1u << 28)
#define CR_ODEN (1u << 16)
#define CR_ODSWEN (1u << 17)
#define CSR_ODRDY (1u << 16)
#define CSR_ODSWRDY (1u << 17)

#define HSI_HZ 16000000u
#define EMULATED_TIMER_HZ 1000000000u

static bool at_rate;

/* PPRE1 and PPRE2 of RCC_CFGR: 4 is a half, 5 a quarter, ... */
static uint32_t prescaler(uint32_t divider)
{
    return divider == 1u ? 0u : divider == 2u ? 4u : divider == 4u ? 5u : 6u;
}

/* "RCC PLL configuration register": PLLP is P / 2 - 1. */
static bool pll_start(uint32_t source, uint32_t source_hz)
{
    RCC_CR &= ~CR_PLLON;
    (void)mbn_stm32_wait(&RCC_CR, CR_PLLRDY, 0u); /* its factors may only change while it is off */
    RCC_PLLCFGR = (source_hz / MBN_PLL_INPUT_HZ) | (MBN_PLL_N << 6) |
                  ((MBN_PLL_P / 2u - 1u) << 16) | source | (MBN_PLL_Q << 24) | PLLCFGR_AS_RESET;
    RCC_CR |= CR_PLLON;
    return mbn_stm32_wait(&RCC_CR, CR_PLLRDY, CR_PLLRDY);
}

/* "Entering Over-drive mode": with the PLL running, before it is the system's clock. */
static bool overdrive_start(void)
{
#if MBN_OVERDRIVE
    PWR_CR |= CR_ODEN;
    if (!mbn_stm32_wait(&PWR_CSR, CSR_ODRDY, CSR_ODRDY)) {
        return false;
    }
    PWR_CR |= CR_ODSWEN;
    return mbn_stm32_wait(&PWR_CSR, CSR_ODSWRDY, CSR_ODSWRDY);
#else
    return true;
#endif
}

/* As after a reset: the ROM's bootloader may have started us with its PLL on. */
static void internal_start(void)
{
    RCC_CR |= CR_HSION;
    RCC_CFGR &= ~CFGR_SW_MASK;
    (void)mbn_stm32_wait(&RCC_CFGR, CFGR_SWS_MASK, 0u);
    RCC_CFGR = 0;
}

/* The flash must be slowed down before the core is sped up ("Relation between CPU clock frequency
 * and Flash memory read time"). */
mbn_stm32_clocks mbn_stm32_clocks_start(void)
{
#if defined(MBN_CACHES)
    mbn_cortex_m_caches_on();
#endif
    internal_start();
    RCC_APB1ENR |= APB1ENR_PWR;
    PWR_CR |= MBN_VOS;
    FLASH_ACR = MBN_FLASH_ACR;
    RCC_CFGR |= (prescaler(MBN_APB1_DIVIDER) << CFGR_PPRE1_SHIFT) |
                (prescaler(MBN_APB2_DIVIDER) << CFGR_PPRE2_SHIFT);
#if MBN_HSE_BYPASS
    RCC_CR |= CR_HSEBYP;
#endif
    RCC_CR |= CR_HSEON;
    bool locked =
        mbn_stm32_wait(&RCC_CR, CR_HSERDY, CR_HSERDY) && pll_start(PLLCFGR_SOURCE_HSE, MBN_HSE_HZ);
    if (!locked) {
        locked = pll_start(0u, HSI_HZ);
    }
    if (locked && overdrive_start()) {
        RCC_CFGR |= CFGR_SW_PLL;
        at_rate = mbn_stm32_wait(&RCC_CFGR, CFGR_SWS_MASK, CFGR_SWS_PLL);
    }
    if (!at_rate) {
        RCC_CFGR = 0; /* internal oscillator, buses undivided */
        return (mbn_stm32_clocks){HSI_HZ, HSI_HZ};
    }
    const uint32_t divider = MBN_USART_APB == 1u ? MBN_APB1_DIVIDER : MBN_APB2_DIVIDER;
    return (mbn_stm32_clocks){MBN_CORE_HZ, MBN_CORE_HZ / divider};
}

void mbn_stm32_serial_on(void)
{
    RCC_AHB1ENR |= (1u << MBN_TX_PORT) | (1u << MBN_RX_PORT);
#if MBN_USART_APB == 1
    RCC_APB1ENR |= 1u << MBN_USART_BIT;
    (void)RCC_APB1ENR; /* on after a read ("Peripheral clock enable register") */
#else
    RCC_APB2ENR |= 1u << MBN_USART_BIT;
    (void)RCC_APB2ENR;
#endif
}

/* Timers on APB1 run at twice its clock where it is divided ("Clocks"). On QEMU's netduinoplus2,
 * where RCC reads 0, they count nanoseconds. */
uint32_t mbn_stm32_timer_on(void)
{
    RCC_APB1ENR |= APB1ENR_TIM5;
    if ((RCC_APB1ENR & APB1ENR_TIM5) == 0u) {
        return EMULATED_TIMER_HZ;
    }
    if (!at_rate) {
        return HSI_HZ;
    }
    return MBN_APB1_DIVIDER == 1u ? MBN_CORE_HZ : 2u * (MBN_CORE_HZ / MBN_APB1_DIVIDER);
}

/* "RCC clock control & status register": IWDGRSTF, RMVF */
mbn_stm32_reset mbn_stm32_reset_flags(void)
{
    return (mbn_stm32_reset){&REGISTER(0x40023874u), 1u << 29, 1u << 24};
}
