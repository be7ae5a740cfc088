/* Microchip SAM D51: the rated clock from the internal oscillator of 48 MHz and DPLL0, cache, a
 * SERCOM as UART, 8N1, polled; TC0 and TC1 for microseconds; the watchdog.
 *
 * board.toml sets MBN_DPLL_TIMES (of 1 MHz), MBN_CORE_HZ, MBN_BAUD; the line's MBN_SERCOM_BASE,
 * MBN_SERCOM_CHANNEL (of GCLK), MBN_SERCOM_MASK (its register in MCLK) and MBN_SERCOM_BIT;
 * MBN_TX_PORT and MBN_RX_PORT (0 is A), MBN_TX_PIN, MBN_RX_PIN, MBN_PIN_FUNCTION, MBN_TX_PADS and
 * MBN_RX_PAD. Every wait has a limit. Without the DPLL the core runs at 48 MHz. The oscillator runs
 * in open loop, as calibrated in the factory, which the line's rate follows. Sections, by title:
 * SAM D5x/E5x Family Data Sheet (DS60001507). Untested on hardware.
 */
#include "../family_cortex_m/cortex_m.h"
#include "mbn/port.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define REGISTER16(address) (*(volatile uint16_t *)(address))
#define REGISTER8(address) (*(volatile uint8_t *)(address))

