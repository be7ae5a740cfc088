/* The harness's app: takes images over the serial line, runs the network, and answers requests
 * about every bit.
 *
 * Requests and answers are frames (protocol.h). A damaged frame is reported and dropped, an unknown
 * one refused. The app waits for bytes and for nothing else.
 */
#include "mbn/mbn.h"
#include "mbn/port.h"

#include "boxes.h"
#include "defence.h"
#include "frame.h"
#include "network.h"
#include "protocol.h"
#include "watch.h"

#include <stdalign.h>
#include <string.h>

#ifndef MBN_CHECK_REQUEST_BYTES
#define MBN_CHECK_REQUEST_BYTES 2048u /* the longest request; answers may be longer */
#endif
#ifndef MBN_CHECK_EVERY
#define MBN_CHECK_EVERY 16u /* inferences from one look at code and weights to the next; 0: none */
#endif
#define CRC_BYTES 4u
#define HEADER_BYTES 2u
#define ANSWER_BYTES 1024u /* where a list is cut into several answers */

typedef struct request {
    uint8_t type;
    uint8_t sequence;
    const uint8_t *arguments;
    size_t size;
} request;

static mbn_model_state model;
static mbn_watch watch;
static mbn_frame_writer writer;
static mbn_frame_reader reader;
static alignas(4) uint8_t received[MBN_CHECK_REQUEST_BYTES + CRC_BYTES];
_Static_assert(sizeof received >= 4u * MBN_DEFENCE_WORDS, "a table at the start");
static uint32_t loaded_bytes;
static uint64_t inference_cycles;
static mbn_status finished;     /* what mbn_finish said of this image; MBN_ERR_STATE: nothing yet */
static const mbn_range *damage; /* of constants, as found at the start or since */
static uint32_t unchecked;      /* inferences since they were looked at */

static uint16_t get_u16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] | bytes[1] << 8);
}

static uint32_t get_u32(const uint8_t *bytes)
{
    return (uint32_t)get_u16(bytes) | (uint32_t)get_u16(bytes + 2) << 16;
}

static void put_u64(uint64_t value)
{
    mbn_frame_u32(&writer, (uint32_t)value);
    mbn_frame_u32(&writer, (uint32_t)(value >> 32));
}

static void put_shape(const mbn_tensor *tensor)
{
    mbn_frame_u16(&writer, tensor->height);
    mbn_frame_u16(&writer, tensor->width);
    mbn_frame_u16(&writer, tensor->channels);
}

static void answer_begin(const request *asked, int status)
{
    mbn_frame_begin(&writer);
    mbn_frame_u8(&writer, (uint8_t)(asked->type | MBN_ANSWER));
    mbn_frame_u8(&writer, asked->sequence);
    mbn_frame_u8(&writer, (uint8_t)status);
}

static void answer_status(const request *asked, int status)
{
    answer_begin(asked, status);
    mbn_frame_end(&writer);
}

static const mbn_tensor *input_tensor(void)
{
    return &mbn_model.tensors[mbn_model.input];
}

static uint32_t row_bytes(const mbn_tensor *tensor)
{
    return (uint32_t)tensor->width * tensor->channels;
}

static uint32_t result_bytes(uint16_t index)
{
    const mbn_tensor *tensor = mbn_result_tensor(&mbn_model, index);
    return row_bytes(tensor) * tensor->height;
}

static uint32_t results_bytes(void)
{
    uint32_t total = 0;
    for (uint16_t k = 0; k < mbn_result_count(&mbn_model); k++) {
        total += result_bytes(k);
    }
    return total;
}

/* Of several results, one after the other, the sum of their bytes: 0, low half, high half. */
static void put_results_shape(void)
{
    if (mbn_result_count(&mbn_model) == 1u) {
        put_shape(mbn_result_tensor(&mbn_model, 0));
        return;
    }
    mbn_frame_u16(&writer, 0);
    mbn_frame_u32(&writer, results_bytes());
}

