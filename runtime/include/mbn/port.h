/* What a board offers an app: a serial line, a clock, a stack that knows its depth, a watchdog, a
 * memory of why it started.
 *
 * What enters: calls from one app, from one thread, no interrupts. What leaves: bytes on the line.
 * Always holds: nothing here waits without a bound, except mbn_port_read on the host (it sleeps).
 * A board implements everything but mbn_app_fault, which the app implements.
 */
#ifndef MBN_PORT_H
#define MBN_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Clocks, serial line, cycle counter; the first call of main. */
void mbn_port_init(void);

/* What the core runs at now, in Hz: after a fallback it may be less than board.toml says; 0 where
 * it means nothing. */
uint32_t mbn_port_clock_hz(void);

/* Takes what has come, at most capacity bytes; 0: nothing yet. Does not wait on a board; on the
 * host it sleeps until a byte comes and ends the process when the other side hangs up. */
size_t mbn_port_read(uint8_t *data, size_t capacity);

/* Sends all bytes; gives a byte up when the line stays stuck. */
void mbn_port_write(const uint8_t *data, size_t size_bytes);

/* Whether a cycle counter was seen to move. Where it was not, cycles are unknown, never 0. */
bool mbn_port_has_cycles(void);

/* The counter, modulo 2^32; meaningless without mbn_port_has_cycles. */
uint32_t mbn_port_cycles(void);

/* Starts the clock below, where an app wants one. */
void mbn_port_clock_init(void);

/* Microseconds since mbn_port_clock_init, modulo 2^32: it wraps at 71.6 minutes. */
uint32_t mbn_port_microseconds(void);

/* How deep the stack has been since reset. */
typedef struct mbn_stack_use {
    uint32_t reserved_bytes;
    uint32_t used_bytes; /* the deepest word whose paint is gone */
    bool guard_ok;       /* the lowest words still hold their paint */
} mbn_stack_use;

/* False where the stack is not ours to measure (the host). */
bool mbn_port_stack(mbn_stack_use *use);

/* Starts the board anew, as after power-on; the next start finds MBN_START_ASKED, or after a fault
 * what that was. */
_Noreturn void mbn_port_reset(void);

/* Starts a watchdog that starts the board anew unless it is fed every so many milliseconds. Does
 * nothing on a board without one: there a hang lasts until somebody resets the board. */
void mbn_port_watchdog_start(uint32_t milliseconds);
void mbn_port_watchdog_feed(void);

/* Ends an emulated or native run through semihosting or exit(); a real board without debugger
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

/* What survived: as the last run left it, also while this run goes on. */
typedef struct mbn_start_info {
    uint32_t reason; /* mbn_start_reason */
    mbn_fault fault; /* all 0 but after a fault or the watchdog's warning */
} mbn_start_info;

const mbn_start_info *mbn_port_start(void);

/* The app's: reports the fault, which is kept for the next start already, and ends in
 * mbn_port_reset. Runs on a stack of its own of 512 bytes. */
_Noreturn void mbn_app_fault(const mbn_fault *fault);

#endif
