/* Boxes out of the results of an SSD head; see detect.h.
 *
 * The best candidates are kept in a heap whose root is the worst of them. It is cheaper than a sort
 * or a second pass: nearly all codes lie below what the root asks for, and one comparison with a
 * code, which is looked up again only when the root changes, ends them. So a code that is no
 * candidate costs ten cycles on a Cortex-M4, one that is kept log2(candidates) exchanges more
 * (174,447 codes, 100 candidates: 1.8 million cycles where none is one, 2.0 million where all are).
 * Only what is left is decoded, best first.
 */
#include "mbn/detect.h"

#define FIRST_CODE (-128) /* of the tables */
#define LAST_CODE 127
#define BOX_CODES 4u
#define OFFSET_BITS 16
#define FACTOR_BITS 13 /* a factor has 12; a box reaches half its side from its middle */
#define OVERLAP_BITS 8

/* A result where it lies: byte (y, x, c) at first[y * row + x * pixel + c * channel]. */
typedef struct place {
    const int8_t *first;
    size_t row;
    size_t pixel;
    size_t channel;
} place;

typedef struct heap {
    mbn_candidate
        *all; /* the worst first; of each pair of children none is worse than its parent */
    uint32_t count;
    uint32_t capacity;
} heap;

static place place_of(const mbn_state *state, uint16_t result)
{
    const mbn_tensor *tensor = mbn_result_tensor(state->network, result);
    const bool planar = tensor->plane_bytes != 0u;
    return (place){
        .first = mbn_result(state, result),
        .row = tensor->row_bytes,
        .pixel = planar ? 1u : tensor->channels,
        .channel = planar ? tensor->plane_bytes : 1u,
    };
}

static bool fits(const mbn_tensor *tensor, const mbn_tensor *other, uint32_t channels)
{
    return tensor != NULL && other != NULL && tensor->height == other->height &&
           tensor->width == other->width && tensor->channels == channels;
}

/* Whether the network's results are those that the detector describes. */
static bool described(const mbn_detector *detector, const mbn_network *network)
{
    for (uint16_t k = 0; k < detector->map_count; k++) {
        const mbn_box_map *map = &detector->maps[k];
        const mbn_tensor *classes = mbn_result_tensor(network, map->class_result);
        const mbn_tensor *boxes = mbn_result_tensor(network, map->box_result);
        if (!fits(classes, boxes, (uint32_t)map->boxes * detector->classes) ||
            !fits(boxes, classes, (uint32_t)map->boxes * BOX_CODES)) {
            return false;
        }
    }
    return detector->candidates != 0u;
}

/* Whether `a` comes behind `b`. No two have one order. */
static bool worse(const mbn_candidate *a, const mbn_candidate *b)
{
    return a->score < b->score || (a->score == b->score && a->order > b->order);
}

/* Puts `one` at `at` or, where a child is worse, below it. */
static void sink(mbn_candidate *all, uint32_t count, uint32_t at, mbn_candidate one)
{
    for (uint32_t child = 2u * at + 1u; child < count; child = 2u * at + 1u) {
        if (child + 1u < count && worse(&all[child + 1u], &all[child])) {
            child++;
        }
        if (!worse(&all[child], &one)) {
            break;
        }
        all[at] = all[child];
        at = child;
    }
    all[at] = one;
}

/* Takes one that is better than the root, or any while there is room. */
static void keep(heap *best, mbn_candidate one)
{
    if (best->count == best->capacity) {
        sink(best->all, best->count, 0, one);
        return;
    }
    uint32_t at = best->count++;
    while (at > 0u && worse(&one, &best->all[(at - 1u) / 2u])) {
        best->all[at] = best->all[(at - 1u) / 2u];
        at = (at - 1u) / 2u;
    }
    best->all[at] = one;
}

/* The least code whose score is a candidate's now, from one that was so before: those that come
 * later lose where scores are equal. LAST_CODE + 1: none is. */
static int32_t least_code(const mbn_detector *detector, const mbn_box_map *map, const heap *best,
                          int32_t code)
{
    uint32_t least = detector->least;
    if (best->count == best->capacity && best->all[0].score >= least) {
        least = best->all[0].score + 1u;
    }
    while (code <= LAST_CODE && map->scores[code - FIRST_CODE] < least) {
        code++;
    }
    return code;
}

/* The first of the codes from `at` on that is no less than `least`; `count`: none is. */
static uint32_t next_code(const int8_t *codes, size_t step, uint32_t at, uint32_t count,
                          int32_t least)
{
    while (at < count && codes[at * step] < least) {
        at++;
    }
    return at;
}

/* The candidates of one map; returns the order behind it. */
static uint32_t scan(const mbn_detector *detector, const mbn_state *state, uint16_t number,
                     uint32_t order, heap *best)
{
    const mbn_box_map *map = &detector->maps[number];
    const mbn_tensor *tensor = mbn_result_tensor(state->network, map->class_result);
    const place from = place_of(state, map->class_result);
    const uint32_t classes = detector->classes;
    const uint32_t count = map->boxes * classes;
    int32_t least = least_code(detector, map, best, FIRST_CODE);
    for (uint16_t y = 0; y < tensor->height; y++) {
        for (uint16_t x = 0; x < tensor->width; x++, order += count) {
            const int8_t *codes = from.first + y * from.row + x * from.pixel;
            uint32_t own = 0; /* where the box's codes begin */
            mbn_candidate one = {.map = number, .y = y, .x = x};
            uint32_t at = next_code(codes, from.channel, 0, count, least);
            while (at < count) {
                for (; at - own >= classes; own += classes) {
                    one.box++;
                }
                one.label = (uint16_t)(at - own);
                if (one.label >= detector->first_class) {
                    one.order = order + at;
                    one.score = map->scores[codes[at * from.channel] - FIRST_CODE];
                    keep(best, one);
                    least = least_code(detector, map, best, least);
                }
                at = next_code(codes, from.channel, at + 1u, count, least);
            }
        }
    }
    return order;
}

