/* The driver: runs the stages of a network in the order that its segments give.
 *
 * A stage runs only when all input rows of its band are in the arena. The deepest stage that can
 * run runs next, so a ring never holds more rows than the plan gave it. The plan's checker replays
 * this rule.
 */
#include "mbn/mbn.h"

#include <string.h>

#define SEAL_SEED 0x7365616Cu /* "seal": a state of zeros has none */

static int8_t *address(const mbn_state *state, uint32_t offset_bytes)
{
    const uint32_t near_bytes = state->network->near_bytes;
    if (near_bytes != 0u && offset_bytes >= near_bytes) {
        return (int8_t *)state->far_arena + (offset_bytes - near_bytes);
    }
    return (int8_t *)state->arena + offset_bytes;
}

static int8_t *slot_address(const mbn_state *state, const mbn_tensor *tensor, uint32_t slot)
{
    return address(state, tensor->offset_bytes + slot * tensor->row_bytes);
}

static int8_t *row_slot(const mbn_state *state, const mbn_tensor *tensor, uint32_t y)
{
    return slot_address(state, tensor, y % tensor->depth);
}

/* Steps of the window that `rows` output rows are. */
static uint32_t steps(const mbn_stage *stage, uint32_t rows)
{
    return stage->up_rows > 1u ? rows / stage->up_rows : rows;
}

/* Of a stage that reads other maps besides its input. */
static uint32_t other_count(const mbn_stage *stage)
{
    return stage->other_count > 1u ? stage->other_count : 1u;
}