/* "GCLK - Generic Clock Controller", registers */
#define GCLK_SYNCBUSY REGISTER(0x40001C04u)
#define GCLK_GENCTRL(generator) REGISTER(0x40001C20u + 4u * (generator))
#define GCLK_PCHCTRL(channel) REGISTER(0x40001C80u + 4u * (channel))
#define SYNCBUSY_GENCTRL0 (1u << 2) /* those of the others above */
#define GENCTRL_SRC_DFLL 6u
#define GENCTRL_SRC_DPLL0 7u
#define GENCTRL_GENEN (1u << 8)
#define GENCTRL_IDC (1u << 9) /* improves the duty cycle */
#define GENCTRL_DIV(by) ((by) << 16)
#define PCHCTRL_GEN(generator) ((generator) << 0)
#define PCHCTRL_CHEN (1u << 6)
/* What the generators give: the core's clock, 1 MHz, and 48 MHz */
#define GENERATOR_CORE 0u
#define GENERATOR_1_MHZ 1u
#define GENERATOR_48_MHZ 2u
/* "PCHCTRLm Mapping" */
#define CHANNEL_DPLL0 1u
#define CHANNEL_TC0_TC1 9u
/* "MCLK - Main Clock", registers */
#define MCLK_APBAMASK REGISTER(0x40000814u)
#define APBAMASK_TC0 (1u << 14)
#define APBAMASK_TC1 (1u << 15)
/* "OSCCTRL - Oscillators Controller", registers */
#define OSCCTRL_DPLLCTRLA0 REGISTER8(0x40001030u)
#define OSCCTRL_DPLLRATIO0 REGISTER(0x40001034u)
#define OSCCTRL_DPLLCTRLB0 REGISTER(0x40001038u)
#define OSCCTRL_DPLLSYNCBUSY0 REGISTER(0x4000103Cu)
#define OSCCTRL_DPLLSTATUS0 REGISTER(0x40001040u)
#define DPLLCTRLA_ENABLE (1u << 1)
#define DPLLRATIO_LDR(times) ((times)-1u)
#define DPLLCTRLB_LBYPASS (1u << 11)
#define DPLLSYNCBUSY_ENABLE (1u << 1)
#define DPLLSYNCBUSY_DPLLRATIO (1u << 2)
#define DPLLSTATUS_LOCK (1u << 0)
#define DPLLSTATUS_CLKRDY (1u << 1)
/* "NVMCTRL - Non-Volatile Memory Controller", "CMCC - Cortex M Cache Controller", registers */
#define NVMCTRL_CTRLA REGISTER16(0x41004000u)
#define CTRLA_AUTOWS (1u << 2)
#define CMCC_CTRL REGISTER(0x41006008u)
#define CMCC_CTRL_CEN (1u << 0)
/* "PORT - I/O Pin Controller", registers; the groups lie 0x80 apart */
#define PORT_OUTSET(port) REGISTER(0x41008018u + 0x80u * (port))
#define PORT_PMUX(port, pin) REGISTER8(0x41008030u + 0x80u * (port) + (pin) / 2u)
#define PORT_PINCFG(port, pin) REGISTER8(0x41008040u + 0x80u * (port) + (pin))
#define PINCFG_PMUXEN (1u << 0)
#define PINCFG_INEN (1u << 1)
#define PINCFG_PULLEN (1u << 2)
/* "SERCOM USART", registers */
#define USART_CTRLA REGISTER(MBN_SERCOM_BASE + 0x00u)
#define USART_CTRLB REGISTER(MBN_SERCOM_BASE + 0x04u)
#define USART_BAUD REGISTER16(MBN_SERCOM_BASE + 0x0Cu)
#define USART_INTFLAG REGISTER8(MBN_SERCOM_BASE + 0x18u)
#define USART_STATUS REGISTER16(MBN_SERCOM_BASE + 0x1Au)
#define USART_SYNCBUSY REGISTER(MBN_SERCOM_BASE + 0x1Cu)
#define USART_DATA REGISTER(MBN_SERCOM_BASE + 0x28u)
#define USART_CTRLA_SWRST (1u << 0)
#define USART_CTRLA_ENABLE (1u << 1)
#define USART_CTRLA_MODE_INTERNAL (1u << 2)
#define USART_CTRLA_TXPO(pads) ((pads) << 16)
#define USART_CTRLA_RXPO(pad) ((pad) << 20)
#define USART_CTRLA_DORD (1u << 30) /* the lowest bit first */
#define USART_CTRLB_TXEN (1u << 16)
#define USART_CTRLB_RXEN (1u << 17)
#define USART_INTFLAG_DRE (1u << 0)
#define USART_INTFLAG_RXC (1u << 2)
#define USART_STATUS_ERRORS 7u /* parity, framing, overflow: written back, cleared */
#define USART_SYNCBUSY_SWRST (1u << 0)
#define USART_SYNCBUSY_ENABLE (1u << 1)
#define USART_SYNCBUSY_CTRLB (1u << 2)
/* "TC - Timer/Counter", registers: TC0 and TC1 as one of 32 bits */
#define TC0_CTRLA REGISTER(0x40003800u)
#define TC0_CTRLBSET REGISTER8(0x40003805u)
#define TC0_SYNCBUSY REGISTER(0x40003810u)
#define TC0_COUNT REGISTER(0x40003814u)
#define TC_CTRLA_ENABLE (1u << 1)
#define TC_CTRLA_MODE_COUNT32 (2u << 2)
#define TC_CTRLBSET_CMD (7u << 5)
#define TC_CTRLBSET_CMD_READSYNC (4u << 5)
#define TC_SYNCBUSY_ENABLE (1u << 1)
/* "WDT - Watchdog Timer", registers: counts at 1,024 Hz */
#define WDT_CTRLA REGISTER8(0x40002000u)
#define WDT_CONFIG REGISTER8(0x40002001u)
#define WDT_SYNCBUSY REGISTER(0x40002008u)
#define WDT_CLEAR REGISTER8(0x4000200Cu)
#define WDT_CTRLA_ENABLE (1u << 1)
#define WDT_SYNCBUSY_ENABLE (1u << 1)
#define WDT_SYNCBUSY_CLEAR (1u << 4)
#define WDT_FEED 0xA5u
#define WDT_HZ 1024u
#define WDT_LEAST 8u /* periods: this, doubled PER times */
#define WDT_PER_MOST 11u
#define MS_PER_S 1000u
/* "RSTC - Reset Controller", registers */
#define RSTC_RCAUSE REGISTER8(0x40000C00u)
#define RCAUSE_WDT (1u << 5)

#define OSCILLATOR_HZ 48000000u
#define OSCILLATOR_MHZ 48u
#define READY_SPINS 200000u /* 10 ms and more at 48 MHz; the DPLL locks within 0.1 ms */
#define READ_SPINS 10000u
#define WRITE_SPINS 1000000u

