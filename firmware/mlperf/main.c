/* The MLPerf Tiny device, which talks to the public runner of mlcommons/tiny (benchmark/runner).
 *
 * Commands are ASCII and end with '%'. Answers are lines that end with CR LF; every command, errors
 * included, ends with `m-ready`. Whatever comes, nothing is written outside the input buffer or the
 * command's 80 characters (the reference firmware overruns both), and no command takes longer than
 * the runner waits. Line ends between commands are ignored, so that a person can type.
 */
#include "mbn/mbn.h"
#include "mbn/port.h"

#include "commands.h"
#include "defence.h"
#include "input.h"
#include "network.h"
#include "results.h"
#include "text.h"

#include <string.h>

#define RUNS_DEFAULT 1
#define WARMUP_DEFAULT 10
#define INFER_LIMIT_US 25000000u /* the runner gives up after 30 s */

static mbn_model_state model;
static bool damaged; /* constants, as found at the start */
static mbn_results results;

static void put_timestamp(uint32_t microseconds)
{
    mbn_text("m-lap-us-");
    mbn_text_unsigned(microseconds);
    mbn_text_end();
}

static void name(void)
{
    mbn_text_line("m-name-dut-[mbn]");
}

static void profile(void)
{
    mbn_text_line("m-profile-[ULPMark for tinyML Firmware V0.0.1]");
    mbn_text("m-model-[");
    mbn_text(mbn_results_benchmark());
    mbn_text_line("]");
}

static void timestamp(void)
{
    put_timestamp(mbn_port_microseconds());
}

static void help(void)
{
    static const char *const lines[] = {
        "ULPMark for tinyML Firmware V0.0.1",
        "",
        "help         : this text",
        "name         : the device's name",
        "profile      : the benchmark's version and the model",
        "timestamp    : microseconds since the start, modulo 2^32",
        "db load N    : expect an input of N bytes",
        "db HH[HH...] : its next bytes, in hexadecimal",
        "db print     : the bytes that were loaded",
        "infer N W    : W inferences unmeasured (default 10), then N measured (default 1)",
        "results      : the last inference's results",
    };
    for (size_t k = 0; k < sizeof lines / sizeof lines[0]; k++) {
        mbn_text_line(lines[k]);
    }
}

/* -- db ------------------------------------------------------------------------------------- */

static void db(void)
{
    const char *word = mbn_commands_next();
    if (word == NULL) {
        mbn_text_line("e-[Command 'db' requires a subcommand]");
    } else if (strcmp(word, "load") == 0) {
        mbn_input_load(mbn_commands_next());
    } else if (strcmp(word, "print") == 0) {
        mbn_input_print();
    } else {
        mbn_input_take(word);
    }
}

/* -- infer ---------------------------------------------------------------------------------- */

static bool infer_once(void)
{
    mbn_status status = mbn_begin(&model.base);
    for (uint32_t y = 0; y < MBN_MODEL_INPUT_HEIGHT && status == MBN_OK; y++) {
        status = mbn_input_push(&model.base, y);
    }
    return status == MBN_OK && mbn_finish(&model.base) == MBN_OK;
}

/* Runs `count` inferences, or as many as end before the limit. Returns how many. */
static int32_t infer_many(int32_t count, uint32_t begun_us, bool *good)
{
    int32_t done = 0;
    while (done < count && *good && mbn_port_microseconds() - begun_us < INFER_LIMIT_US) {
        *good = infer_once();
        done++;
    }
    return done;
}

static void measure(int32_t runs, int32_t warmup)
{
    if (damaged) {
        mbn_text_line("e-[Weights or other constants are damaged: program the image again]");
        return;
    }
    uint32_t begun_us = mbn_port_microseconds();
    bool good = true;
    mbn_input_prepare();
    mbn_text("m-warmup-start-");
    mbn_text_unsigned((uint32_t)warmup);
    mbn_text_end();
    int32_t warm = infer_many(warmup, begun_us, &good);
    mbn_text_line("m-warmup-done");
    mbn_text("m-infer-start-");
    mbn_text_unsigned((uint32_t)runs);
    mbn_text_end();
    uint32_t before_us = mbn_port_microseconds();
    int32_t done = infer_many(runs, begun_us, &good);
    uint32_t after_us = mbn_port_microseconds();
    put_timestamp(before_us);
    put_timestamp(after_us);
    mbn_input_restore();
    if (!good) {
        mbn_text_line("e-[The network failed: memory beside its arena was overwritten]");
    } else if (warm != warmup || done != runs) {
        mbn_text_line("e-[Inference stopped: more than 25 s]");
    } else {
        mbn_text_line("m-infer-done");
        mbn_results_take(&results, mbn_output(&model.base));
        mbn_results_put(&results);
    }
}

static void infer(void)
{
    const char *word = mbn_commands_next();
    int32_t runs = word == NULL ? RUNS_DEFAULT : mbn_commands_number(word);
    if (runs <= 0) {
        mbn_text_line("e-[Inference iterations must be >0]");
        return;
    }
    word = mbn_commands_next();
    int32_t warmup = word == NULL ? WARMUP_DEFAULT : mbn_commands_number(word);
    if (warmup < 0) {
        mbn_text_line("e-[Inference warmup must be >=0]");
        return;
    }
    measure(runs, warmup);
}

static void put_results(void)
{
    mbn_results_put(&results);
}

/* ------------------------------------------------------------------------------------------- */

static void obey(void)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } commands[] = {
        {"name", name}, {"profile", profile}, {"timestamp", timestamp}, {"help", help},
        {"db", db},     {"infer", infer},     {"results", put_results},
    };
    const char *word = mbn_commands_next();
    for (size_t k = 0; word != NULL && k < sizeof commands / sizeof commands[0]; k++) {
        if (strcmp(word, commands[k].name) == 0) {
            commands[k].run();
            return;
        }
    }
    mbn_text("e-[Unknown command: ");
    for (; word != NULL && *word != '\0'; word++) {
        mbn_text_character(*word);
    }
    mbn_text_line("]");
}

/* A fault restarts the device; the runner sees its greeting. */
_Noreturn void mbn_app_fault(const mbn_fault *fault)
{
    (void)fault;
    mbn_port_reset();
}

int main(void)
{
    static union { /* the table is done with before the first byte is read */
        uint32_t table[MBN_DEFENCE_WORDS];
        uint8_t burst[256];
    } shared;
    mbn_port_init();
    mbn_port_clock_init();
    damaged = mbn_defence_damage(shared.table) != NULL;
    if (mbn_model_init(&model) != MBN_OK) {
        return 1;
    }
    model.base.observer = &mbn_defence_feeder;
    mbn_port_watchdog_start(MBN_WATCHDOG_MS);
    mbn_text_line("m-timestamp-mode-performance");
    timestamp();
    mbn_text_line("m-init-done");
    mbn_text_line("m-ready");
    for (;;) {
        mbn_port_watchdog_feed();
        size_t size = mbn_port_read(shared.burst, sizeof shared.burst);
        for (size_t k = 0; k < size; k++) {
            mbn_command_state state = mbn_commands_take(shared.burst[k]);
            if (state == MBN_COMMAND_WHOLE) {
                obey();
            } else if (state == MBN_COMMAND_LONG) {
                mbn_text_line("e-[Command longer than 80 characters]");
            }
            if (state != MBN_COMMAND_NONE) {
                mbn_text_line("m-ready");
            }
        }
    }
}
