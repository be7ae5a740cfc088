/* The objects that the network's detector finds, for the harness to compare. Of a network without
 * one there are none, and no memory is spent.
 */
#ifndef MBN_CHECK_BOXES_H
#define MBN_CHECK_BOXES_H

#include "frame.h"
#include "network.h"

/* Finds them in the results of the inference that has just ended. */
void mbn_boxes_find(const mbn_model_state *model);

/* What that came to; MBN_STATUS_UNKNOWN without a detector. */
int mbn_boxes_status(void);

/* The body of the answer to MBN_ASK_BOXES: those from `first` on, as many as fit in so many
 * bytes. */
void mbn_boxes_put(mbn_frame_writer *writer, uint16_t first, size_t capacity);

#endif
