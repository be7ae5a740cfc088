/* The check app's objects; see boxes.h. */
#include "boxes.h"

#include "mbn/port.h"
#include "protocol.h"

#if defined(MBN_MODEL_CANDIDATES)

#define BOX_BYTES 12u /* of one in an answer */

static mbn_candidate work[MBN_MODEL_CANDIDATES];
static mbn_detection found[MBN_MODEL_CANDIDATES];
static uint16_t count;
static uint32_t cycles;
static mbn_status status = MBN_ERR_STATE;

void mbn_boxes_find(const mbn_model_state *model)
{
    const uint32_t started = mbn_port_cycles();
    status = mbn_model_detect(model, work, found, MBN_MODEL_CANDIDATES, &count);
    cycles = mbn_port_cycles() - started;
}

int mbn_boxes_status(void)
{
    return (int)status;
}

void mbn_boxes_put(mbn_frame_writer *writer, uint16_t first, size_t capacity)
{
    mbn_frame_u16(writer, count);
    mbn_frame_u16(writer, first);
    mbn_frame_u32(writer, mbn_port_has_cycles() ? cycles : 0u);
    for (uint16_t k = first; k < count && capacity >= BOX_BYTES; k++, capacity -= BOX_BYTES) {
        const mbn_detection *one = &found[k];
        mbn_frame_u16(writer, one->label);
        mbn_frame_u16(writer, one->score);
        mbn_frame_u16(writer, one->top);
        mbn_frame_u16(writer, one->left);
        mbn_frame_u16(writer, one->bottom);
        mbn_frame_u16(writer, one->right);
    }
}

#else

void mbn_boxes_find(const mbn_model_state *model)
{
    (void)model;
}

int mbn_boxes_status(void)
{
    return MBN_STATUS_UNKNOWN;
}

void mbn_boxes_put(mbn_frame_writer *writer, uint16_t first, size_t capacity)
{
    (void)writer;
    (void)first;
    (void)capacity;
}

#endif
