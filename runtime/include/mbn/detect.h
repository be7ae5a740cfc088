/* The results of an SSD head (arXiv 1512.02325) to boxes, in integers.
 *
 * A network that was compiled with a description of its detector has one in its header. After
 * mbn_finish, mbn_detect reads the results where they lie in the arena, keeps the best pairs of box
 * and class, decodes those alone, and lets each suppress later ones of its class that overlap it
 * too much. The host's exact reference gives the same integers. There is no heap, no division, no
 * floating point; the caller brings all memory.
 */
#ifndef MBN_DETECT_H
#define MBN_DETECT_H

#include "mbn/mbn.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A corner's unit: the image's side is so many. In an image of `height` rows a box begins at row
 * (uint32_t)top * height >> MBN_BOX_BITS. */
#define MBN_BOX_BITS 14
#define MBN_BOX_SIDE (1u << MBN_BOX_BITS)

/* A score's unit: 1 << MBN_SCORE_BITS is certainty. */
#define MBN_SCORE_BITS 15

/* One found object. */
typedef struct mbn_detection {
    uint16_t label; /* class */
    uint16_t score; /* 0 to 1 << MBN_SCORE_BITS */
    uint16_t top;   /* 0 to MBN_BOX_SIDE, as all corners: in the image, top <= bottom */
    uint16_t left;
    uint16_t bottom;
    uint16_t right;
} mbn_detection;

/* A pair of box and class that may be one: the caller's workspace holds these between no calls. */
typedef struct mbn_candidate {
    uint32_t order; /* of all pairs, map by map: what goes first where scores are equal */
    uint16_t score;
    uint16_t label;
    uint16_t map;
    uint16_t y;   /* cell */
    uint16_t x;   /* cell */
    uint16_t box; /* of the cell */
} mbn_candidate;

/* One map that predicts. Tables of 256 are by code + 128. Flash; generated. */
typedef struct mbn_box_map {
    const uint16_t *scores;     /* of a class code; never falls where the code rises */
    const int32_t *offsets;     /* of a centre's code, of 2^16 of the box's side; below 2^19 */
    const uint16_t *factors;    /* of a size's code, of 2^12; at most 2^15 */
    const uint16_t *rows;       /* [height]: middles of the cells, of MBN_BOX_SIDE */
    const uint16_t *columns;    /* [width] */
    const uint16_t (*sizes)[2]; /* [boxes]: height and width of each box of a cell */
    uint16_t class_result;      /* index of a result: height x width x (boxes * classes) */
    uint16_t box_result;        /* height x width x (boxes * 4): centre's y and x, height, width */
    uint16_t boxes;             /* of a cell */
} mbn_box_map;

/* What the results mean, and the limits. Flash; generated. */
typedef struct mbn_detector {
    const mbn_box_map *maps;
    uint16_t map_count;
    uint16_t classes;     /* in each box, the background counted */
    uint16_t first_class; /* 1: class 0 is the background, and nothing of it is found */
    uint16_t candidates;  /* pairs that are kept at most, 1 or more: the size of the workspace */
    uint16_t least;       /* score of a candidate */
    uint16_t overlap;     /* intersection over union, of 2^8, above which a later box goes */
} mbn_detector;

/* Finds at most `most` objects in the results of `state`, best first: their number goes to `count`,
 * they go to `found`. work: detector->candidates of them; what it holds does not matter, before or
 * after. With less room than objects the best come.
 *
 * MBN_ERR_ARGUMENT: a null pointer, or results of another shape than the detector's. MBN_ERR_STATE:
 * mbn_output is null too. `count` is then 0. */
MBN_MUST_USE mbn_status mbn_detect(const mbn_detector *detector, const mbn_state *state,
                                   mbn_candidate *work, mbn_detection *found, uint16_t most,
                                   uint16_t *count);

#ifdef __cplusplus
}
#endif

#endif
