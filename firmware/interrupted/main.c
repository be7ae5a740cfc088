/* Runs the network while interrupts come at drawn moments, and compares each result with one that
 * was computed undisturbed: the kernels obey the calling convention, so a handler may use any
 * register that it saves as the convention says.
 *
 * What enters: nothing. What leaves: exit status 0 if all results are the same and at least
 * MBN_LEAST_INTERRUPTS came; 1 after an error; 2 if a result differs; 3 if too few came. For cores
 * with SysTick and a vector table in RAM (ARMv7-M, ARMv8-M Mainline).
 */
#include <string.h>

#include "mbn/mbn.h"
#include "mbn/port.h"

#include "network.h"

#ifndef MBN_DISTURBED_RUNS
#define MBN_DISTURBED_RUNS 3
#endif
#ifndef MBN_LEAST_INTERRUPTS
#define MBN_LEAST_INTERRUPTS 100
#endif

/* ARMv7-M, B3.2.2 and B3.3.2 */
#define SCB_VTOR (*(volatile uint32_t *)0xE000ED08u)
#define SYST_CSR (*(volatile uint32_t *)0xE000E010u)
#define SYST_RVR (*(volatile uint32_t *)0xE000E014u)
#define SYST_CVR (*(volatile uint32_t *)0xE000E018u)

enum {
    VECTORS = 16,
    SYSTICK = 15
};

static mbn_model_state model;
static const void *vectors[VECTORS] __attribute__((aligned(512)));
static volatile uint32_t drawn = 12345, interrupts;
static uint8_t expected[64], found[64];

/* Registers that an exception saves, and those of the FPU that it saves with them, all overwritten;
 * others are the compiler's to save. The next interrupt comes after 200 to 4295 cycles. */
__attribute__((used)) static void disturb(void)
{
    drawn = drawn * 1664525u + 1013904223u;
    interrupts++;
    SYST_RVR = 200u + (drawn >> 20);
    SYST_CVR = 0;
    __asm volatile("mov r0, %0\n\tmov r1, %0\n\tmov r2, %0\n\tmov r3, %0\n\tmov r12, %0"
                   :
                   : "r"(drawn)
                   : "r0", "r1", "r2", "r3", "r12");
#if defined(__ARM_FEATURE_MVE)
    __asm volatile("vdup.32 q0, %0\n\tvdup.32 q1, %0\n\tvdup.32 q2, %0\n\tvdup.32 q3, %0\n\t"
                   "vmov q4, q0\n\tvmov q5, q0\n\tvmov q6, q0\n\tvmov q7, q0\n\t"
                   "vcmp.i32 eq, q0, q1"
                   :
                   : "r"(drawn)
                   : "q0", "q1", "q2", "q3", "q4", "q5", "q6", "q7", "cc");
#elif defined(__ARM_FP)
    __asm volatile("vmov s0, %0\n\tvmov.f32 s1, s0\n\tvmov.f32 s15, s0\n\tvmov.f32 s16, s0\n\t"
                   "vmov.f32 s31, s0\n\tvadd.f32 s7, s1, s15\n\tvcmp.f32 s0, s7"
                   :
                   : "r"(drawn)
                   : "s0", "s1", "s7", "s15", "s16", "s31", "cc");
#endif
}

static mbn_status run(void)
{
    const mbn_tensor *in = &mbn_model.tensors[mbn_model.input];
    uint32_t x = 1;
    mbn_status status = mbn_model_init(&model);
    for (uint32_t y = 0; y < in->height && status == MBN_OK; y++) {
        int8_t *row = mbn_input_row(&model.base);
        for (uint32_t k = 0; k < (uint32_t)in->width * in->channels; k++) {
            row[k] = (int8_t)(uint8_t)(x >> 24);
            x = x * 1664525u + 1013904223u;
        }
        status = mbn_push_row(&model.base, NULL);
    }
    return status == MBN_OK ? mbn_finish(&model.base) : status;
}

/* The result's first bytes and a sum of all. */
static void keep(uint8_t *to)
{
    const mbn_tensor *out = &mbn_model.tensors[mbn_model.output];
    const uint32_t size = (uint32_t)out->height * out->width * out->channels;
    const int8_t *from = mbn_output(&model.base);
    uint32_t sum = 0;
    for (uint32_t k = 0; k < size; k++) {
        sum = sum * 31u + (uint8_t)from[k];
        if (k < sizeof expected - sizeof sum) {
            to[k] = (uint8_t)from[k];
        }
    }
    memcpy(to + sizeof expected - sizeof sum, &sum, sizeof sum);
}

_Noreturn void mbn_app_fault(const mbn_fault *fault)
{
    mbn_port_exit((int)(0x100u | fault->exception));
}

int main(void)
{
    mbn_port_init();
    if (run() != MBN_OK) {
        return 1;
    }
    keep(expected);
    memcpy(vectors, (const void *)SCB_VTOR, sizeof vectors);
    vectors[SYSTICK] = (const void *)disturb;
    SCB_VTOR = (uint32_t)(uintptr_t)vectors;
    SYST_RVR = 1000;
    SYST_CVR = 0;
    SYST_CSR = 7; /* the core's clock, interrupts, on */
    __asm volatile("dsb\n\tisb\n\tcpsie i" ::: "memory");
    for (int k = 0; k < MBN_DISTURBED_RUNS; k++) {
        if (run() != MBN_OK) {
            return 1;
        }
        keep(found);
        if (memcmp(found, expected, sizeof expected) != 0) {
            return 2;
        }
    }
    return interrupts >= MBN_LEAST_INTERRUPTS ? 0 : 3;
}
