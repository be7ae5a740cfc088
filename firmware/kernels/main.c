/* Calls each assembly function of network.S alone, beside its twin in C, and compares all that they
 * may touch: the output, bytes around every buffer, and the registers that the calling convention
 * (AAPCS, IHI 0042, 6.1.1) has a function keep.
 *
 * What enters: cases.h, generated beside network.S (tests/test_assembly.py). What leaves: exit
 * status 0 if all is equal; otherwise 4 * the number of the first case, plus 1 for a byte beside
 * the output, 2 for a register, 3 for the output. A case's inputs (int8 rows, or a tile of int16)
 * are drawn, in its first two rounds extreme.
 */
#include <stdint.h>
#include <string.h>

#include "mbn/port.h"

static void *case_input(void);

#include "cases.h"

enum {
    GUARD = 64,
    KEPT = 16 + 8 + 1,
    BESIDE = 1,
    REGISTER,
    OUTPUT
};

static _Alignas(8) uint8_t inputs[GUARD + CASE_INPUT_BYTES + GUARD];
static _Alignas(8) uint8_t outs[2][GUARD + CASE_OUT_BYTES + GUARD];
static uint32_t drawn = 1;

static uint32_t draw(void)
{
    drawn = drawn * 1664525u + 1013904223u;
    return drawn >> 8;
}

static void *case_input(void)
{
    return inputs + GUARD;
}

/* r4 to r11, s16 to s31 (where they are) and sp before and after a call of `fn`. */
void watched(void (*fn)(void *), void *argument, uint32_t *before, uint32_t *after);

/* clang-format off: an instruction a line */
#if defined(__ARM_FP)
__asm__(".syntax unified\n\t"
        ".thumb\n\t"
        ".section .text.watched, \"ax\", %progbits\n\t"
        ".type watched, %function\n\t"
        ".thumb_func\n"
        "watched:\n\t"
        "push {r3-r11, lr}\n\t"
        "vpush {d8-d15}\n\t"
        "mov r12, r0\n\t"
        "mov r0, r1\n\t"
        "vldmia r2!, {s16-s31}\n\t"
        "ldmia r2!, {r4-r11}\n\t"
        "str sp, [r2]\n\t"
        "push {r3, lr}\n\t"
        "blx r12\n\t"
        "pop {r3, lr}\n\t"
        "vstmia r3!, {s16-s31}\n\t"
        "stmia r3!, {r4-r11}\n\t"
        "str sp, [r3]\n\t"
        "vpop {d8-d15}\n\t"
        "pop {r3-r11, pc}\n\t"
        ".size watched, . - watched\n\t"
        ".text\n");
#else /* with the narrow instructions alone; s16 to s31 are left out */
__asm__(".syntax unified\n\t"
        ".thumb\n\t"
        ".section .text.watched, \"ax\", %progbits\n\t"
        ".type watched, %function\n\t"
        ".thumb_func\n"
        "watched:\n\t"
        "push {r4-r7, lr}\n\t"
        "mov r4, r8\n\t"
        "mov r5, r9\n\t"
        "mov r6, r10\n\t"
        "mov r7, r11\n\t"
        "push {r4-r7}\n\t"
        "mov r12, r0\n\t"
        "mov r0, r1\n\t"
        "adds r2, #64\n\t"
        "mov r1, sp\n\t"
        "str r1, [r2, #32]\n\t"
        "push {r3}\n\t"
        "mov r1, r2\n\t"
        "adds r1, #16\n\t"
        "ldmia r1!, {r4-r7}\n\t"
        "mov r8, r4\n\t"
        "mov r9, r5\n\t"
        "mov r10, r6\n\t"
        "mov r11, r7\n\t"
        "ldmia r2!, {r4-r7}\n\t"
        "blx r12\n\t"
        "pop {r3}\n\t"
        "adds r3, #64\n\t"
        "stmia r3!, {r4-r7}\n\t"
        "mov r4, r8\n\t"
        "mov r5, r9\n\t"
        "mov r6, r10\n\t"
        "mov r7, r11\n\t"
        "stmia r3!, {r4-r7}\n\t"
        "mov r4, sp\n\t"
        "str r4, [r3]\n\t"
        "pop {r4-r7}\n\t"
        "mov r8, r4\n\t"
        "mov r9, r5\n\t"
        "mov r10, r6\n\t"
        "mov r11, r7\n\t"
        "pop {r4-r7, pc}\n\t"
        ".size watched, . - watched\n\t"
        ".text\n");
#endif
/* clang-format on */

static int run(int number)
{
    const kernel_case *one = &cases[number];
    for (int round = 0; round < CASE_ROUNDS; round++) {
        for (uint32_t k = 0; k < sizeof inputs; k++) {
            inputs[k] = (uint8_t)draw();
        }
        int16_t *halves = case_input();
        int8_t *bytes = case_input();
        for (uint32_t k = 0; k < one->input_bytes / (one->bytewise ? 1 : 2); k++) {
            const int32_t drawn_value = (int32_t)(draw() % 256u) - 128;
            const int32_t extreme = (drawn_value >= 0) == round ? 127 : -128;
            const int32_t value = round > 1 ? drawn_value : extreme;
            if (one->bytewise) {
                bytes[k] = (int8_t)value;
            } else {
                halves[k] = (int16_t)value;
            }
        }
        uint32_t before[KEPT], after[KEPT];
        for (int k = 0; k < KEPT; k++) {
            before[k] = after[k] = draw();
        }
        for (uint32_t k = 0; k < sizeof outs[0]; k++) {
            outs[0][k] = outs[1][k] = (uint8_t)draw();
        }
        watched(one->written, outs[0] + GUARD, before, after);
        if (CASE_SPARE) { /* what the twin does not write may be anything */
            memcpy(outs[1] + GUARD, outs[0] + GUARD, one->out_bytes);
        }
        one->twin(outs[1] + GUARD);
        if (memcmp(before, after, sizeof before) != 0) {
            return REGISTER;
        }
        if (memcmp(outs[0] + GUARD, outs[1] + GUARD, one->out_bytes) != 0) {
            return OUTPUT;
        }
        if (memcmp(outs[0], outs[1], sizeof outs[0]) != 0) {
            return BESIDE;
        }
    }
    return 0;
}

_Noreturn void mbn_app_fault(const mbn_fault *fault)
{
    mbn_port_exit((int)(0x100u | fault->exception));
}

int main(void)
{
    mbn_port_init();
    for (int k = 0; k < CASE_COUNT; k++) {
        const int found = run(k);
        if (found != 0) {
            mbn_port_exit(found + 4 * k);
        }
    }
    return 0;
}