static void identify(const request *asked)
{
    answer_begin(asked, MBN_OK);
    mbn_frame_u8(&writer, MBN_PROTOCOL_VERSION);
    mbn_frame_u8(&writer, (uint8_t)mbn_model.input_mode);
    mbn_frame_u8(&writer, mbn_port_has_cycles() ? 1u : 0u);
    put_shape(input_tensor());
    put_results_shape();
    mbn_frame_u16(&writer, mbn_model.stage_count);
    mbn_frame_u32(&writer, mbn_model.arena_bytes);
    mbn_frame_u32(&writer, mbn_model.weights_bytes);
    mbn_frame_u32(&writer, mbn_model.macs);
    mbn_frame_u32(&writer, MBN_CHECK_REQUEST_BYTES);
    mbn_frame_u32(&writer, mbn_port_clock_hz());
    mbn_frame_text(&writer, MBN_BOARD_NAME);
    mbn_frame_text(&writer, MBN_CORE_NAME);
    mbn_frame_text(&writer, MBN_BUILD_ID);
    mbn_frame_text(&writer, mbn_model.name);
    mbn_frame_text(&writer, mbn_model.model_sha256);
    mbn_frame_end(&writer);
}

static size_t put_stage(uint16_t index)
{
    const mbn_stage *stage = &mbn_model.stages[index];
    put_shape(&mbn_model.tensors[stage->output]);
    mbn_frame_u32(&writer, stage->macs);
    mbn_frame_text(&writer, stage->name);
    return 11u + strlen(stage->name);
}

static size_t put_checksum(uint16_t index)
{
    mbn_frame_u32(&writer, watch.crc[index]);
    mbn_frame_u16(&writer, watch.rows[index]);
    return 6u;
}

static size_t put_cycles(uint16_t index)
{
    put_u64(watch.cycles[index]);
    mbn_frame_u32(&writer, watch.runs[index]);
    return 12u;
}

/* A list over the stages, from the one asked for to where the answer is full. */
static void list(const request *asked, size_t (*put)(uint16_t index))
{
    if (asked->size != 2u) {
        answer_status(asked, MBN_STATUS_SHORT);
        return;
    }
    uint16_t first = get_u16(asked->arguments);
    size_t size = 0;
    answer_begin(asked, MBN_OK);
    mbn_frame_u16(&writer, mbn_model.stage_count);
    mbn_frame_u16(&writer, first);
    for (uint16_t k = first; k < mbn_model.stage_count && size < ANSWER_BYTES; k++) {
        size += put(k);
    }
    mbn_frame_end(&writer);
}

static void list_watched(const request *asked, uint8_t flag, size_t (*put)(uint16_t index))
{
    if ((watch.flags & flag) == 0u || (flag == MBN_WATCH_CYCLES && !mbn_port_has_cycles())) {
        answer_status(asked, MBN_STATUS_UNWATCHED);
        return;
    }
    list(asked, put);
}

static void begin(const request *asked)
{
    if (asked->size != 3u) {
        answer_status(asked, MBN_STATUS_SHORT);
        return;
    }
    if (damage != NULL) {
        answer_status(asked, MBN_STATUS_DAMAGED);
        return;
    }
    uint8_t flags = asked->arguments[0];
    if (flags != 0u && mbn_model.stage_count > MBN_CHECK_STAGES) {
        answer_status(asked, MBN_ERR_ARGUMENT);
        return;
    }
    loaded_bytes = 0;
    inference_cycles = 0;
    finished = MBN_ERR_STATE;
    watch.network = &mbn_model;
    watch.writer = &writer;
    mbn_status status = mbn_model_init(&model);
    model.base.observer = mbn_watch_begin(&watch, flags, get_u16(asked->arguments + 1));
    answer_status(asked, status);
}

/* Writes bytes to the next row and pushes every row that becomes complete. */
static mbn_status load_bytes(const uint8_t *data, size_t size)
{
    const uint32_t row = row_bytes(input_tensor());
    while (size > 0u) {
        uint32_t inside = loaded_bytes % row;
        int8_t *slot = mbn_input_row(&model.base);
        if (slot == NULL) {
            return MBN_ERR_STATE;
        }
        size_t part = size < row - inside ? size : row - inside;
        memcpy(slot + inside, data, part);
        data += part;
        size -= part;
        loaded_bytes += (uint32_t)part;
        if (inside + part == row) {
            uint32_t started = mbn_port_cycles();
            mbn_status status = mbn_push_row(&model.base, NULL);
            inference_cycles += mbn_port_cycles() - started;
            if (status != MBN_OK) {
                return status;
            }
        }
    }
    return MBN_OK;
}

static void load(const request *asked)
{
    int status = MBN_OK;
    if (asked->size < 4u) {
        answer_status(asked, MBN_STATUS_SHORT);
        return;
    }
    if (model.base.network == NULL) {
        status = MBN_ERR_STATE;
    } else if (get_u32(asked->arguments) == loaded_bytes) {
        status = load_bytes(asked->arguments + 4, asked->size - 4u);
    }
    answer_begin(asked, status);
    mbn_frame_u32(&writer, loaded_bytes);
    mbn_frame_end(&writer);
}

