/* Renesas RA8 (RA8M1): the rated clock from a crystal and the PLL, flash and core caches, SCI9 as
 * UART, 8N1, polled; the watchdog.
 *
 * board.toml sets MBN_PLL_MUL (of the crystal over 4), MBN_CORE_HZ, MBN_TX_PORT, MBN_TX_PIN,
 * MBN_RX_PORT, MBN_RX_PIN, MBN_BAUD. This file implements port.h's serial line and clock. Every
 * wait has a limit. Without the crystal or the PLL the core stays at 8 MHz, where the line can't
 * reach its rate. Option-setting memory is left as it is: what a part ships with starts no watchdog
 * and this code. Sections, by title: RA8M1 Group User's Manual (R01UH0994). Untested on hardware.
 */
#include "../family_cortex_m/caches.h"
#include "../family_cortex_m/cortex_m.h"
#include "mbn/port.h"

#define REGISTER8(address) (*(volatile uint8_t *)(address))
#define REGISTER16(address) (*(volatile uint16_t *)(address))
#define REGISTER32(address) (*(volatile uint32_t *)(address))

/* "Clock Generation Circuit", "Register Descriptions" */
#define SCKDIVCR REGISTER32(0x4001E020u)
#define SCKDIVCR2 REGISTER8(0x4001E024u)
#define SCKSCR REGISTER8(0x4001E026u)
#define PLLCCR REGISTER16(0x4001E028u)
#define PLLCR REGISTER8(0x4001E02Au)
#define MOSCCR REGISTER8(0x4001E032u)
#define OSCSF REGISTER8(0x4001E03Cu)
#define PLLCCR2 REGISTER16(0x4001E04Cu)
#define SCICKDIVCR REGISTER8(0x4001E054u)
#define SCICKCR REGISTER8(0x4001E055u)
#define MOMCR REGISTER8(0x4001EA50u)
#define OSCSF_MOSCSF (1u << 3)
#define OSCSF_PLLSF (1u << 5)
#define SOURCE_PLL 5u
#define MOMCR_8_TO_24_MHZ 0x16u /* drive, and a reserved bit that must be 1 */
/* input over 2, crystal, whole multiplier */
#define PLLCCR_VALUE (uint16_t)(1u | ((MBN_PLL_MUL - 1u) << 8))
#define PLLCCR2_VALUE 0x131u /* outputs: P over 2, Q over 4, R over 2 */
/* CPU over 1; FCLK 8, ICLK 2, PCLKE 2, BCLK 4, PCLKA 4, PCLKB 8, PCLKC 8, PCLKD 4 */
#define SCKDIVCR_VALUE 0x31122332u
#define CPU_OVER_1 0u
#define CPU_OVER_2 1u
#define SCI_OVER_4 2u
#define SCICKCR_REQUEST (1u << 6)
#define SCICKCR_READY (1u << 7)
/* "Register Write Protection": PRCR for secure registers; clocks and modes */
#define PRCR REGISTER16(0x4001E3FAu)
#define PRCR_OPEN 0xA503u
#define PRCR_CLOSED 0xA500u
/* "Flash Memory": cache, and wait cycles of ICLK above 192 and up to 240 MHz */
#define FCACHEE REGISTER16(0x4001C100u)
#define FCACHEIV REGISTER16(0x4001C104u)
#define FLWT REGISTER8(0x4001C11Cu)
#define FLWT_4 4u
/* "Low Power Modes": a module's clock */
#define MSTPCRB REGISTER32(0x40203004u)
#define MSTPCRB_SCI9 (1u << 22)
/* "I/O Ports": a pin's function; their write protection */
#define PFS(port, pin) REGISTER32(0x40400800u + 0x40u * (port) + 4u * (pin))
#define PWPR_S REGISTER8(0x40400D14u)
#define PWPR_PFSWE (1u << 6)
#define PFS_PULL_UP (1u << 4)
#define PFS_DRIVE_MEDIUM (1u << 10)
#define PFS_PERIPHERAL (1u << 16)
#define PFS_SCI_ODD (5u << 24) /* SCI1, 3, 5, 7 and 9 */
/* "Serial Communications Interface" */
#define SCI_RDR REGISTER32(0x40358900u)
#define SCI_TDR REGISTER8(0x40358904u) /* its data byte */
#define SCI_CCR0 REGISTER32(0x40358908u)
#define SCI_CCR1 REGISTER32(0x4035890Cu)
#define SCI_CCR2 REGISTER32(0x40358910u)
#define SCI_CCR3 REGISTER32(0x40358914u)
#define SCI_CCR4 REGISTER32(0x40358918u)
#define SCI_CSR REGISTER32(0x40358948u)
#define SCI_CFCLR REGISTER32(0x40358968u)
#define CCR0_IDSEL_TE_RE 0x411u
#define CCR1_IDLE_HIGH 0x30u /* TXD is high while the transmitter is off */
#define CCR2_BGDM (1u << 4)
#define CCR2_BRME (1u << 16)
#define CCR3_8_BITS_LSB_FIRST 0x1200u
#define CSR_TDRE (1u << 29)
#define CSR_RDRF (1u << 31)
#define CFCLR_ERRORS ((1u << 24) | (1u << 27) | (1u << 28)) /* overrun, parity, framing */
#define CFCLR_ALL 0xBD070010u
/* "Watchdog Timer": counts PCLKB, divided; the first refresh starts it, and its settings are
 * written once. It is not the independent one, whose settings are in option-setting memory. */
