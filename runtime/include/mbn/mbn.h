/* The runtime's whole interface.
 *
 * A network that mbn-compile generated reads an image and leaves int8 results (logits, or several
 * maps) in the arena. There is no heap, no recursion and no global state. All that changes is in
 * mbn_state and the arena, which the caller owns, so one program can hold two networks, or one
 * network twice.
 *
 * Maps lie in the arena as rows. A tensor that keeps all its rows is a map; one that keeps fewer
 * is a ring, row y at slot y % depth. Within a row either pixels are interleaved (plane_bytes 0:
 * byte x * channels + c) or each channel is a plane of plane_bytes (byte c * plane_bytes + x).
 *
 * The program around it must provide these, which can't be checked from here:
 * - a little-endian machine;
 * - an FPU that is on, if the core has one and the kernels use it (they keep data in its
 *   registers). If several threads or interrupts use it, its registers are saved when they change
 *   (in Zephyr CONFIG_FPU_SHARING). Otherwise results are silently wrong;
 * - unaligned loads and stores that don't trap: CCR.UNALIGN_TRP is clear, and neither state nor
 *   weights lie in memory of device type (on the M7 SDRAM is, unless the MPU says otherwise);
 * - one thread at a time for each state; two states may run side by side;
 * - 1,024 bytes of stack below the caller of any function here (up to 480 were measured in
 *   optimised builds; a build without optimisation may need more).
 */
#ifndef MBN_MBN_H
#define MBN_MBN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* This header and the runtime; compare as MBN_VERSION_NUMBER >= MBN_VERSION_OF(0, 2, 0). */
#define MBN_VERSION "0.1.0"
#define MBN_VERSION_OF(major, minor, patch) ((major) * 10000 + (minor) * 100 + (patch))
#define MBN_VERSION_NUMBER MBN_VERSION_OF(0, 1, 0)

/* The same value so many times, in an initialiser. */
#define MBN_4(value) value, value, value, value
#define MBN_16(value) MBN_4(value), MBN_4(value), MBN_4(value), MBN_4(value)
#define MBN_64(value) MBN_16(value), MBN_16(value), MBN_16(value), MBN_16(value)
#define MBN_256(value) MBN_64(value), MBN_64(value), MBN_64(value), MBN_64(value)

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "mbn: packed weights are read as little-endian words; build for a little-endian machine"
#endif

#if defined(__cplusplus) && __cplusplus < 201103L && !defined(_MSC_VER)
#error "mbn: the headers are of C11 and C++11"
#endif

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define MBN_MUST_USE __attribute__((warn_unused_result))
#else
#define MBN_MUST_USE
#endif

/* 0, or a negative reason. */
typedef enum mbn_status {
    MBN_OK = 0,
    MBN_ERR_ARGUMENT = -1, /* a null pointer, an arena that is not 16-byte aligned */
    MBN_ERR_STATE = -2,    /* a call out of order: too many rows, a result before the end */
    MBN_ERR_GUARD = -3,    /* a guard word beside the arena was overwritten */
    MBN_ERR_FPU = -4,      /* the kernels keep data in FPU registers, and the FPU is off */
    MBN_ERR_CHANGED = -5   /* the state holds what no function here wrote: begin again */
} mbn_status;

/* A tensor and where its rows lie. Flash; generated. */
typedef struct mbn_tensor {
    uint32_t offset_bytes; /* of row slot 0 from the start of the arena */
    uint32_t row_bytes;    /* from one row slot to the next */
    uint16_t height;
    uint16_t width;
    uint16_t channels;
    uint16_t depth;       /* row slots; == height: the whole map is kept */
    uint16_t plane_bytes; /* from one channel to the next in a row; 0: interleaved */
    uint16_t reader;      /* the deepest stage that reads it; where none does, its own */
    int8_t zero_point;
    float scale;
} mbn_tensor;

/* Makes one band of output rows from the input rows that it needs.
 * in:      (band / up - 1) * stride + kernel_rows pointers, top to bottom; rows above and below the
 *          map point to a shared row of padding, or repeat its edge; then the band's rows of each
 *          other map that is read (of a map with fewer rows, its last)
 * out:     band pointers
 * scratch: the stage's scratch bytes, 8-byte aligned; nothing in it survives the call */
typedef void (*mbn_band_fn)(const int8_t *const *in, int8_t *const *out, int8_t *scratch);

#define MBN_NO_TENSOR 0xffffu

/* A stage: one layer, or a fused depthwise-separable block. Flash; generated. */
typedef struct mbn_stage {
    const char *name;
    mbn_band_fn run;
    const int8_t *border; /* a row of padding; null: there is none, or edges are repeated */
    uint32_t macs;
    uint32_t scratch_offset_bytes;
    uint16_t input;  /* tensor index */
    uint16_t output; /* tensor index */
    /* tensor index: the other map that is read, else MBN_NO_TENSOR; of more than one, where they
     * begin in the network's `others` */
    uint16_t second;
    uint8_t kernel_rows;
    uint8_t stride_rows;
    uint8_t pad_top;
    uint8_t band_rows;   /* divides the output's height */
    uint8_t other_count; /* of other maps, if above 1 */
    uint8_t up_rows;     /* output rows of one step of the window, if above 1; divides band_rows */
} mbn_stage;

/* Stages that run together, row by row; the deepest that can run goes first. Segments run one
 * after another. */
