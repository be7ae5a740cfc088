/* STM32H7: the rated clock from PLL1, flash wait states, caches. Of a part with two cores this is
 * the M7's.
 *
 * board.toml sets MBN_HSE_HZ (an oscillator: MBN_HSE_BYPASS; one that a pin turns on:
 * MBN_HSE_ENABLE_PORT and _PIN), MBN_PLL_INPUT_HZ (4 to 8 MHz), MBN_PLL_N, MBN_PLL_P, MBN_CORE_HZ,
 * MBN_BUS_DIVIDER (AXI and AHB), MBN_FLASH_ACR, MBN_SUPPLY (bits of PWR_CR3, by how the part's
 * supply is wired; 0: a boot loader has set them), MBN_OVERDRIVE for voltage scale 0 of the H743
 * and H747, the line's MBN_USART_APB (1, 2, or 4) and its bit there. This file implements the
 * clocks of stm32.h. Every wait has a limit and a fallback: external clock -> PLL from the internal
 * oscillator -> internal oscillator alone (64 MHz). A boot loader may have left the PLL on.
 * Sections, by title: RM0433 rev 8 (H743), RM0399 (H747), RM0455 (H7A3). Untested on hardware.
 */
#include "../family_cortex_m/caches.h"
#include "../family_stm32/stm32.h"

/* "RCC registers"; the H7A3's CDCFGR1, CDCFGR2 and SRDCFGR lie and read as the H743's */
#define RCC_CR REGISTER(0x58024400u)
#define RCC_CFGR REGISTER(0x58024410u)
#define RCC_D1CFGR REGISTER(0x58024418u)
#define RCC_D2CFGR REGISTER(0x5802441Cu)
#define RCC_D3CFGR REGISTER(0x58024420u)
#define RCC_PLLCKSELR REGISTER(0x58024428u)
#define RCC_PLLCFGR REGISTER(0x5802442Cu)
#define RCC_PLL1DIVR REGISTER(0x58024430u)
#define RCC_AHB4ENR REGISTER(0x580244E0u)
#define RCC_APB1LENR REGISTER(0x580244E8u)
#define RCC_APB2ENR REGISTER(0x580244F0u)
#define RCC_APB4ENR REGISTER(0x580244F4u)
/* "PWR register description"; D3CR is SRDCR on the H7A3 */
#define PWR_CR3 REGISTER(0x5802480Cu)
#define PWR_CSR1 REGISTER(0x58024804u)
#define PWR_D3CR REGISTER(0x58024818u)
/* "SYSCFG power control register" */
#define SYSCFG_PWRCR REGISTER(0x5800042Cu)
/* "FLASH access control register" */
#define FLASH_ACR REGISTER(0x52002000u)

/* bit positions: the same sections */
#define CR_HSION 1u
#define CR_HSIRDY (1u << 2)
#define CR_HSEON (1u << 16)
#define CR_HSERDY (1u << 17)
#define CR_HSEBYP (1u << 18)
#define CR_PLL1ON (1u << 24)
#define CR_PLL1RDY (1u << 25)
#define CFGR_SW_MASK 7u
#define CFGR_SW_PLL1 3u
#define CFGR_SWS_MASK (7u << 3)
#define CFGR_SWS_PLL1 (3u << 3)
#define PLLCKSELR_SOURCE_HSE 2u
#define PLLCKSELR_DIVM1_SHIFT 4u
#define PLLCFGR_PLL1RGE_4_TO_8 (2u << 2)
#define PLLCFGR_DIVP1EN (1u << 16)
#define D1CFGR_HPRE_HALF 8u
#define PPRE_HALF 4u
#define AHB4ENR_GPIO(port) (1u << (port))
#define APB1LENR_TIM5 (1u << 3)
#define APB4ENR_SYSCFG (1u << 1)
#define CR3_SUPPLY_MASK 7u /* BYPASS, LDOEN, SMPSEN (SDEN on the H747) */
#define CSR1_ACTVOSRDY (1u << 13)
#define D3CR_VOS_MASK (3u << 14)
#define D3CR_VOS_HIGHEST (3u << 14) /* scale 1 on the H743 and H747, scale 0 on the H7A3 */
#define D3CR_VOSRDY (1u << 13)
#define PWRCR_ODEN 1u

#define HSI_HZ 64000000u

static uint32_t core_hz = HSI_HZ;
static uint32_t pll_hz;

#if defined(MBN_HSE_ENABLE_PIN)
/* "GPIO registers": an output, high */
static void oscillator_power(void)
{
    const uint32_t base = MBN_GPIO_BASE + 0x400u * MBN_HSE_ENABLE_PORT;
    RCC_AHB4ENR |= AHB4ENR_GPIO(MBN_HSE_ENABLE_PORT);
    (void)RCC_AHB4ENR;
    REGISTER(base + 0x18u) = 1u << MBN_HSE_ENABLE_PIN;
    REGISTER(base) =
        (REGISTER(base) & ~(3u << 2u * MBN_HSE_ENABLE_PIN)) | (1u << 2u * MBN_HSE_ENABLE_PIN);
}
#endif

/* As after a reset: the PLL's factors and the buses change while nothing runs from them. */
static void internal_start(void)
{
    RCC_CR |= CR_HSION;
    (void)mbn_stm32_wait(&RCC_CR, CR_HSIRDY, CR_HSIRDY);
    RCC_CFGR &= ~CFGR_SW_MASK;
    (void)mbn_stm32_wait(&RCC_CFGR, CFGR_SWS_MASK, 0u);
}

/* The supply must be said once after power-on, before the voltage is scaled ("System supply
 * startup"). H743, H747: scale 1, then the overdrive makes it scale 0 ("Voltage scaling"). */
