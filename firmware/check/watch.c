/* The check app's observer; see watch.h. */
#include "watch.h"

#include "defence.h"
#include "mbn/port.h"
#include "protocol.h"

#include <string.h>

static void before(void *context, uint16_t stage)
{
    mbn_watch *watch = context;
    (void)stage;
    watch->started = mbn_port_cycles();
}

static void after(void *context, uint16_t stage)
{
    mbn_watch *watch = context;
    uint32_t cycles = mbn_port_cycles() - watch->started;
    watch->cycles[stage] += cycles;
    watch->runs[stage]++;
    mbn_port_watchdog_feed();
}

/* One pixel of a planar row; interleaved rows are taken whole. */
static size_t pixel(const mbn_tensor *tensor, const int8_t *row, uint32_t x, uint32_t first,
                    uint8_t *bytes, size_t capacity)
{
    size_t size = 0;
    for (uint32_t c = first; c < tensor->channels && size < capacity; c++) {
        bytes[size++] = (uint8_t)row[c * tensor->plane_bytes + x];
    }
    return size;
}

typedef void (*sink_fn)(void *sink, const uint8_t *data, size_t size_bytes);

static void canonical(const mbn_tensor *tensor, const int8_t *row, sink_fn take, void *sink)
{
    uint8_t bytes[64];
    if (tensor->plane_bytes == 0u) {
        take(sink, (const uint8_t *)row, (size_t)tensor->width * tensor->channels);
        return;
    }
    for (uint32_t x = 0; x < tensor->width; x++) {
        for (uint32_t c = 0; c < tensor->channels; c += (uint32_t)sizeof bytes) {
            take(sink, bytes, pixel(tensor, row, x, c, bytes, sizeof bytes));
        }
    }
}

static void sink_crc(void *sink, const uint8_t *data, size_t size_bytes)
{
    uint32_t *crc = sink;
    *crc = mbn_crc32(*crc, data, size_bytes);
}

static void sink_frame(void *sink, const uint8_t *data, size_t size_bytes)
{
    mbn_frame_bytes(sink, data, size_bytes);
}

static void row_stored(void *context, uint16_t stage, uint16_t y, const int8_t *row)
{
    mbn_watch *watch = context;
    const mbn_tensor *tensor = &watch->network->tensors[watch->network->stages[stage].output];
    if ((watch->flags & MBN_WATCH_CHECKSUMS) != 0u) {
        canonical(tensor, row, sink_crc, &watch->crc[stage]);
        watch->rows[stage]++;
    }
    if ((watch->flags & MBN_WATCH_TRACE) != 0u && stage == watch->traced) {
        mbn_frame_begin(watch->writer);
        mbn_frame_u8(watch->writer, MBN_TELL_TRACE);
        mbn_frame_u8(watch->writer, 0);
        mbn_frame_u16(watch->writer, stage);
        mbn_frame_u16(watch->writer, y);
        canonical(tensor, row, sink_frame, watch->writer);
        mbn_frame_end(watch->writer);
    }
}

const mbn_observer *mbn_watch_begin(mbn_watch *watch, uint8_t flags, uint16_t traced)
{
    watch->flags = flags;
    watch->traced = traced;
    memset(watch->crc, 0, sizeof watch->crc);
    memset(watch->rows, 0, sizeof watch->rows);
    memset(watch->cycles, 0, sizeof watch->cycles);
    memset(watch->runs, 0, sizeof watch->runs);
    bool cycles = (flags & MBN_WATCH_CYCLES) != 0u && mbn_port_has_cycles();
    bool rows = (flags & (MBN_WATCH_CHECKSUMS | MBN_WATCH_TRACE)) != 0u;
    watch->observer = (mbn_observer){
        .context = watch,
        .before = cycles ? before : NULL,
        .after = cycles ? after : mbn_defence_feeder.after,
        .row = rows ? row_stored : NULL,
    };
    return &watch->observer;
}
