/* QEMU plugin: how often each translated block ran, and what came next, by stage of the network.
 *
 * What enters: out=FILE,enter=ADDRESS,leave=ADDRESS,stages=COUNT, the bench app's marks; bus=BYTES
 * (a power of two): the width of the data bus, if unaligned accesses are to be counted too, which
 * takes some ten times as long. What leaves: FILE, text: a line "<address> <instructions> <bucket>
 * <runs> <next2> <next4>" for each block and bucket that ran, address in hexadecimal, then "end" or
 * "error <what>". Bucket 0 is what runs outside the stages, k + 1 is stage k; next2 and next4 count
 * the runs after which execution went on 2 or 4 bytes behind the start of the block's last
 * instruction: whoever knows its size knows how often it fell through. (QEMU 7.2 may say a wrong
 * size at the end of a page.) With bus=, lines "extra <bucket> <accesses>" follow: aligned accesses
 * beyond the first of each load or store that is not aligned. On a bus of 4 bytes one that lies
 * within a word at an odd address is two or three accesses, since each is aligned to its size
 * (Cortex-M3: DDI 0337, 14.9); on a wider bus, with byte lanes of its own, only one that crosses
 * its width is two. Always holds: the guest is not disturbed; a block's runs in all buckets add up
 * to its executions; a file without "end" is no result.
 *
 * Declared here is what the plugin needs of QEMU's interface; these functions have the same form
 * in interface versions 1 to 5 (QEMU 5 to 10). Which of them QEMU accepts is the caller's matter:
 * MBN_PLUGIN_VERSION. Code bytes are not asked for: they are in the ELF file, and their function
 * is another one since version 3.
 */
#define _POSIX_C_SOURCE 200809L /* strdup */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef MBN_PLUGIN_VERSION
#define MBN_PLUGIN_VERSION 1
#endif

#define EXPORT __attribute__((visibility("default")))
typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
typedef void (*qemu_plugin_vcpu_tb_trans_cb_t)(qemu_plugin_id_t, struct qemu_plugin_tb *);
typedef void (*qemu_plugin_vcpu_udata_cb_t)(unsigned int, void *);
typedef void (*qemu_plugin_udata_cb_t)(qemu_plugin_id_t, void *);
enum qemu_plugin_cb_flags {
    QEMU_PLUGIN_CB_NO_REGS
};
typedef uint32_t qemu_plugin_meminfo_t;
enum qemu_plugin_mem_rw {
    QEMU_PLUGIN_MEM_R = 1,
    QEMU_PLUGIN_MEM_W,
    QEMU_PLUGIN_MEM_RW
};
typedef void (*qemu_plugin_vcpu_mem_cb_t)(unsigned int, qemu_plugin_meminfo_t, uint64_t, void *);

EXPORT extern int qemu_plugin_version;
EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, qemu_plugin_vcpu_tb_trans_cb_t);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, qemu_plugin_vcpu_udata_cb_t,
                                          enum qemu_plugin_cb_flags, void *);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, qemu_plugin_udata_cb_t, void *);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *, qemu_plugin_vcpu_mem_cb_t,
                                      enum qemu_plugin_cb_flags, enum qemu_plugin_mem_rw, void *);
unsigned int qemu_plugin_mem_size_shift(qemu_plugin_meminfo_t);

int qemu_plugin_version = MBN_PLUGIN_VERSION;

#define MARK_BYTES 4u
#define SLOTS 16384u /* a power of two */

typedef struct {
    uint64_t runs;
    uint64_t next[2]; /* 2 and 4 bytes on */
} tally;

typedef struct block {
    struct block *next; /* in the same slot */
    uint64_t address;
    uint64_t last; /* address of its last instruction */
    uint32_t insns;
    uint32_t mark; /* the bucket that is current from here on */
    bool is_mark;
    tally by_bucket[]; /* stages + 1 of them */
} block;

static block *slots[SLOTS];
static const char *out;
static uint64_t enter_at, leave_at;
static uint32_t stages;
static uint64_t bus;    /* bytes; 0: accesses are not looked at */
static uint64_t *extra; /* by bucket */
static const char *error;

static uint32_t bucket;          /* the current one */
static block *previous;          /* the block that ran last ... */
static uint32_t previous_bucket; /* ... and where it was counted */

static bool in_table(uint64_t table, uint64_t first, uint64_t last)
{
    return last >= table && first < table + (uint64_t)MARK_BYTES * stages;
}

/* A mark is a block of one instruction; anything else would blur the border of a stage. */
static void find_mark(block *b)
{
    bool enters = in_table(enter_at, b->address, b->last);
    if (!enters && !in_table(leave_at, b->address, b->last)) {
        return;
    }
    uint64_t offset = b->address - (enters ? enter_at : leave_at);
    if (b->insns != 1 || offset % MARK_BYTES != 0) {
        error = "a block holds a mark and other code";
        return;
    }
    b->is_mark = true;
    b->mark = enters ? (uint32_t)(offset / MARK_BYTES) + 1 : 0;
}

