/* Sums of up to three pixels by two channels on ARMv6-M (Cortex-M0+).
 *
 * The products of int8 values (pixel p of a tap at byte p, a number of bytes from tap to tap) and
 * weights [tap][channel] are added to six sums [pixel][channel]. The sums are held in r8 to r12 and
 * lr, which can only be added to; the eight low registers hold the rest. gcc's own code keeps the
 * sums on the stack, and with -Os doesn't use high registers at all: hence whole functions in asm.
 * Only the named bytes are read.
 */
#ifndef MBN_SCALAR_ARMV6M_H
#define MBN_SCALAR_ARMV6M_H

#include "scalar/kernels.h"

#if defined(__ARM_ARCH_6M__) && !defined(MBN_PORTABLE)
#define MBN_V6 1

/* r1: values; r2: weights; r3, r4: two weights; r0, r5: products; r6 = 0 and r7 = 1, because
 * LDRSB takes no constant offset. */
#define MBN_V6_WEIGHTS                                                                             \
    "ldrsb r3, [r2, r6]\n\t"                                                                       \
    "ldrsb r4, [r2, r7]\n\t"                                                                       \
    "adds r2, #2\n\t"
#define MBN_V6_PIXEL(AT, A, B)                                                                     \
    "ldrsb r5, [r1, " #AT "]\n\t"                                                                  \
    "mov r0, r5\n\t"                                                                               \
    "muls r0, r3, r0\n\t"                                                                          \
    "add " #A ", r0\n\t"                                                                           \
    "muls r5, r4, r5\n\t"                                                                          \
    "add " #B ", r5\n\t"
#define MBN_V6_STEP "ldr r0, [sp, #48]\n\tadds r1, r1, r0\n\t"
#define MBN_V6_TAP1 MBN_V6_WEIGHTS MBN_V6_PIXEL(r6, r8, r9)
#define MBN_V6_TAP2 MBN_V6_TAP1 MBN_V6_PIXEL(r7, r10, r11)
#define MBN_V6_TAP3 MBN_V6_TAP2 "adds r1, #2\n\t" MBN_V6_PIXEL(r6, r12, lr)

/* AAPCS: sum in r0, x in r1, w in r2, taps in r3, step (of three pixels less 2) at first [sp].
 * Then [sp + 16] is sum, [sp + 20] the end of the weights, [sp + 24] that of the last four taps. */
#define MBN_V6_FUNCTION(NAME, TAP)                                                                 \
    static __attribute__((naked, noinline, unused, no_instrument_function)) void NAME(             \
        __attribute__((unused)) int32_t *sum, __attribute__((unused)) const int8_t *x,             \
        __attribute__((unused)) const int8_t *w, __attribute__((unused)) int32_t taps,             \
        __attribute__((unused)) int32_t step)                                                      \
    {                                                                                              \
        __asm__(".syntax unified\n\t"                                                              \
                "push {r4, r5, r6, r7, lr}\n\t"                                                    \
                "lsrs r4, r3, #2\n\t"                                                              \
                "lsls r4, r4, #3\n\t"                                                              \
                "adds r4, r4, r2\n\t"                                                              \
                "lsls r3, r3, #1\n\t"                                                              \
                "adds r3, r3, r2\n\t"                                                              \
                "push {r0, r3, r4}\n\t"                                                            \
                "mov r4, r8\n\t"                                                                   \
                "mov r5, r9\n\t"                                                                   \
                "mov r6, r10\n\t"                                                                  \
                "mov r7, r11\n\t"                                                                  \
                "push {r4, r5, r6, r7}\n\t"                                                        \
                "ldmia r0!, {r3, r4, r5, r6, r7}\n\t"                                              \
                "mov r8, r3\n\t"                                                                   \
                "mov r9, r4\n\t"                                                                   \
                "mov r10, r5\n\t"                                                                  \
                "mov r11, r6\n\t"                                                                  \
                "mov r12, r7\n\t"                                                                  \
                "ldr r0, [r0]\n\t"                                                                 \
                "mov lr, r0\n\t"                                                                   \
                "movs r6, #0\n\t"                                                                  \
                "movs r7, #1\n\t"                                                                  \
                "b 2f\n"                                                                           \
                "1:\n\t" TAP TAP TAP TAP                                                           \
                "2:\n\t"                                                                           \
                "ldr r0, [sp, #24]\n\t"                                                            \
                "cmp r2, r0\n\t"                                                                   \
                "bne 1b\n\t"                                                                       \
                "b 4f\n"                                                                           \
                "3:\n\t" TAP                                                                       \
                "4:\n\t"                                                                           \
                "ldr r0, [sp, #20]\n\t"                                                            \
                "cmp r2, r0\n\t"                                                                   \
                "bne 3b\n\t"                                                                       \
                "ldr r0, [sp, #16]\n\t"                                                            \
                "mov r3, r8\n\t"                                                                   \
                "mov r4, r9\n\t"                                                                   \
                "mov r5, r10\n\t"                                                                  \
                "mov r6, r11\n\t"                                                                  \
                "mov r7, r12\n\t"                                                                  \
                "stmia r0!, {r3, r4, r5, r6, r7}\n\t"                                              \
                "mov r3, lr\n\t"                                                                   \
                "str r3, [r0]\n\t"                                                                 \
                "pop {r4, r5, r6, r7}\n\t"                                                         \
                "mov r8, r4\n\t"                                                                   \
                "mov r9, r5\n\t"                                                                   \
                "mov r10, r6\n\t"                                                                  \
                "mov r11, r7\n\t"                                                                  \
                "add sp, #12\n\t"                                                                  \
                "pop {r4, r5, r6, r7, pc}\n\t");                                                   \
    }

/* Tiles and gathered windows: the taps of a group follow each other. */
MBN_V6_FUNCTION(mbn_v6_tile1, MBN_V6_TAP1 "adds r1, #1\n\t")
MBN_V6_FUNCTION(mbn_v6_tile2, MBN_V6_TAP2 "adds r1, #2\n\t")
MBN_V6_FUNCTION(mbn_v6_tile3, MBN_V6_TAP3 "adds r1, #1\n\t")
/* Rows in place. */
MBN_V6_FUNCTION(mbn_v6_row1, MBN_V6_TAP1 MBN_V6_STEP)
MBN_V6_FUNCTION(mbn_v6_row2, MBN_V6_TAP2 MBN_V6_STEP)
MBN_V6_FUNCTION(mbn_v6_row3, MBN_V6_TAP3 MBN_V6_STEP)

/* sum[p * 2 + n] += x[k * step + p] . w[k * 2 + n] over `taps`; step and pixels are constants. */
MBN_INLINE void mbn_v6_sums(int32_t *sum, const int8_t *x, const int8_t *w, int32_t taps,
                            int32_t step, int32_t pixels)
{
    if (pixels == 1) {
        (step == 1 ? mbn_v6_tile1 : mbn_v6_row1)(sum, x, w, taps, step);
    } else if (pixels == 2) {
        (step == 2 ? mbn_v6_tile2 : mbn_v6_row2)(sum, x, w, taps, step);
    } else {
        (step == 3 ? mbn_v6_tile3 : mbn_v6_row3)(sum, x, w, taps, step - 2);
    }
}

#endif

#endif