typedef struct mbn_segment {
    uint16_t first; /* stage index */
    uint16_t last;  /* stage index, inclusive */
} mbn_segment;

/* How the input arrives. */
typedef enum mbn_input_mode {
    MBN_INPUT_STREAM = 0, /* rows are consumed while they come */
    MBN_INPUT_WHOLE = 1   /* the image lies whole in the arena before the first stage runs */
} mbn_input_mode;

typedef struct mbn_network {
    const char *name;
    const char *model_sha256; /* 64 hex digits: of network.npz's contents */
    const mbn_tensor *tensors;
    const mbn_stage *stages;
    const mbn_segment *segments;
    uint16_t tensor_count;
    uint16_t stage_count;
    uint16_t segment_count;
    uint16_t input;          /* tensor index */
    uint16_t output;         /* tensor index: the first result */
    uint16_t result_count;   /* 0: `output` is the only one */
    const uint16_t *results; /* tensor indices, the first is `output`; null: that is all */
    const uint16_t *others;  /* tensor indices; null: no stage reads more than two maps */
    uint16_t window_rows;    /* longest list of input rows of any stage */
    uint16_t band_rows;      /* longest list of output rows of any stage */
    uint16_t input_mode;     /* mbn_input_mode */
    const int8_t *pixels;    /* [channel][256]: what pixels are stored as; null: p as p - 128 */
    uint32_t arena_bytes;
    uint32_t near_bytes; /* of the arena, where a second memory holds the rest; 0: it is one */
    uint32_t weights_bytes;
    uint32_t macs;
    bool needs_fpu; /* the kernels keep data in its registers */
} mbn_network;

/* Watches a run: to time it, check it or stop at any stage. Any function may be null. */
typedef struct mbn_observer {
    void *context;
    void (*before)(void *context, uint16_t stage);
    void (*after)(void *context, uint16_t stage);
    /* a row of the stage's output, just stored, in the tensor's own layout */
    void (*row)(void *context, uint16_t stage, uint16_t y, const int8_t *row);
} mbn_observer;

#define MBN_GUARD_WORD 0x6d626e21u /* "mbn!" */

/* The mutable part. The generated header wraps it with tables and an arena of the right size. */
typedef struct mbn_state {
    const mbn_network *network;
    uint8_t *arena;        /* network->arena_bytes, 16-byte aligned */
    uint16_t *rows_done;   /* network->tensor_count */
    const int8_t **window; /* network->window_rows */
    int8_t **band;         /* network->band_rows */
    uint32_t *guard_low;   /* the word before the arena */
    uint32_t *guard_high;  /* the word after it */
    uint8_t *far_arena;    /* the arena from near_bytes on; null: it is one */
    uint32_t *far_guard_low;
    uint32_t *far_guard_high;
    const mbn_observer *observer; /* null: nobody watches; may be set after mbn_begin */
    uintptr_t seal;               /* of the pointers above the observer, by mbn_begin */
    uint32_t rows_counted;        /* of all tensors since then */
    uint16_t segment;             /* the segment that runs now */
} mbn_state;

/* Begins an image: forgets all rows pushed before. Checks pointers, the arena's alignment, and
 * that the FPU is on (unless the thread is unprivileged and can't read this). From here on only
 * the observer may be changed. */
MBN_MUST_USE mbn_status mbn_begin(mbn_state *state);

/* Where the caller may write the next row (canonical: width x channel) before mbn_push_row with a
 * null row; null after the last row. Valid until the next push. */
int8_t *mbn_input_row(const mbn_state *state);

/* Takes the next row (width * channels bytes; null: it was written to mbn_input_row). In stream
 * mode it also runs every stage that can now run. */
MBN_MUST_USE mbn_status mbn_push_row(mbn_state *state, const int8_t *row);

/* As mbn_push_row, for a row of 8-bit pixels: each is stored as the network needs it. */
MBN_MUST_USE mbn_status mbn_push_pixels(mbn_state *state, const uint8_t *row);

/* Runs what is left (in whole mode: everything) and checks the guards, the state's pointers and
 * that each row was made once. */
MBN_MUST_USE mbn_status mbn_finish(mbn_state *state);

/* Whether all guard words, and the pointers to them, are as mbn_begin left them. */
bool mbn_guards_ok(const mbn_state *state);

/* The first result: the first row of the output tensor. Null before mbn_finish has succeeded,
 * also if it found a guard word overwritten or the state changed. */
const int8_t *mbn_output(const mbn_state *state);

/* The number of results, and the tensor of result `index`; null if there is no such result. */
uint16_t mbn_result_count(const mbn_network *network);
const mbn_tensor *mbn_result_tensor(const mbn_network *network, uint16_t index);

/* The first row of result `index`; further rows are row_bytes apart, in the tensor's own layout.
 * Null before mbn_finish has succeeded, and if there is no such result. */
const int8_t *mbn_result(const mbn_state *state, uint16_t index);

/* Copies result `index` to `to` as height x width x channel. `to` must have room for all its
 * bytes. */
MBN_MUST_USE mbn_status mbn_copy_result(const mbn_state *state, uint16_t index, int8_t *to);

/* Copies one row from a tensor's own layout to the canonical width x channel. */
void mbn_canonical_row(const mbn_tensor *tensor, const int8_t *row, int8_t *canonical);

#ifdef __cplusplus
}
#endif

#endif