static bool voltage_start(void)
{
#if MBN_SUPPLY != 0
    PWR_CR3 = (PWR_CR3 & ~CR3_SUPPLY_MASK) | MBN_SUPPLY;
#endif
    if (!mbn_stm32_wait(&PWR_CSR1, CSR1_ACTVOSRDY, CSR1_ACTVOSRDY)) {
        return false;
    }
    PWR_D3CR = (PWR_D3CR & ~D3CR_VOS_MASK) | D3CR_VOS_HIGHEST;
    if (!mbn_stm32_wait(&PWR_D3CR, D3CR_VOSRDY, D3CR_VOSRDY)) {
        return false;
    }
#if !MBN_OVERDRIVE
    return true;
#else
    RCC_APB4ENR |= APB4ENR_SYSCFG;
    (void)RCC_APB4ENR;
    SYSCFG_PWRCR |= PWRCR_ODEN;
    return mbn_stm32_wait(&PWR_D3CR, D3CR_VOSRDY, D3CR_VOSRDY);
#endif
}

/* "PLL initialization phase" */
static bool pll_start(uint32_t source, uint32_t source_hz)
{
    RCC_CR &= ~CR_PLL1ON;
    (void)mbn_stm32_wait(&RCC_CR, CR_PLL1RDY, 0u); /* its factors may only change while it is off */
    const uint32_t divider = (source_hz + MBN_PLL_INPUT_HZ - 1u) / MBN_PLL_INPUT_HZ;
    RCC_PLLCKSELR = source | (divider << PLLCKSELR_DIVM1_SHIFT);
    RCC_PLLCFGR = PLLCFGR_PLL1RGE_4_TO_8 | PLLCFGR_DIVP1EN; /* wide VCO, no fraction */
    RCC_PLL1DIVR = (MBN_PLL_N - 1u) | ((MBN_PLL_P - 1u) << 9) | (1u << 16) | (1u << 24);
    RCC_CR |= CR_PLL1ON;
    pll_hz = source_hz / divider * MBN_PLL_N / MBN_PLL_P;
    return mbn_stm32_wait(&RCC_CR, CR_PLL1RDY, CR_PLL1RDY);
}

/* All buses at a half of the AHB's rate; before the core is sped up, the flash is slowed down
 * ("FLASH read operations": table of wait states). */
static void buses_start(void)
{
    FLASH_ACR = MBN_FLASH_ACR;
    (void)mbn_stm32_wait(&FLASH_ACR, 0xFu, MBN_FLASH_ACR & 0xFu);
    RCC_D1CFGR = (MBN_BUS_DIVIDER == 2u ? D1CFGR_HPRE_HALF : 0u) | (PPRE_HALF << 4);
    RCC_D2CFGR = (PPRE_HALF << 4) | (PPRE_HALF << 8);
    RCC_D3CFGR = PPRE_HALF << 4;
}

mbn_stm32_clocks mbn_stm32_clocks_start(void)
{
    mbn_cortex_m_caches_on();
    internal_start();
#if defined(MBN_HSE_ENABLE_PIN)
    oscillator_power();
#endif
#if MBN_HSE_BYPASS
    RCC_CR |= CR_HSEBYP;
#endif
    RCC_CR |= CR_HSEON;
    bool locked = voltage_start();
    if (locked) {
        locked = (mbn_stm32_wait(&RCC_CR, CR_HSERDY, CR_HSERDY) &&
                  pll_start(PLLCKSELR_SOURCE_HSE, MBN_HSE_HZ)) ||
                 pll_start(0u, HSI_HZ);
    }
    if (locked) {
        buses_start();
        RCC_CFGR = (RCC_CFGR & ~CFGR_SW_MASK) | CFGR_SW_PLL1;
        if (mbn_stm32_wait(&RCC_CFGR, CFGR_SWS_MASK, CFGR_SWS_PLL1)) {
            core_hz = pll_hz;
        }
    }
    if (core_hz == HSI_HZ) {
        RCC_CFGR &= ~CFGR_SW_MASK; /* HSI, buses undivided */
        RCC_D1CFGR = 0;
        RCC_D2CFGR = 0;
        RCC_D3CFGR = 0;
        return (mbn_stm32_clocks){HSI_HZ, HSI_HZ};
    }
    /* USART's kernel clock after reset: its APB's ("RCC domain 2 kernel clock configuration") */
    return (mbn_stm32_clocks){core_hz, core_hz / MBN_BUS_DIVIDER / 2u};
}

#if MBN_USART_APB == 1
#define USART_ENR RCC_APB1LENR
#elif MBN_USART_APB == 2
#define USART_ENR RCC_APB2ENR
#else
#define USART_ENR RCC_APB4ENR
#endif

void mbn_stm32_serial_on(void)
{
    RCC_AHB4ENR |= AHB4ENR_GPIO(MBN_TX_PORT) | AHB4ENR_GPIO(MBN_RX_PORT);
    USART_ENR |= 1u << MBN_USART_BIT;
    (void)USART_ENR; /* the clock is on after a read ("Peripheral clock enabling delays") */
}

/* Timers run at twice their APB's clock where it is halved ("RCC clock configuration": TIMPRE). */
uint32_t mbn_stm32_timer_on(void)
{
    RCC_APB1LENR |= APB1LENR_TIM5;
    (void)RCC_APB1LENR;
    return core_hz == HSI_HZ ? HSI_HZ : core_hz / MBN_BUS_DIVIDER;
}

/* "RCC reset status register": IWDGRSTF, RMVF */
mbn_stm32_reset mbn_stm32_reset_flags(void)
{
    return (mbn_stm32_reset){&REGISTER(0x580244D0u), 1u << 26, 1u << 16};
}