static uint32_t core_hz = OSCILLATOR_HZ;

static bool wait_for(volatile uint32_t *address, uint32_t mask, uint32_t wanted)
{
    return mbn_cortex_m_wait(address, mask, wanted, READY_SPINS);
}

static void generator_start(uint32_t generator, uint32_t control)
{
    GCLK_GENCTRL(generator) = control | GENCTRL_GENEN;
    (void)wait_for(&GCLK_SYNCBUSY, SYNCBUSY_GENCTRL0 << generator, 0u);
}

/* "Digital Phase Locked Loop (DPLL)": from 1 MHz; the lock is bypassed, since revision A loses it
 * by mistake (cores/arduino/startup.c, github.com/adafruit/ArduinoCore-samd). */
static bool dpll_start(void)
{
    OSCCTRL_DPLLCTRLA0 = 0; /* a boot loader may have used it */
    (void)wait_for(&OSCCTRL_DPLLSYNCBUSY0, DPLLSYNCBUSY_ENABLE, 0u);
    GCLK_PCHCTRL(CHANNEL_DPLL0) = PCHCTRL_GEN(GENERATOR_1_MHZ) | PCHCTRL_CHEN;
    OSCCTRL_DPLLRATIO0 = DPLLRATIO_LDR(MBN_DPLL_TIMES);
    (void)wait_for(&OSCCTRL_DPLLSYNCBUSY0, DPLLSYNCBUSY_DPLLRATIO, 0u);
    OSCCTRL_DPLLCTRLB0 = DPLLCTRLB_LBYPASS;
    OSCCTRL_DPLLCTRLA0 = DPLLCTRLA_ENABLE;
    (void)wait_for(&OSCCTRL_DPLLSYNCBUSY0, DPLLSYNCBUSY_ENABLE, 0u);
    const uint32_t ready = DPLLSTATUS_LOCK | DPLLSTATUS_CLKRDY;
    return wait_for(&OSCCTRL_DPLLSTATUS0, ready, ready);
}

static void clocks_start(void)
{
    NVMCTRL_CTRLA |= CTRLA_AUTOWS; /* wait states as the clock needs them; so after a reset */
    generator_start(GENERATOR_CORE, GENCTRL_SRC_DFLL);
    generator_start(GENERATOR_1_MHZ, GENCTRL_SRC_DFLL | GENCTRL_DIV(OSCILLATOR_MHZ));
    generator_start(GENERATOR_48_MHZ, GENCTRL_SRC_DFLL);
    if (dpll_start()) {
        generator_start(GENERATOR_CORE, GENCTRL_SRC_DPLL0 | GENCTRL_IDC);
        core_hz = MBN_CORE_HZ;
    }
    CMCC_CTRL = CMCC_CTRL_CEN;
}

static void pin_start(uint32_t port, uint32_t pin, uint32_t settings)
{
    const uint32_t four = 4u * (pin % 2u);
    const uint32_t others = PORT_PMUX(port, pin) & ~(15u << four);
    PORT_OUTSET(port) = 1u << pin; /* idle is high; what a pull pulls to */
    PORT_PMUX(port, pin) = (uint8_t)(others | (MBN_PIN_FUNCTION << four));
    PORT_PINCFG(port, pin) = (uint8_t)(PINCFG_PMUXEN | settings);
}

/* "Baud Rate Equations": asynchronous, arithmetic, sixteen samples a bit */
static uint16_t baud(void)
{
    return (uint16_t)(65536u - (uint32_t)(65536ull * 16u * MBN_BAUD / OSCILLATOR_HZ));
}