#define WDTRR REGISTER8(0x40202600u)
#define WDTCR REGISTER16(0x40202602u)
#define WDTRCR REGISTER8(0x40202606u)
#define WDTCR_ANY_TIME_OVER_8192 0x3380u /* the window is the whole period; the divider */
#define WDTRCR_RESET (1u << 7)
#define WDT_PCLKB_CYCLES 8192u
#define PCLKB_OVER 8u /* as SCKDIVCR_VALUE says */
/* "Resets": cleared by 0 after 1 was read; PRCR for reset control */
#define RSTSR1 REGISTER32(0x4001E0C0u)
#define RSTSR1_WDTRF (1u << 1)
#define PRCR_OPEN_RESETS 0xA520u
#define MS_PER_S 1000u

#define MOCO_HZ 8000000u
#define SCI_HZ (MBN_CORE_HZ / 4u)
#define MODULATION 256u
#define READY_SPINS 200000u /* 100 ms and more at 8 MHz */
#define WRITE_SPINS 1000000u
#define SETTLE_SPINS 60000u /* 150 us and more at 240 MHz ("Notes on changing the clock") */
#define CYCLES_PER_US (MBN_CORE_HZ / 1000000u)

static uint32_t core_hz = MOCO_HZ;

static bool wait_for(volatile uint8_t *address, uint32_t mask, uint32_t wanted)
{
    for (uint32_t spins = READY_SPINS; spins != 0u; spins--) {
        if ((*address & mask) == wanted) {
            return true;
        }
    }
    return false;
}

static void settle(void)
{
    for (volatile uint32_t spins = SETTLE_SPINS; spins != 0u; spins--) {
    }
}

/* Dividers before the source, since they are all 1 after reset; the CPU at a half until all is
 * settled. */
static bool clock_start(void)
{
    MOMCR = MOMCR_8_TO_24_MHZ;
    MOSCCR = 0;
    if (!wait_for(&OSCSF, OSCSF_MOSCSF, OSCSF_MOSCSF)) {
        return false;
    }
    PLLCCR = PLLCCR_VALUE;
    PLLCCR2 = PLLCCR2_VALUE;
    PLLCR = 0;
    if (!wait_for(&OSCSF, OSCSF_PLLSF, OSCSF_PLLSF)) {
        return false;
    }
    FLWT = FLWT_4;
    SCKDIVCR = SCKDIVCR_VALUE;
    SCKDIVCR2 = CPU_OVER_2;
    SCKSCR = SOURCE_PLL;
    settle();
    SCKDIVCR2 = CPU_OVER_1;
    settle();
    return true;
}

/* "SCI Clock Control Register": stopped by a request while it changes. */
static void serial_clock_start(void)
{
    SCICKCR = (uint8_t)(SCICKCR | SCICKCR_REQUEST);
    (void)wait_for(&SCICKCR, SCICKCR_READY, SCICKCR_READY);
    SCICKDIVCR = SCI_OVER_4;
    SCICKCR = SCICKCR_REQUEST | SOURCE_PLL;
    SCICKCR = SOURCE_PLL;
    (void)wait_for(&SCICKCR, SCICKCR_READY, 0u);
}

static void flash_cache_start(void)
{
    FCACHEE = 0;
    FCACHEIV = 1;
    for (uint32_t spins = READY_SPINS; FCACHEIV != 0u && spins != 0u; spins--) {
    }
    FCACHEE = 1;
}

/* The peripheral's bit last: "Notes on the PmnPFS Register Setting". */
static void pin_start(uint32_t port, uint32_t pin, uint32_t options)
{
    PFS(port, pin) = options;
    PFS(port, pin) = options | PFS_SCI_ODD;
    PFS(port, pin) = options | PFS_SCI_ODD | PFS_PERIPHERAL;
}