static block *new_block(uint64_t address, uint64_t last, uint32_t insns)
{
    block *b = calloc(1, sizeof *b + (stages + 1) * sizeof(tally));
    if (b == NULL) {
        error = "out of memory";
        return NULL;
    }
    b->address = address;
    b->last = last;
    b->insns = insns;
    find_mark(b);
    return b;
}

static void at_run(unsigned int cpu, void *data)
{
    block *b = data;
    (void)cpu;
    if (previous != NULL) {
        uint64_t distance = b->address - previous->last;
        if (distance == 2 || distance == 4) {
            previous->by_bucket[previous_bucket].next[distance / 2 - 1]++;
        }
    }
    if (b->is_mark) {
        bucket = 0;
    }
    b->by_bucket[bucket].runs++;
    previous = b;
    previous_bucket = bucket;
    if (b->is_mark) {
        bucket = b->mark;
    }
}

/* Aligned accesses that an access of `size` bytes takes beyond one. */
static uint64_t more_than_one(uint64_t address, uint64_t size)
{
    if (address % size == 0) {
        return 0;
    }
    if (bus > 4) {
        return address % bus + size > bus;
    }
    return size == 4 && address % 2 != 0 ? 2 : 1;
}

static void at_access(unsigned int cpu, qemu_plugin_meminfo_t info, uint64_t address, void *data)
{
    (void)cpu;
    (void)data;
    extra[bucket] += more_than_one(address, UINT64_C(1) << qemu_plugin_mem_size_shift(info));
}

static void at_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    uint64_t address = qemu_plugin_tb_vaddr(tb);
    uint32_t insns = (uint32_t)qemu_plugin_tb_n_insns(tb);
    block **slot = &slots[(address >> 1) % SLOTS];
    block *b = *slot;
    while (b != NULL && (b->address != address || b->insns != insns)) {
        b = b->next;
    }
    if (b == NULL) {
        uint64_t last = qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(tb, insns - 1));
        b = new_block(address, last, insns);
        if (b == NULL) {
            return;
        }
        b->next = *slot;
        *slot = b;
    }
    qemu_plugin_register_vcpu_tb_exec_cb(tb, at_run, QEMU_PLUGIN_CB_NO_REGS, b);
    for (size_t k = 0; bus != 0 && k < insns; k++) {
        qemu_plugin_register_vcpu_mem_cb(qemu_plugin_tb_get_insn(tb, k), at_access,
                                         QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW, NULL);
    }
}

static void at_end(qemu_plugin_id_t id, void *data)
{
    (void)id;
    (void)data;
    FILE *file = fopen(out, "w");
    if (file == NULL) {
        return;
    }
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        for (const block *b = slots[slot]; b != NULL; b = b->next) {
            for (uint32_t k = 0; k <= stages; k++) {
                const tally *t = &b->by_bucket[k];
                if (t->runs != 0) {
                    fprintf(file, "%" PRIx64 " %" PRIu32 " %" PRIu32, b->address, b->insns, k);
                    fprintf(file, " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", t->runs, t->next[0],
                            t->next[1]);
                }
            }
        }
    }
    for (uint32_t k = 0; bus != 0 && k <= stages; k++) {
        fprintf(file, "extra %" PRIu32 " %" PRIu64 "\n", k, extra[k]);
    }
    if (error != NULL) {
        fprintf(file, "error %s\n", error);
    } else {
        fprintf(file, "end\n");
    }
    fclose(file);
}

static const char *value_of(const char *argument, const char *name)
{
    size_t length = strlen(name);
    return strncmp(argument, name, length) == 0 ? argument + length : NULL;
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
    (void)info;
    for (int k = 0; k < argc; k++) {
        const char *value;
        if ((value = value_of(argv[k], "out=")) != NULL) {
            out = strdup(value);
        } else if ((value = value_of(argv[k], "enter=")) != NULL) {
            enter_at = strtoull(value, NULL, 0);
        } else if ((value = value_of(argv[k], "leave=")) != NULL) {
            leave_at = strtoull(value, NULL, 0);
        } else if ((value = value_of(argv[k], "stages=")) != NULL) {
            stages = (uint32_t)strtoul(value, NULL, 0);
        } else if ((value = value_of(argv[k], "bus=")) != NULL) {
            bus = strtoull(value, NULL, 0);
        }
    }
    if (out == NULL || enter_at == 0 || leave_at == 0) {
        fprintf(stderr, "plugin: out=, enter= and leave= are needed\n");
        return 1;
    }
    extra = calloc(stages + 1, sizeof *extra);
    if (extra == NULL) {
        fprintf(stderr, "plugin: out of memory\n");
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, at_translate);
    qemu_plugin_register_atexit_cb(id, at_end, NULL);
    return 0;
}
