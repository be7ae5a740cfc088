/* STM32F405: 168 MHz from the crystal, USART1 on PA9 (TX) and PA10 (RX), 921600 baud 8N1.
 *
 * What enters: MBN_HSE_HZ (the crystal) and MBN_BAUD from board.toml. What leaves: port.h's serial
 * line. Always holds: every wait has a bound and a fallback: crystal -> PLL from the internal
 * oscillator (168 MHz, 1 %) -> internal oscillator alone (16 MHz); the baud rate follows. That is
 * also how this image boots on QEMU's netduinoplus2, where RCC reads 0. Sections: RM0090 rev 19.
 */
#include "../family_cortex_m/cortex_m.h"
#include "mbn/port.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))

#define RCC_CR REGISTER(0x40023800u)      /* 7.3.1 */
#define RCC_PLLCFGR REGISTER(0x40023804u) /* 7.3.2 */
#define RCC_CFGR REGISTER(0x40023808u)    /* 7.3.3 */
#define RCC_AHB1ENR REGISTER(0x40023830u) /* 7.3.10 */
#define RCC_APB1ENR REGISTER(0x40023840u) /* 7.3.13 */
#define RCC_APB2ENR REGISTER(0x40023844u) /* 7.3.14 */
#define PWR_CR REGISTER(0x40007000u)      /* 5.4.1 */
#define FLASH_ACR REGISTER(0x40023C00u)   /* 3.9.1 */
#define GPIOA_MODER REGISTER(0x40020000u) /* 8.4.1 */
#define GPIOA_OSPEEDR REGISTER(0x40020008u)
#define GPIOA_PUPDR REGISTER(0x4002000Cu)
#define GPIOA_AFRH REGISTER(0x40020024u) /* 8.4.10 */
#define USART1_SR REGISTER(0x40011000u)  /* 30.6.1 */
#define USART1_DR REGISTER(0x40011004u)
#define USART1_BRR REGISTER(0x40011008u)
#define USART1_CR1 REGISTER(0x4001100Cu) /* 30.6.4 */

#define TIM5_CR1 REGISTER(0x40000C00u) /* 18.4: 32 bits wide */
#define TIM5_EGR REGISTER(0x40000C14u)
#define TIM5_CNT REGISTER(0x40000C24u)
#define TIM5_PSC REGISTER(0x40000C28u)

/* bit positions: the same sections */
#define CR_HSEON (1u << 16)
#define CR_HSERDY (1u << 17)
#define CR_PLLON (1u << 24)
#define CR_PLLRDY (1u << 25)
#define PLLCFGR_SOURCE_HSE (1u << 22)
#define CFGR_SW_PLL 2u
#define CFGR_SWS_MASK (3u << 2)
#define CFGR_SWS_PLL (2u << 2)
#define CFGR_APB1_DIV4 (5u << 10) /* 42 MHz, its limit */
#define CFGR_APB2_DIV2 (4u << 13) /* 84 MHz, its limit */
#define APB1ENR_TIM5 (1u << 3)
#define TIM_CR1_CEN 1u
#define TIM_EGR_UG 1u /* takes the prescaler over */
#define APB1ENR_PWR (1u << 28)
#define PWR_CR_VOS (1u << 14) /* scale 1, wanted above 144 MHz */
#define AHB1ENR_GPIOA 1u
#define APB2ENR_USART1 (1u << 4)
#define ACR_LATENCY_5 5u /* 150 < HCLK <= 168 MHz at 2.7 to 3.6 V, table 10 */
#define ACR_PREFETCH_CACHES ((1u << 8) | (1u << 9) | (1u << 10))
#define SR_RXNE (1u << 5)
#define SR_TXE (1u << 7)
#define CR1_UE (1u << 13)
#define CR1_TE (1u << 3)
#define CR1_RE (1u << 2)

#define HSI_HZ 16000000u
#define CORE_HZ 168000000u
#define EMULATED_TIMER_HZ 1000000000u
#define PLL_INPUT_HZ 2000000u /* what 7.3.2 recommends against jitter */
#define READY_SPINS 200000u   /* some 60 ms at 16 MHz; a crystal starts in 2 ms (datasheet 5.3.8) */
/* Well under a byte's time on the line, so that none is overrun; the rest saves power on the part,
 * and lets an emulator's other threads run. */
#define NAPS_PER_BYTE 2u
#define BITS_PER_BYTE 10u
#define WRITE_SPINS 1000000u

static uint32_t core_hz = HSI_HZ;

