/* STM32H743: the internal oscillator of 64 MHz that it starts with, USART3 on PD8 (TX) and PD9 (RX).
 *
 * What enters: MBN_BAUD from board.toml. What leaves: port.h's serial line and clock. Always holds:
 * every wait has a bound; no clock is changed, so that nothing can fail to lock. Sections: RM0433
 * rev 8. Untested on hardware.
 */
#include "../family_cortex_m/cortex_m.h"
#include "mbn/port.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))

#define RCC_AHB4ENR REGISTER(0x580244E0u)  /* 8.7.43 */
#define RCC_APB1LENR REGISTER(0x580244E8u) /* 8.7.45 */
#define GPIOD_MODER REGISTER(0x58020C00u)  /* 11.4.1 */
#define GPIOD_OSPEEDR REGISTER(0x58020C08u)
#define GPIOD_PUPDR REGISTER(0x58020C0Cu)
#define GPIOD_AFRH REGISTER(0x58020C24u)
#define USART3_CR1 REGISTER(0x40004800u) /* 48.7.1 */
#define USART3_BRR REGISTER(0x4000480Cu)
#define USART3_ISR REGISTER(0x4000481Cu)
#define USART3_ICR REGISTER(0x40004820u)
#define USART3_RDR REGISTER(0x40004824u)
#define USART3_TDR REGISTER(0x40004828u)
#define TIM5_CR1 REGISTER(0x40000C00u) /* 39.4: 32 bits wide */
#define TIM5_EGR REGISTER(0x40000C14u)
#define TIM5_CNT REGISTER(0x40000C24u)
#define TIM5_PSC REGISTER(0x40000C28u)

#define AHB4ENR_GPIOD (1u << 3)
#define APB1LENR_TIM5 (1u << 3)
#define APB1LENR_USART3 (1u << 18)
#define CR1_UE 1u
#define CR1_RE (1u << 2)
#define CR1_TE (1u << 3)
#define ISR_RXNE (1u << 5)
#define ISR_TXE (1u << 7)
#define ICR_ERRORS 0xFu /* parity, framing, noise, overrun */
#define TIM_CR1_CEN 1u
#define TIM_EGR_UG 1u /* takes the prescaler over */

#define HSI_HZ 64000000u /* 8.5.2; the buses are undivided after reset */
#define HZ_PER_MHZ 1000000u
#define NAPS_PER_BYTE 2u
#define BITS_PER_BYTE 10u
#define WRITE_SPINS 1000000u

void mbn_port_init(void)
{
    RCC_AHB4ENR |= AHB4ENR_GPIOD;
    RCC_APB1LENR |= APB1LENR_USART3;
    (void)RCC_APB1LENR; /* the clock is on after a read (8.5.12) */
    /* PD8, PD9: alternate function 7 (datasheet table 12), fast, RX pulled up */
    GPIOD_AFRH = (GPIOD_AFRH & ~0x000000FFu) | 0x00000077u;
    GPIOD_OSPEEDR |= 0x000F0000u;
    GPIOD_PUPDR = (GPIOD_PUPDR & ~0x000F0000u) | 0x00040000u;
    GPIOD_MODER = (GPIOD_MODER & ~0x000F0000u) | 0x000A0000u;
    USART3_BRR = (HSI_HZ + MBN_BAUD / 2u) / MBN_BAUD; /* 48.5.4, oversampling by 16 */
    USART3_CR1 = CR1_UE | CR1_TE | CR1_RE;
}

uint32_t mbn_port_clock_hz(void)
{
    return HSI_HZ;
}

size_t mbn_port_read(uint8_t *data, size_t capacity)
{
    size_t size = 0;
    mbn_cortex_m_nap(HSI_HZ / (MBN_BAUD / BITS_PER_BYTE) / NAPS_PER_BYTE);
    while (size < capacity && (USART3_ISR & ISR_RXNE) != 0u) {
        data[size++] = (uint8_t)USART3_RDR;
    }
    USART3_ICR = ICR_ERRORS; /* a loss is told by the frame's CRC */
    return size;
}

void mbn_port_write(const uint8_t *data, size_t size_bytes)
{
    for (size_t k = 0; k < size_bytes; k++) {
        uint32_t spins = WRITE_SPINS;
        while ((USART3_ISR & ISR_TXE) == 0u && spins != 0u) {
            spins--;
        }
        USART3_TDR = data[k];
    }
}

void mbn_port_clock_init(void)
{
    RCC_APB1LENR |= APB1LENR_TIM5;
    (void)RCC_APB1LENR;
    TIM5_PSC = HSI_HZ / HZ_PER_MHZ - 1u;
    TIM5_EGR = TIM_EGR_UG;
    TIM5_CR1 = TIM_CR1_CEN;
}

uint32_t mbn_port_microseconds(void)
{
    return TIM5_CNT;
}