/* The heap's candidates, best first. */
static void sort(heap *best)
{
    for (uint32_t left = best->count; left > 1u; left--) {
        const mbn_candidate worst = best->all[0];
        sink(best->all, left - 1u, 0, best->all[left - 1u]);
        best->all[left - 1u] = worst;
    }
}

static uint16_t inside(int32_t value)
{
    if (value < 0) {
        return 0;
    }
    return value > (int32_t)MBN_BOX_SIDE ? (uint16_t)MBN_BOX_SIDE : (uint16_t)value;
}

/* Two corners along one axis, of a default box's middle and side. */
static void decode(uint32_t middle, uint32_t side, int32_t offset, uint32_t factor, uint16_t *low,
                   uint16_t *high)
{
    /* 64 bits: a side of 16 and an offset of 19 */
    const int64_t moved = (int64_t)side * offset + (1 << (OFFSET_BITS - 1));
    const int32_t centre = (int32_t)middle + (int32_t)(moved >> OFFSET_BITS);
    const int32_t half = (int32_t)((side * factor + (1u << (FACTOR_BITS - 1))) >> FACTOR_BITS);
    *low = inside(centre - half);
    *high = inside(centre + half);
}

static mbn_detection decoded(const mbn_detector *detector, const mbn_state *state,
                             const mbn_candidate *one)
{
    const mbn_box_map *map = &detector->maps[one->map];
    const place codes = place_of(state, map->box_result);
    const int8_t *at = codes.first + one->y * codes.row + one->x * codes.pixel;
    uint32_t code[BOX_CODES];
    for (uint32_t k = 0; k < BOX_CODES; k++) {
        code[k] = (uint32_t)(at[(one->box * BOX_CODES + k) * codes.channel] - FIRST_CODE);
    }
    mbn_detection made = {.label = one->label, .score = one->score};
    decode(map->rows[one->y], map->sizes[one->box][0], map->offsets[code[0]], map->factors[code[2]],
           &made.top, &made.bottom);
    decode(map->columns[one->x], map->sizes[one->box][1], map->offsets[code[1]],
           map->factors[code[3]], &made.left, &made.right);
    return made;
}

static uint32_t area(uint32_t height, uint32_t width)
{
    return height * width; /* at most 2^28 */
}

static uint32_t common(uint16_t low, uint16_t high, uint16_t other_low, uint16_t other_high)
{
    const uint32_t from = low > other_low ? low : other_low;
    const uint32_t to = high < other_high ? high : other_high;
    return to > from ? to - from : 0u;
}

/* Whether intersection over union is above the limit. */
static bool suppresses(const mbn_detection *a, const mbn_detection *b, uint16_t overlap)
{
    const uint32_t both = area(common(a->top, a->bottom, b->top, b->bottom),
                               common(a->left, a->right, b->left, b->right));
    const uint32_t of_a = area((uint32_t)a->bottom - a->top, (uint32_t)a->right - a->left);
    const uint32_t of_b = area((uint32_t)b->bottom - b->top, (uint32_t)b->right - b->left);
    return ((uint64_t)both << OVERLAP_BITS) > (uint64_t)(of_a + of_b - both) * overlap;
}

static bool is_suppressed(const mbn_detection *found, uint16_t count, const mbn_detection *one,
                          uint16_t overlap)
{
    for (uint16_t k = 0; k < count; k++) {
        if (found[k].label == one->label && suppresses(&found[k], one, overlap)) {
            return true;
        }
    }
    return false;
}

mbn_status mbn_detect(const mbn_detector *detector, const mbn_state *state, mbn_candidate *work,
                      mbn_detection *found, uint16_t most, uint16_t *count)
{
    if (count == NULL) {
        return MBN_ERR_ARGUMENT;
    }
    *count = 0;
    if (detector == NULL || work == NULL || found == NULL) {
        return MBN_ERR_ARGUMENT;
    }
    if (mbn_output(state) == NULL) { /* also where the state's pointers must not be followed */
        return MBN_ERR_STATE;
    }
    if (!described(detector, state->network)) {
        return MBN_ERR_ARGUMENT;
    }
    heap best = {.all = work, .count = 0, .capacity = detector->candidates};
    uint32_t order = 0;
    for (uint16_t k = 0; k < detector->map_count; k++) {
        order = scan(detector, state, k, order, &best);
    }
    sort(&best);
    for (uint32_t k = 0; k < best.count && *count < most; k++) {
        const mbn_detection one = decoded(detector, state, &work[k]);
        if (!is_suppressed(found, *count, &one, detector->overlap)) {
            found[(*count)++] = one;
        }
    }
    return MBN_OK;
}
