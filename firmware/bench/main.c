/* Runs the network without a serial line, so that instructions can be counted exactly.
 *
 * The word mbn_bench_runs says how many inferences: MBN_BENCH_RUNS (default 1), unless a counter
 * wrote another number into a copy of the image. The exit status is 0, or 1 after an error. Input
 * bytes are x(n + 1) = 1664525 x(n) + 1013904223 mod 2^32 (Numerical Recipes, 7.1), x(0) = 1 at the
 * start of every run, byte = x >> 24; or, where what is run depends on the picture, those of
 * mbn_bench_picture, which a counter writes into the image. Every run executes the same
 * instructions, so the counts of N = 2 less those of N = 1 are one inference.
 *
 * Before a stage the instruction at mbn_bench_enter + 4 * stage executes, after it the one at
 * mbn_bench_leave + 4 * stage, once a band: a counter tells stages apart by these addresses. What a
 * detector makes of the results counts as one more stage.
 * Functions called mbn_bench_ are this app's own cost and no part of an inference.
 */
#include "mbn/mbn.h"
#include "mbn/port.h"

#include "network.h"

#if defined(MBN_BENCH_DEFENCE) /* besides each inference a look at all constants, to count it */
#include "defence.h"
static uint32_t words[MBN_DEFENCE_WORDS];
#endif
#ifndef MBN_BENCH_RUNS
#define MBN_BENCH_RUNS 1
#endif
#ifndef MBN_BENCH_MARKS
#define MBN_BENCH_MARKS 256 /* stages that have a mark of their own: a number without a suffix */
#endif
#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)

static mbn_model_state model;
volatile int8_t mbn_bench_sink; /* so that the result is used */
/* volatile: the same code for any value; in RAM, since constants are sealed */
volatile uint32_t mbn_bench_runs = MBN_BENCH_RUNS;

#if defined(__arm__)
typedef void (*mark_fn)(void);
extern const uint8_t mbn_bench_enter[];
extern const uint8_t mbn_bench_leave[];
/* 16-bit bx lr and nop: four bytes a stage */
__asm(".syntax unified\n"
      ".section .text.mbn_bench_marks,\"ax\",%progbits\n"
      ".balign 4\n"
      ".thumb\n"
      ".global mbn_bench_enter\n"
      "mbn_bench_enter:\n"
      ".rept " TEXT(MBN_BENCH_MARKS) "\nbx lr\nnop\n.endr\n"
                                     ".global mbn_bench_leave\n"
                                     "mbn_bench_leave:\n"
                                     ".rept " TEXT(MBN_BENCH_MARKS) "\nbx lr\nnop\n.endr\n"
                                                                    ".text\n");

static void mbn_bench_mark(const uint8_t *table, uint16_t stage)
{
    uintptr_t address = (uintptr_t)table + 4u * (stage % MBN_BENCH_MARKS);
    ((mark_fn)(address | 1u))(); /* bit 0: Thumb state */
}

static void mbn_bench_before(void *context, uint16_t stage)
{
    (void)context;
    mbn_bench_mark(mbn_bench_enter, stage);
}

static void mbn_bench_after(void *context, uint16_t stage)
{
    (void)context;
    mbn_bench_mark(mbn_bench_leave, stage);
}

static const mbn_observer observer = {.before = mbn_bench_before, .after = mbn_bench_after};
#define OBSERVER (&observer)
#else
#define OBSERVER NULL
#endif

#if defined(MBN_BENCH_PICTURE_BYTES)
/* volatile: the same code for any picture */
const volatile int8_t mbn_bench_picture[MBN_BENCH_PICTURE_BYTES] = {0};

/* x: 1 more than what went before of the picture */
__attribute__((noinline)) static uint32_t mbn_bench_fill(int8_t *row, uint32_t size, uint32_t x)
{
    for (uint32_t k = 0; k < size; k++) {
        row[k] = mbn_bench_picture[x - 1u + k];
    }
    return x + size;
}
#else
__attribute__((noinline)) static uint32_t mbn_bench_fill(int8_t *row, uint32_t size, uint32_t x)
{
    for (uint32_t k = 0; k < size; k++) {
        row[k] = (int8_t)(uint8_t)(x >> 24);
        x = x * 1664525u + 1013904223u;
    }
    return x;
}
#endif

#if defined(MBN_MODEL_CANDIDATES)
static mbn_candidate work[MBN_MODEL_CANDIDATES];
static mbn_detection found[MBN_MODEL_CANDIDATES];
#endif

/* The detector's work, as a stage behind the network's. */
static mbn_status mbn_bench_detect(void)
{
    mbn_status status = MBN_OK;
#if defined(MBN_MODEL_CANDIDATES)
    const mbn_observer *watching = OBSERVER;
    uint16_t count;
    if (watching != NULL) {
        watching->before(NULL, mbn_model.stage_count);
    }
    status = mbn_model_detect(&model, work, found, MBN_MODEL_CANDIDATES, &count);
    if (watching != NULL) {
        watching->after(NULL, mbn_model.stage_count);
    }
#endif
    return status;
}

static mbn_status run(void)
{
    const mbn_tensor *in = &mbn_model.tensors[mbn_model.input];
    uint32_t x = 1;
    mbn_status status = mbn_model_init(&model);
    model.base.observer = OBSERVER;
    for (uint32_t y = 0; y < in->height && status == MBN_OK; y++) {
        x = mbn_bench_fill(mbn_input_row(&model.base), (uint32_t)in->width * in->channels, x);
        status = mbn_push_row(&model.base, NULL);
    }
    if (status == MBN_OK) {
        status = mbn_finish(&model.base);
    }
    if (status == MBN_OK) {
        mbn_bench_sink = *mbn_output(&model.base);
        status = mbn_bench_detect();
    }
#if defined(MBN_BENCH_DEFENCE)
    if (mbn_defence_damage(words) != NULL) {
        status = MBN_ERR_CHANGED;
    }
#endif
    return status;
}

_Noreturn void mbn_app_fault(const mbn_fault *fault)
{
    mbn_port_exit((int)(0x100u | fault->exception));
}

int main(void)
{
    mbn_status status = MBN_OK;
    mbn_port_init();
    for (uint32_t k = 0; k < mbn_bench_runs && status == MBN_OK; k++) {
        status = run();
    }
    return status == MBN_OK ? 0 : 1;
}