/* Code and weights once more, after the inference and before its result is given away. No request
 * lies in `received` that is still read. The watchdog waits meanwhile, for seconds; a megabyte
 * takes a tenth of one. */
static void look_again(void)
{
    if (MBN_CHECK_EVERY != 0u && ++unchecked >= MBN_CHECK_EVERY && damage == NULL) {
        unchecked = 0;
        mbn_port_watchdog_feed();
        damage = mbn_defence_damage((uint32_t *)(void *)received);
    }
}

static void infer(const request *asked)
{
    if (model.base.network == NULL) {
        answer_status(asked, MBN_ERR_STATE);
        return;
    }
    if (finished == MBN_ERR_STATE) { /* repeated, it would run again what takes cycles */
        uint32_t started = mbn_port_cycles();
        finished = mbn_finish(&model.base);
        if (finished != MBN_ERR_STATE) {
            inference_cycles += mbn_port_cycles() - started;
            mbn_boxes_find(&model);
            look_again();
        }
    }
    answer_begin(asked, damage != NULL ? (int)MBN_STATUS_DAMAGED : (int)finished);
    put_u64(mbn_port_has_cycles() ? inference_cycles : 0u);
    mbn_frame_end(&writer);
}

/* Byte `at` of a result in height x width x channel order. */
static int8_t result_byte(uint16_t index, uint32_t at)
{
    const mbn_tensor *tensor = mbn_result_tensor(&mbn_model, index);
    const uint32_t row_size = row_bytes(tensor);
    uint32_t y = at / row_size;
    uint32_t x = at % row_size / tensor->channels;
    uint32_t c = at % tensor->channels;
    size_t place = tensor->plane_bytes == 0u ? (size_t)x * tensor->channels + c
                                             : (size_t)c * tensor->plane_bytes + x;
    return mbn_result(&model.base, index)[(size_t)y * tensor->row_bytes + place];
}

static void output(const request *asked)
{
    const bool done = model.base.network != NULL && mbn_output(&model.base) != NULL;
    if (asked->size != 4u || !done || damage != NULL) {
        int status = done ? (int)MBN_STATUS_SHORT : (int)MBN_ERR_STATE;
        answer_status(asked, damage != NULL ? (int)MBN_STATUS_DAMAGED : status);
        return;
    }
    const uint32_t size = results_bytes();
    uint32_t at = get_u32(asked->arguments);
    uint32_t start = 0; /* of the result that holds byte `at` of all */
    uint16_t index = 0;
    answer_begin(asked, MBN_OK);
    mbn_frame_u32(&writer, size);
    mbn_frame_u32(&writer, at);
    for (uint32_t end = at + ANSWER_BYTES; at < size && at < end; at++) {
        while (at - start >= result_bytes(index)) {
            start += result_bytes(index);
            index++;
        }
        mbn_frame_u8(&writer, (uint8_t)result_byte(index, at - start));
    }
    mbn_frame_end(&writer);
}

static void boxes(const request *asked)
{
    int status = mbn_boxes_status();
    if (status != MBN_STATUS_UNKNOWN) {
        status = finished != MBN_OK ? (int)MBN_ERR_STATE : status;
        status = asked->size != 2u ? (int)MBN_STATUS_SHORT : status;
        status = damage != NULL ? (int)MBN_STATUS_DAMAGED : status;
    }
    answer_begin(asked, status);
    if (status == MBN_OK) {
        mbn_boxes_put(&writer, get_u16(asked->arguments), ANSWER_BYTES);
    }
    mbn_frame_end(&writer);
}

static void memory(const request *asked)
{
    mbn_stack_use stack = {0};
    bool known = mbn_port_stack(&stack);
    bool guards = model.base.network == NULL || mbn_guards_ok(&model.base);
    answer_begin(asked, MBN_OK);
    mbn_frame_u8(&writer, known ? 1u : 0u);
    mbn_frame_u8(&writer, stack.guard_ok ? 1u : 0u);
    mbn_frame_u8(&writer, guards ? 1u : 0u);
    mbn_frame_u32(&writer, stack.reserved_bytes);
    mbn_frame_u32(&writer, stack.used_bytes);
    mbn_frame_u32(&writer, mbn_model.arena_bytes);
    mbn_frame_u32(&writer, (uint32_t)sizeof model);
    mbn_frame_end(&writer);
}