/* The tensor that the stage reads besides its input; `at` is below other_count. */
static uint16_t other(const mbn_network *network, const mbn_stage *stage, uint32_t at)
{
    return stage->other_count > 1u ? network->others[stage->second + at] : stage->second;
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Whether the rows that the stage's next band needs are there. */
static bool stage_ready(const mbn_state *state, const mbn_stage *stage)
{
    const mbn_network *network = state->network;
    const mbn_tensor *in = &network->tensors[stage->input];
    const mbn_tensor *out = &network->tensors[stage->output];
    uint32_t y = state->rows_done[stage->output];
    if (y >= out->height) {
        return false;
    }
    uint32_t need = (steps(stage, y + stage->band_rows) - 1u) * stage->stride_rows;
    need += stage->kernel_rows;
    need = need > stage->pad_top ? need - stage->pad_top : 0u;
    if (state->rows_done[stage->input] < least(need, in->height)) {
        return false;
    }
    if (stage->second == MBN_NO_TENSOR) {
        return true;
    }
    for (uint32_t at = 0; at < other_count(stage); at++) {
        uint16_t tensor = other(network, stage, at);
        if (state->rows_done[tensor] <
            least(y + stage->band_rows, network->tensors[tensor].height)) {
            return false;
        }
    }
    return true;
}

static void stage_run(mbn_state *state, uint16_t index)
{
    const mbn_network *network = state->network;
    const mbn_stage *stage = &network->stages[index];
    const mbn_tensor *in = &network->tensors[stage->input];
    const mbn_tensor *out = &network->tensors[stage->output];
    uint32_t y = state->rows_done[stage->output];
    uint32_t window = (steps(stage, stage->band_rows) - 1u) * stage->stride_rows;
    window += stage->kernel_rows;

    /* wraps to far above the height if the row is above the map; only the first is divided */
    uint32_t row = steps(stage, y) * stage->stride_rows - stage->pad_top;
    uint32_t slot = row < in->height ? row % in->depth : 0;
    for (uint32_t k = 0; k < window; k++, row++) {
        state->window[k] = stage->border;
        if (row < in->height) {
            state->window[k] = slot_address(state, in, slot);
            slot = slot + 1u < in->depth ? slot + 1u : 0;
        } else if (stage->border == NULL) { /* the edge's own row is repeated */
            state->window[k] = row_slot(state, in, row > INT32_MAX ? 0u : in->height - 1u);
        }
    }
    for (uint32_t k = 0; k < stage->band_rows; k++) {
        state->band[k] = row_slot(state, out, y + k);
    }
    if (stage->second != MBN_NO_TENSOR) {
        for (uint32_t at = 0; at < other_count(stage); at++) {
            const mbn_tensor *read = &network->tensors[other(network, stage, at)];
            for (uint32_t k = 0; k < stage->band_rows; k++) {
                state->window[window++] = row_slot(state, read, least(y + k, read->height - 1u));
            }
        }
    }
    const mbn_observer *observer = state->observer;
    if (observer != NULL && observer->before != NULL) {
        observer->before(observer->context, index);
    }
    stage->run(state->window, state->band, address(state, stage->scratch_offset_bytes));
    if (observer != NULL && observer->after != NULL) {
        observer->after(observer->context, index);
    }
    state->rows_done[stage->output] = (uint16_t)(y + stage->band_rows);
    state->rows_counted += stage->band_rows;
    if (observer != NULL && observer->row != NULL) {
        for (uint32_t k = 0; k < stage->band_rows; k++) {
            observer->row(observer->context, index, (uint16_t)(y + k), state->band[k]);
        }
    }
}

/* Depth first within the segment. If a stage lacks rows, the stage before it is tried. After a
 * band its deepest reader comes next: stages deeper than that have no more to read than before
 * (at the start: than `deepest`). Ends when the first stage lacks rows. */
static void segment_run(mbn_state *state, const mbn_segment *segment, uint16_t deepest)
{
    uint16_t index = deepest < segment->last ? deepest : segment->last;
    for (;;) {
        if (stage_ready(state, &state->network->stages[index])) {
            stage_run(state, index);
            uint16_t reader = state->network->tensors[state->network->stages[index].output].reader;
            index = reader < segment->last ? reader : segment->last;
        } else if (index > segment->first) {
            index--;
        } else {
            return;
        }
    }
}

static bool segment_done(const mbn_state *state, const mbn_segment *segment)
{
    uint16_t tensor = state->network->stages[segment->last].output;
    return state->rows_done[tensor] >= state->network->tensors[tensor].height;
}

static bool input_complete(const mbn_state *state)
{
    uint16_t input = state->network->input;
    return state->rows_done[input] >= state->network->tensors[input].height;
}

/* Whether the FPU may be used: CPACR.CP10 (ARMv7-M: DDI 0403, B3.2.20; ARMv8-M: DDI 0553). */
static bool fpu_is_on(void)
{
#if (defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)) && defined(__ARM_ARCH_PROFILE) &&            \
    __ARM_ARCH_PROFILE == 'M'
    uint32_t control, exception;
    __asm volatile("mrs %0, control" : "=r"(control));
    __asm volatile("mrs %0, ipsr" : "=r"(exception));
    if ((control & 1u) != 0u && exception == 0u) {
        return true; /* an unprivileged thread faults where it reads CPACR */
    }
    return (*(const volatile uint32_t *)(uintptr_t)0xE000ED88u >> 20 & 1u) != 0u;
#else
    return true;
#endif
}

/* Of all pointers that stay the same from mbn_begin on: another value for any one bit. */
static uintptr_t pointers_seal(const mbn_state *state)
{
    return SEAL_SEED ^ (uintptr_t)state->network ^ (uintptr_t)state->arena ^
           (uintptr_t)state->rows_done ^ (uintptr_t)state->window ^ (uintptr_t)state->band ^
           (uintptr_t)state->guard_low ^ (uintptr_t)state->guard_high ^
           (uintptr_t)state->far_arena ^ (uintptr_t)state->far_guard_low ^
           (uintptr_t)state->far_guard_high;
}

/* What the rest of this file relies on without checking again. */
static mbn_status usable(const mbn_state *state)
{
    if (state == NULL || state->network == NULL) {
        return MBN_ERR_ARGUMENT;
    }
    return state->seal == pointers_seal(state) ? MBN_OK : MBN_ERR_CHANGED;
}

/* Whether each row of each tensor was made, and none twice: a counter of rows that something else
 * changed leaves some out, or repeats them. */
static bool rows_complete(const mbn_state *state)
{
    const mbn_network *network = state->network;
    uint32_t rows = network->tensors[network->input].height;
    for (uint16_t k = 0; k < network->stage_count; k++) {
        rows += network->tensors[network->stages[k].output].height;
    }
    return state->rows_counted == rows;
}

static bool aligned(const uint8_t *arena)
{
    return ((uintptr_t)arena & 15u) == 0u;
}

mbn_status mbn_begin(mbn_state *state)
{
    if (state == NULL || state->network == NULL || state->arena == NULL || !aligned(state->arena) ||
        !aligned(state->far_arena)) {
        return MBN_ERR_ARGUMENT;
    }
    if (state->network->needs_fpu && !fpu_is_on()) {
        return MBN_ERR_FPU;
    }
    for (uint16_t t = 0; t < state->network->tensor_count; t++) {
        state->rows_done[t] = 0;
    }
    state->rows_counted = 0;
    state->segment = 0;
    state->seal = pointers_seal(state);
    *state->guard_low = MBN_GUARD_WORD;
    *state->guard_high = MBN_GUARD_WORD;
    if (state->far_arena != NULL) {
        *state->far_guard_low = MBN_GUARD_WORD;
        *state->far_guard_high = MBN_GUARD_WORD;
    }
    return MBN_OK;
}

int8_t *mbn_input_row(const mbn_state *state)
{
    if (usable(state) != MBN_OK || input_complete(state)) {
        return NULL;
    }
    const mbn_tensor *in = &state->network->tensors[state->network->input];
    return row_slot(state, in, state->rows_done[state->network->input]);
}

mbn_status mbn_push_row(mbn_state *state, const int8_t *row)
{
    const mbn_status status = usable(state);
    if (status != MBN_OK) {
        return status;
    }
    const mbn_network *network = state->network;
    const mbn_tensor *in = &network->tensors[network->input];
    if (input_complete(state)) {
        return MBN_ERR_STATE;
    }
    if (row != NULL) {
        memcpy(mbn_input_row(state), row, (size_t)in->width * in->channels);
    }
    state->rows_done[network->input]++;
    state->rows_counted++;
    if (network->input_mode == MBN_INPUT_STREAM) {
        segment_run(state, &network->segments[0], in->reader);
    }
    return MBN_OK;
}

mbn_status mbn_push_pixels(mbn_state *state, const uint8_t *row)
{
    const mbn_status status = row == NULL ? MBN_ERR_ARGUMENT : usable(state);
    if (status != MBN_OK) {
        return status;
    }
    const mbn_tensor *in = &state->network->tensors[state->network->input];
    const int8_t *codes = state->network->pixels;
    int8_t *slot = mbn_input_row(state);
    if (slot == NULL) {
        return MBN_ERR_STATE;
    }
    for (uint32_t x = 0; x < in->width; x++) {
        for (uint32_t c = 0; c < in->channels; c++) {
            uint8_t pixel = *row++;
            *slot++ = codes != NULL ? codes[256u * c + pixel] : (int8_t)(pixel - 128);
        }
    }
    return mbn_push_row(state, NULL);
}

mbn_status mbn_finish(mbn_state *state)
{
    const mbn_status status = usable(state);
    if (status != MBN_OK) {
        return status;
    }
    const mbn_network *network = state->network;
    if (!input_complete(state)) {
        return MBN_ERR_STATE;
    }
    while (state->segment < network->segment_count) {
        const mbn_segment *segment = &network->segments[state->segment];
        segment_run(state, segment, segment->last);
        if (!segment_done(state, segment)) {
            return MBN_ERR_STATE;
        }
        state->segment++;
    }
    if (usable(state) != MBN_OK) {
        return MBN_ERR_CHANGED;
    }
    const bool guarded = mbn_guards_ok(state);
    if (!guarded || !rows_complete(state)) {
        state->segment = 0; /* no result: all rows are made, so that another call ends here again */
        return guarded ? MBN_ERR_CHANGED : MBN_ERR_GUARD;
    }
    return MBN_OK;
}

bool mbn_guards_ok(const mbn_state *state)
{
    if (usable(state) != MBN_OK) {
        return false;
    }
    bool whole = *state->guard_low == MBN_GUARD_WORD && *state->guard_high == MBN_GUARD_WORD;
    return whole && (state->far_arena == NULL || (*state->far_guard_low == MBN_GUARD_WORD &&
                                                  *state->far_guard_high == MBN_GUARD_WORD));
}

const int8_t *mbn_output(const mbn_state *state)
{
    if (usable(state) != MBN_OK || state->segment < state->network->segment_count) {
        return NULL;
    }
    const mbn_network *network = state->network;
    return row_slot(state, &network->tensors[network->output], 0);
}

uint16_t mbn_result_count(const mbn_network *network)
{
    return network->results == NULL ? 1u : network->result_count;
}

const mbn_tensor *mbn_result_tensor(const mbn_network *network, uint16_t index)
{
    if (index >= mbn_result_count(network)) {
        return NULL;
    }
    return &network->tensors[network->results == NULL ? network->output : network->results[index]];
}

const int8_t *mbn_result(const mbn_state *state, uint16_t index)
{
    if (mbn_output(state) == NULL) {
        return NULL;
    }
    const mbn_tensor *tensor = mbn_result_tensor(state->network, index);
    return tensor == NULL ? NULL : row_slot(state, tensor, 0);
}

mbn_status mbn_copy_result(const mbn_state *state, uint16_t index, int8_t *to)
{
    const mbn_status status = usable(state);
    if (status != MBN_OK) {
        return status;
    }
    const mbn_tensor *tensor = mbn_result_tensor(state->network, index);
    if (tensor == NULL || to == NULL) {
        return MBN_ERR_ARGUMENT;
    }
    if (mbn_output(state) == NULL) {
        return MBN_ERR_STATE;
    }
    for (uint32_t y = 0; y < tensor->height; y++) {
        mbn_canonical_row(tensor, row_slot(state, tensor, y), to);
        to += (size_t)tensor->width * tensor->channels;
    }
    return MBN_OK;
}

void mbn_canonical_row(const mbn_tensor *tensor, const int8_t *row, int8_t *canonical)
{
    if (tensor->plane_bytes == 0u) {
        memcpy(canonical, row, (size_t)tensor->width * tensor->channels);
        return;
    }
    for (uint32_t x = 0; x < tensor->width; x++) {
        for (uint32_t c = 0; c < tensor->channels; c++) {
            *canonical++ = row[c * tensor->plane_bytes + x];
        }
    }
}