void mbn_port_init(void)
{
    clocks_start();
    REGISTER(MBN_SERCOM_MASK) |= 1u << MBN_SERCOM_BIT;
    GCLK_PCHCTRL(MBN_SERCOM_CHANNEL) = PCHCTRL_GEN(GENERATOR_48_MHZ) | PCHCTRL_CHEN;
    USART_CTRLA = USART_CTRLA_SWRST;
    (void)wait_for(&USART_SYNCBUSY, USART_SYNCBUSY_SWRST, 0u);
    USART_CTRLA = USART_CTRLA_MODE_INTERNAL | USART_CTRLA_TXPO(MBN_TX_PADS) |
                  USART_CTRLA_RXPO(MBN_RX_PAD) | USART_CTRLA_DORD;
    USART_CTRLB = USART_CTRLB_TXEN | USART_CTRLB_RXEN;
    (void)wait_for(&USART_SYNCBUSY, USART_SYNCBUSY_CTRLB, 0u);
    USART_BAUD = baud();
    pin_start(MBN_TX_PORT, MBN_TX_PIN, 0u);
    pin_start(MBN_RX_PORT, MBN_RX_PIN, PINCFG_INEN | PINCFG_PULLEN);
    USART_CTRLA |= USART_CTRLA_ENABLE;
    (void)wait_for(&USART_SYNCBUSY, USART_SYNCBUSY_ENABLE, 0u);
}

uint32_t mbn_port_clock_hz(void)
{
    return core_hz;
}

/* No nap: it isn't known here whether SysTick counts while this core sleeps. */
size_t mbn_port_read(uint8_t *data, size_t capacity)
{
    size_t size = 0;
    while (size < capacity && (USART_INTFLAG & USART_INTFLAG_RXC) != 0u) {
        data[size++] = (uint8_t)USART_DATA;
    }
    if ((USART_STATUS & USART_STATUS_ERRORS) != 0u) {
        USART_STATUS = USART_STATUS_ERRORS; /* a loss is told by the frame's CRC */
    }
    return size;
}

void mbn_port_write(const uint8_t *data, size_t size_bytes)
{
    for (size_t k = 0; k < size_bytes; k++) {
        uint32_t spins = WRITE_SPINS;
        while ((USART_INTFLAG & USART_INTFLAG_DRE) == 0u && spins != 0u) {
            spins--;
        }
        if (spins != 0u) {
            USART_DATA = data[k];
        }
    }
}

void mbn_port_clock_init(void)
{
    MCLK_APBAMASK |= APBAMASK_TC0 | APBAMASK_TC1;
    GCLK_PCHCTRL(CHANNEL_TC0_TC1) = PCHCTRL_GEN(GENERATOR_1_MHZ) | PCHCTRL_CHEN;
    TC0_CTRLA = TC_CTRLA_MODE_COUNT32;
    TC0_CTRLA |= TC_CTRLA_ENABLE;
    (void)wait_for(&TC0_SYNCBUSY, TC_SYNCBUSY_ENABLE, 0u);
}

/* "COUNT": to be synchronized by a command before it is read; the command then reads as none */
uint32_t mbn_port_microseconds(void)
{
    TC0_CTRLBSET = TC_CTRLBSET_CMD_READSYNC;
    for (uint32_t spins = READ_SPINS; (TC0_CTRLBSET & TC_CTRLBSET_CMD) != 0u && spins != 0u;
         spins--) {
    }
    return TC0_COUNT;
}

/* The first period that isn't shorter; at most 16 s. */
void mbn_port_watchdog_start(uint32_t milliseconds)
{
    const uint32_t counts = (uint32_t)((uint64_t)milliseconds * WDT_HZ / MS_PER_S);
    uint32_t per = 0;
    while (per < WDT_PER_MOST && (WDT_LEAST << per) < counts) {
        per++;
    }
    WDT_CONFIG = (uint8_t)per;
    WDT_CTRLA = WDT_CTRLA_ENABLE;
    (void)wait_for(&WDT_SYNCBUSY, WDT_SYNCBUSY_ENABLE, 0u);
}

void mbn_port_watchdog_feed(void)
{
    if ((WDT_SYNCBUSY & WDT_SYNCBUSY_CLEAR) == 0u) { /* else the last feeding is on its way */
        WDT_CLEAR = WDT_FEED;
    }
}

bool mbn_cortex_m_reset_by_watchdog(void)
{
    return (RSTC_RCAUSE & RCAUSE_WDT) != 0u; /* until the next reset */
}
