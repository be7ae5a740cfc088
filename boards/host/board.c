/* The native host as a board: the serial line is standard input and output.
 *
 * The harness passes the master side of a pty. When the other side hangs up the process ends, so no
 * orphan is left.
 */
#include "mbn/port.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static char **arguments;

/* glibc hands the arguments to constructors too; they are what a reset starts again with. */
__attribute__((constructor)) static void keep_arguments(int argc, char **argv)
{
    (void)argc;
    arguments = argv;
}

void mbn_port_init(void)
{
}

uint32_t mbn_port_clock_hz(void)
{
    return 0;
}

size_t mbn_port_read(uint8_t *data, size_t capacity)
{
    for (;;) {
        ssize_t size = read(STDIN_FILENO, data, capacity);
        if (size > 0) {
            return (size_t)size;
        }
        if (size < 0 && errno == EINTR) {
            continue;
        }
        exit(0); /* closed, or EIO of a pty without the other side */
    }
}

void mbn_port_write(const uint8_t *data, size_t size_bytes)
{
    while (size_bytes > 0u) {
        ssize_t size = write(STDOUT_FILENO, data, size_bytes);
        if (size < 0 && errno == EINTR) {
            continue;
        }
        if (size <= 0) {
            exit(0);
        }
        data += size;
        size_bytes -= (size_t)size;
    }
}

static uint32_t now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint32_t)now.tv_sec * 1000000u + (uint32_t)(now.tv_nsec / 1000);
}

static uint32_t start_us;

void mbn_port_clock_init(void)
{
    start_us = now_us();
}

uint32_t mbn_port_microseconds(void)
{
    return now_us() - start_us;
}

bool mbn_port_has_cycles(void)
{
    return false;
}

uint32_t mbn_port_cycles(void)
{
    return 0;
}

bool mbn_port_stack(mbn_stack_use *use)
{
    (void)use;
    return false;
}

/* The host's memory does not survive a restart, and its user notices a hang. */
const mbn_start_info *mbn_port_start(void)
{
    static const mbn_start_info unknown = {.reason = MBN_START_UNKNOWN};
    return &unknown;
}

void mbn_port_watchdog_start(uint32_t milliseconds)
{
    (void)milliseconds;
}

void mbn_port_watchdog_feed(void)
{
}

_Noreturn void mbn_port_reset(void)
{
    execv("/proc/self/exe", arguments);
    exit(1);
}

_Noreturn void mbn_port_exit(int status)
{
    exit(status);
}
