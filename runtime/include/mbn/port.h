/* What a board offers an app: a serial line, a clock, a stack with a known depth, a watchdog, and
 * the reason why it started.
 *
 * One app calls these functions, from one thread and not from interrupts. None waits without a
 * limit, except mbn_port_read on the host (it sleeps). A board implements everything but
 * mbn_app_fault, which the app implements.
 */
#ifndef MBN_PORT_H
#define MBN_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Clocks, serial line, cycle counter; the first call of main. */
void mbn_port_init(void);

/* The core's clock in Hz. After a fallback it may be less than board.toml says; 0 if unknown. */
uint32_t mbn_port_clock_hz(void);

/* Reads the bytes that have come, at most `capacity`; 0: none yet. Returns at once on a board.
 * On the host it sleeps until a byte comes, and ends the process when the other side hangs up. */
size_t mbn_port_read(uint8_t *data, size_t capacity);

/* Sends all bytes. A byte is dropped if the line stays blocked. */
void mbn_port_write(const uint8_t *data, size_t size_bytes);

/* Whether the cycle counter was seen to move. If not, cycles are unknown, never 0. */
bool mbn_port_has_cycles(void);

/* The counter, modulo 2^32; meaningless without mbn_port_has_cycles. */
uint32_t mbn_port_cycles(void);

/* Starts the clock that mbn_port_microseconds reads. */
void mbn_port_clock_init(void);

/* Microseconds since mbn_port_clock_init, modulo 2^32: it wraps at 71.6 minutes. */
uint32_t mbn_port_microseconds(void);

/* How deep the stack has been since reset. */
typedef struct mbn_stack_use {
    uint32_t reserved_bytes;
    uint32_t used_bytes; /* the deepest word whose paint is gone */
    bool guard_ok;       /* the lowest words still hold their paint */
} mbn_stack_use;

/* False if the stack can't be measured (the host). */
bool mbn_port_stack(mbn_stack_use *use);

/* Restarts the board, as after power-on. The next start reports MBN_START_ASKED, or the fault if
 * there was one. */
_Noreturn void mbn_port_reset(void);

/* Starts a watchdog that restarts the board unless it is fed within the given time. A board
 * without a watchdog does nothing: there a hang lasts until somebody resets the board. */
void mbn_port_watchdog_start(uint32_t milliseconds);
void mbn_port_watchdog_feed(void);

/* Ends an emulated or native run through semihosting or exit(). A real board without a debugger
 * stops here. status 0 is success. */
_Noreturn void mbn_port_exit(int status);

/* What the core says when it faults (ARMv7-M B1.5.6 and B3.2.15; ARMv6-M has no status words). */
#define MBN_FAULT_WORDS 15u
typedef struct mbn_fault {
    uint32_t exception; /* 3 hard, 4 memory management, 5 bus, 6 usage, others: unexpected */
    uint32_t r0, r1, r2, r3, r12, lr, pc, xpsr; /* stacked; all 0 if the stack was broken */
    uint32_t sp;
    uint32_t exc_return;
    uint32_t cfsr, hfsr, mmfar, bfar;
} mbn_fault;

/* Why the board started. */
typedef enum mbn_start_reason {
    MBN_START_UNKNOWN = 0,  /* the board has no memory that survives a reset (the host) */
    MBN_START_POWER = 1,    /* nothing survived in RAM */
    MBN_START_ASKED = 2,    /* mbn_port_reset */
    MBN_START_FAULT = 3,    /* the words of mbn_fault tell */
    MBN_START_WATCHDOG = 4, /* it ran out; if it warned first, the words tell where the core was */
    MBN_START_OTHER = 5     /* RAM survived and nobody said why: reset pin, debugger, supply */
} mbn_start_reason;

/* What survived the reset, as the last run left it. It stays the same during this run. */
typedef struct mbn_start_info {
    uint32_t reason; /* mbn_start_reason */
    mbn_fault fault; /* all 0 but after a fault or the watchdog's warning */
} mbn_start_info;

const mbn_start_info *mbn_port_start(void);

/* Implemented by the app. Reports the fault, which is already stored for the next start, and
 * ends in mbn_port_reset. Runs on a stack of its own of 512 bytes. */
_Noreturn void mbn_app_fault(const mbn_fault *fault);

#endif