static void health(const request *asked)
{
    const mbn_start_info *start = mbn_port_start();
    answer_begin(asked, MBN_OK);
    mbn_frame_u8(&writer, damage == NULL ? 1u : 0u);
    mbn_frame_u32(&writer, damage == NULL ? 0u : (uint32_t)(uintptr_t)damage->start);
    mbn_frame_u32(&writer, damage == NULL ? 0u : damage->size_bytes);
    mbn_frame_bytes(&writer, (const uint8_t *)start, sizeof *start); /* both are little-endian */
    mbn_frame_end(&writer);
}

static void serve(const request *asked)
{
    switch (asked->type) {
    case MBN_ASK_IDENTIFY:
        identify(asked);
        break;
    case MBN_ASK_STAGES:
        list(asked, put_stage);
        break;
    case MBN_ASK_BEGIN:
        begin(asked);
        break;
    case MBN_ASK_LOAD:
        load(asked);
        break;
    case MBN_ASK_INFER:
        infer(asked);
        break;
    case MBN_ASK_OUTPUT:
        output(asked);
        break;
    case MBN_ASK_CHECKSUMS:
        list_watched(asked, MBN_WATCH_CHECKSUMS, put_checksum);
        break;
    case MBN_ASK_CYCLES:
        list_watched(asked, MBN_WATCH_CYCLES, put_cycles);
        break;
    case MBN_ASK_MEMORY:
        memory(asked);
        break;
    case MBN_ASK_HEALTH:
        health(asked);
        break;
    case MBN_ASK_BOXES:
        boxes(asked);
        break;
    case MBN_ASK_RESET:
        answer_status(asked, MBN_OK);
        mbn_port_reset();
    default:
        answer_status(asked, MBN_STATUS_UNKNOWN);
        break;
    }
}

static void tell_damage(mbn_frame_event event)
{
    mbn_frame_begin(&writer);
    mbn_frame_u8(&writer, MBN_TELL_DAMAGE);
    mbn_frame_u8(&writer, 0);
    mbn_frame_u8(&writer, event == MBN_FRAME_TOO_LONG ? 2u : 1u);
    mbn_frame_end(&writer);
}

static void take(uint8_t byte)
{
    mbn_frame_event event = mbn_frame_take(&reader, byte);
    if (event == MBN_FRAME_NONE) {
        return;
    }
    if (event != MBN_FRAME_COMPLETE || reader.size < HEADER_BYTES) {
        tell_damage(event);
        return;
    }
    const request asked = {received[0], received[1], received + HEADER_BYTES,
                           reader.size - HEADER_BYTES};
    serve(&asked);
}

static void tell_fault(const mbn_fault *fault)
{
    const uint8_t *words = (const uint8_t *)fault; /* both sides are little-endian */
    mbn_frame_begin(&writer);
    mbn_frame_u8(&writer, MBN_TELL_FAULT);
    mbn_frame_u8(&writer, 0);
    mbn_frame_bytes(&writer, words, MBN_FAULT_WORDS * 4u);
    mbn_frame_end(&writer);
}

/* Reports what happened and restarts. MBN_ASK_HEALTH reports it again after the restart. */
_Noreturn void mbn_app_fault(const mbn_fault *fault)
{
    const uint8_t zero = 0;
    mbn_port_write(&zero, 1); /* ends a frame that the fault may have cut */
    tell_fault(fault);
    mbn_port_reset();
}

static void tell_start(void)
{
    const uint8_t zero = 0;
    mbn_port_write(&zero, 1); /* ends a frame that the reset may have cut */
    mbn_frame_begin(&writer);
    mbn_frame_u8(&writer, MBN_TELL_START);
    mbn_frame_u8(&writer, 0);
    mbn_frame_u8(&writer, (uint8_t)mbn_port_start()->reason);
    mbn_frame_end(&writer);
}

int main(void)
{
    static uint8_t burst[256];
    mbn_port_init();
    damage = mbn_defence_damage((uint32_t *)(void *)received);
    mbn_port_watchdog_start(MBN_WATCHDOG_MS);
    mbn_frame_reader_init(&reader, received, sizeof received);
    tell_start();
    for (;;) {
        mbn_port_watchdog_feed();
        size_t size = mbn_port_read(burst, sizeof burst);
        for (size_t k = 0; k < size; k++) {
            take(burst[k]);
        }
    }
}
