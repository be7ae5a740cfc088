/* Answers mbn-check over Serial, so that a board with nothing but USB is checked bit for bit too:
 *
 *     mbn-check --board BOARD --port /dev/ttyACM0 --sketch
 *
 * in the folder where mbn-compile compiled the same network for that board. The other files of this
 * sketch are the firmware's, unchanged; this one gives them a line, and cycles where the core counts
 * them. There is no watchdog, and no checksum of the constants: the linker is not ours.
 */
#include <Arduino.h>

#define _Noreturn __attribute__((noreturn))
extern "C" {
#include "port.h"
int mbn_check_main(void);
}

#if defined(__ARM_ARCH_7M__) || defined(__ARM_ARCH_7EM__) || defined(__ARM_ARCH_8M_MAIN__)
/* Debug and trace, ARMv7-M Architecture Reference Manual C1.6.5 and C1.8.7; system control B3.2.6 */
#define DEMCR (*(volatile uint32_t *)0xE000EDFCu)
#define CYCLES_CONTROL (*(volatile uint32_t *)0xE0001000u)
#define CYCLES (*(volatile uint32_t *)0xE0001004u)
#define RESET_CONTROL (*(volatile uint32_t *)0xE000ED0Cu)
#define COUNTS 1
#endif

static bool cycles_seen;

void mbn_port_init(void)
{
    Serial.begin(115200);
#if defined(COUNTS)
    DEMCR = DEMCR | 1u << 24;
    CYCLES_CONTROL = CYCLES_CONTROL | 1u;
    const uint32_t first = CYCLES;
    delay(1);
    cycles_seen = CYCLES != first;
#endif
}

uint32_t mbn_port_clock_hz(void)
{
#if defined(F_CPU)
    return F_CPU;
#else
    return 0;
#endif
}

size_t mbn_port_read(uint8_t *data, size_t capacity)
{
    size_t size = 0;
    while (size < capacity && Serial.available() > 0) {
        data[size++] = (uint8_t)Serial.read();
    }
    if (size == 0) {
        delay(1); /* lets the other threads of the core run */
    }
    return size;
}

void mbn_port_write(const uint8_t *data, size_t size_bytes)
{
    Serial.write(data, size_bytes);
}

bool mbn_port_has_cycles(void)
{
    return cycles_seen;
}

uint32_t mbn_port_cycles(void)
{
#if defined(COUNTS)
    return CYCLES;
#else
    return 0;
#endif
}

bool mbn_port_stack(mbn_stack_use *use)
{
    (void)use;
    return false; /* not ours */
}

const mbn_start_info *mbn_port_start(void)
{
    static const mbn_start_info unknown = {};
    return &unknown;
}

_Noreturn void mbn_port_reset(void)
{
#if defined(COUNTS)
    delay(100); /* for the answer to leave */
    RESET_CONTROL = 0x05FA0004u;
#endif
    for (;;) {
        delay(1);
    }
}

void mbn_port_watchdog_start(uint32_t milliseconds)
{
    (void)milliseconds;
}

void mbn_port_watchdog_feed(void)
{
}

void setup()
{
}

void loop()
{
    (void)mbn_check_main(); /* never returns */
}