static bool wait_for(volatile uint32_t *address, uint32_t mask, uint32_t wanted)
{
    for (uint32_t spins = READY_SPINS; spins != 0u; spins--) {
        if ((*address & mask) == wanted) {
            return true;
        }
    }
    return false;
}

/* VCO = 2 MHz * 168 = 336 MHz; / 2 = 168 MHz for the core, / 7 = 48 MHz (7.3.2). */
static bool pll_start(uint32_t source, uint32_t source_hz)
{
    RCC_CR &= ~CR_PLLON;
    RCC_PLLCFGR = (source_hz / PLL_INPUT_HZ) | (168u << 6) | (0u << 16) | source | (7u << 24);
    RCC_CR |= CR_PLLON;
    return wait_for(&RCC_CR, CR_PLLRDY, CR_PLLRDY);
}

/* The flash must be slowed down before the core is sped up (3.5.1). */
static void clock_start(void)
{
    RCC_APB1ENR |= APB1ENR_PWR;
    PWR_CR |= PWR_CR_VOS;
    FLASH_ACR = ACR_LATENCY_5 | ACR_PREFETCH_CACHES;
    RCC_CFGR |= CFGR_APB1_DIV4 | CFGR_APB2_DIV2;
    RCC_CR |= CR_HSEON;
    bool crystal = wait_for(&RCC_CR, CR_HSERDY, CR_HSERDY);
    bool locked = crystal && pll_start(PLLCFGR_SOURCE_HSE, MBN_HSE_HZ);
    if (!locked) {
        locked = pll_start(0u, HSI_HZ);
    }
    if (locked) {
        RCC_CFGR |= CFGR_SW_PLL;
        locked = wait_for(&RCC_CFGR, CFGR_SWS_MASK, CFGR_SWS_PLL);
    }
    if (locked) {
        core_hz = CORE_HZ;
    } else {
        RCC_CFGR = 0; /* internal oscillator, buses undivided */
    }
}

void mbn_port_init(void)
{
    clock_start();
    RCC_AHB1ENR |= AHB1ENR_GPIOA;
    RCC_APB2ENR |= APB2ENR_USART1;
    /* PA9, PA10: alternate function 7 (datasheet table 9), fast, RX pulled up */
    GPIOA_AFRH = (GPIOA_AFRH & ~0x00000FF0u) | 0x00000770u;
    GPIOA_OSPEEDR |= 0x003C0000u;
    GPIOA_PUPDR = (GPIOA_PUPDR & ~0x003C0000u) | 0x00100000u;
    GPIOA_MODER = (GPIOA_MODER & ~0x003C0000u) | 0x00280000u;
    uint32_t usart_hz = core_hz == CORE_HZ ? CORE_HZ / 2u : HSI_HZ;
    USART1_BRR = (usart_hz + MBN_BAUD / 2u) / MBN_BAUD; /* 30.3.4, oversampling by 16 */
    USART1_CR1 = CR1_UE | CR1_TE | CR1_RE;
}

uint32_t mbn_port_clock_hz(void)
{
    return core_hz;
}

size_t mbn_port_read(uint8_t *data, size_t capacity)
{
    size_t size = 0;
    mbn_cortex_m_nap(core_hz / (MBN_BAUD / BITS_PER_BYTE) / NAPS_PER_BYTE);
    /* reading SR and then DR also clears an overrun (30.6.1); the frame's CRC tells the loss */
    while (size < capacity && (USART1_SR & SR_RXNE) != 0u) {
        data[size++] = (uint8_t)USART1_DR;
    }
    return size;
}

void mbn_port_write(const uint8_t *data, size_t size_bytes)
{
    for (size_t k = 0; k < size_bytes; k++) {
        uint32_t spins = WRITE_SPINS;
        while ((USART1_SR & SR_TXE) == 0u && spins != 0u) {
            spins--;
        }
        USART1_DR = data[k];
    }
}

/* Timers on APB1 run at twice its clock where it is divided (7.2). On QEMU's netduinoplus2, where
 * RCC reads 0, they count nanoseconds. */
void mbn_port_clock_init(void)
{
    uint32_t timer_hz = core_hz == CORE_HZ ? CORE_HZ / 2u : HSI_HZ;
    RCC_APB1ENR |= APB1ENR_TIM5;
    if ((RCC_APB1ENR & APB1ENR_TIM5) == 0u) {
        timer_hz = EMULATED_TIMER_HZ;
    }
    TIM5_PSC = timer_hz / 1000000u - 1u;
    TIM5_EGR = TIM_EGR_UG;
    TIM5_CR1 = TIM_CR1_CEN;
}

uint32_t mbn_port_microseconds(void)
{
    return TIM5_CNT;
}