/* "Bit Rate Register": 16 clocks a bit with BGDM; what that is too fast, MDDR of 256 takes away. */
static void serial_start(void)
{
    const uint32_t divider = SCI_HZ / (16u * MBN_BAUD);
    const uint32_t duty =
        (uint32_t)((MODULATION * 16ull * divider * MBN_BAUD + SCI_HZ / 2u) / SCI_HZ);
    MSTPCRB &= ~MSTPCRB_SCI9;
    (void)MSTPCRB;
    SCI_CCR0 = CCR0_IDSEL_TE_RE & ~0x11u;
    SCI_CCR3 = CCR3_8_BITS_LSB_FIRST;
    SCI_CCR2 =
        CCR2_BGDM | ((divider - 1u) << 8) | (duty < MODULATION ? CCR2_BRME | (duty << 24) : 0u);
    SCI_CCR1 = CCR1_IDLE_HIGH;
    SCI_CCR4 = 0;
    SCI_CFCLR = CFCLR_ALL;
    PWPR_S = 0;
    PWPR_S = PWPR_PFSWE;
    pin_start(MBN_TX_PORT, MBN_TX_PIN, PFS_DRIVE_MEDIUM);
    pin_start(MBN_RX_PORT, MBN_RX_PIN, PFS_PULL_UP);
    SCI_CCR0 = CCR0_IDSEL_TE_RE;
}

void mbn_port_init(void)
{
    mbn_cortex_m_caches_on();
    PRCR = PRCR_OPEN;
    if (clock_start()) {
        core_hz = MBN_CORE_HZ;
        serial_clock_start();
    }
    serial_start();
    PRCR = PRCR_CLOSED;
    flash_cache_start();
}

uint32_t mbn_port_clock_hz(void)
{
    return core_hz;
}

/* No nap: this core may not go to sleep above 240 MHz ("Notes on changing the clock"). */
size_t mbn_port_read(uint8_t *data, size_t capacity)
{
    size_t size = 0;
    while (size < capacity && (SCI_CSR & CSR_RDRF) != 0u) {
        data[size++] = (uint8_t)SCI_RDR; /* clears the flag */
    }
    SCI_CFCLR = CFCLR_ERRORS; /* a loss is told by the frame's CRC */
    return size;
}

void mbn_port_write(const uint8_t *data, size_t size_bytes)
{
    for (size_t k = 0; k < size_bytes; k++) {
        uint32_t spins = WRITE_SPINS;
        while ((SCI_CSR & CSR_TDRE) == 0u && spins != 0u) {
            spins--;
        }
        SCI_TDR = data[k];
    }
}

/* Cycles of the core, added up: right while it is asked at least every 8.9 s, as apps do. */
static uint32_t last_cycles, spare_cycles, microseconds;

void mbn_port_clock_init(void)
{
    last_cycles = mbn_port_cycles();
}

uint32_t mbn_port_microseconds(void)
{
    const uint32_t now = mbn_port_cycles();
    const uint64_t passed = (uint64_t)spare_cycles + (now - last_cycles);
    last_cycles = now;
    microseconds += (uint32_t)(passed / CYCLES_PER_US);
    spare_cycles = (uint32_t)(passed % CYCLES_PER_US);
    return microseconds;
}

/* The shortest of its four periods that is long enough, else the longest: 2.2 s at 60 MHz. */
void mbn_port_watchdog_start(uint32_t milliseconds)
{
    static const uint16_t periods[] = {1024, 4096, 8192, 16384};
    const uint32_t pclkb_hz = core_hz == MBN_CORE_HZ ? MBN_CORE_HZ / PCLKB_OVER : MOCO_HZ;
    const uint64_t wanted = (uint64_t)milliseconds * (pclkb_hz / WDT_PCLKB_CYCLES) / MS_PER_S;
    uint32_t choice = 0;
    while (choice < 3u && periods[choice] < wanted) {
        choice++;
    }
    WDTCR = (uint16_t)(WDTCR_ANY_TIME_OVER_8192 | choice);
    WDTRCR = WDTRCR_RESET;
    mbn_port_watchdog_feed();
}

void mbn_port_watchdog_feed(void)
{
    WDTRR = 0x00;
    WDTRR = 0xFF;
}

bool mbn_cortex_m_reset_by_watchdog(void)
{
    const uint32_t reasons = RSTSR1;
    PRCR = PRCR_OPEN_RESETS;
    RSTSR1 = reasons & ~RSTSR1_WDTRF;
    PRCR = PRCR_CLOSED;
    return (reasons & RSTSR1_WDTRF) != 0u;
}
