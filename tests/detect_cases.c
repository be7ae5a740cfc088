/* Runs mbn_detect on cases from standard input, for tests/test_detect.py.
 *
 * What enters: 32-bit words: of each case map_count, classes, first_class, candidates, least,
 * overlap, most, then of each map height, width, boxes, whether its two results lie in planes, its
 * tables (scores, offsets, factors, rows, columns, sizes), its codes in height x width x channel
 * order, classes then boxes. What leaves: a line a case: the status, the count, six numbers a
 * box. Always holds: every table and buffer is a block of its own, exactly as long as it must be,
 * so that the sanitizers see any access beside it.
 */
#include "mbn/detect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int32_t word(void)
{
    int32_t value;
    if (fread(&value, sizeof value, 1, stdin) != 1) {
        exit(9);
    }
    return value;
}

static void *block(size_t size)
{
    void *made = malloc(size);
    if (made == NULL) {
        exit(9);
    }
    memset(made, 0x5a, size);
    return made;
}

static uint16_t *table(size_t count)
{
    uint16_t *made = block(count * sizeof *made);
    for (size_t k = 0; k < count; k++) {
        made[k] = (uint16_t)word();
    }
    return made;
}

static int32_t *long_table(size_t count)
{
    int32_t *made = block(count * sizeof *made);
    for (size_t k = 0; k < count; k++) {
        made[k] = word();
    }
    return made;
}

/* Lays a result out behind `offset`; returns where the next may lie. */
static uint32_t lay(mbn_tensor *tensor, uint8_t *arena, uint32_t offset, int32_t planar)
{
    const uint32_t plane = tensor->width + 3u;
    tensor->offset_bytes = offset;
    tensor->depth = tensor->height;
    tensor->plane_bytes = planar ? (uint16_t)plane : 0u;
    tensor->row_bytes =
        planar ? plane * tensor->channels : (uint32_t)tensor->width * tensor->channels + 5u;
    for (uint32_t y = 0; y < tensor->height; y++) {
        for (uint32_t x = 0; x < tensor->width; x++) {
            for (uint32_t c = 0; c < tensor->channels; c++) {
                uint32_t at = planar ? c * plane + x : x * tensor->channels + c;
                arena[offset + y * tensor->row_bytes + at] = (uint8_t)(int8_t)word();
            }
        }
    }
    return offset + tensor->row_bytes * tensor->height;
}

#define ARENA_BYTES (1u << 20)
#define MOST_MAPS 8

static void run_case(uint16_t map_count)
{
    mbn_detector detector = {.map_count = map_count};
    mbn_box_map maps[MOST_MAPS];
    mbn_tensor tensors[2 * MOST_MAPS];
    uint16_t results[2 * MOST_MAPS], rows_done[2 * MOST_MAPS];
    uint32_t guards[2], offset = 0;
    uint8_t *arena = aligned_alloc(16, ARENA_BYTES);
    memset(tensors, 0, sizeof tensors);
    detector.classes = (uint16_t)word();
    detector.first_class = (uint16_t)word();
    detector.candidates = (uint16_t)word();
    detector.least = (uint16_t)word();
    detector.overlap = (uint16_t)word();
    const uint16_t most = (uint16_t)word();
    for (uint16_t k = 0; k < map_count; k++) {
        mbn_tensor *of = &tensors[2 * k];
        of[0].height = of[1].height = (uint16_t)word();
        of[0].width = of[1].width = (uint16_t)word();
        mbn_box_map *map = &maps[k];
        map->boxes = (uint16_t)word();
        of[0].channels = (uint16_t)(map->boxes * detector.classes);
        of[1].channels = (uint16_t)(map->boxes * 4);
        const int32_t planar[2] = {word(), word()};
        map->scores = table(256);
        map->offsets = long_table(256);
        map->factors = table(256);
        map->rows = table(of->height);
        map->columns = table(of->width);
        map->sizes = (const uint16_t (*)[2])(void *)table(2u * map->boxes);
        for (uint16_t j = 0; j < 2; j++) {
            results[2 * k + j] = (uint16_t)(2 * k + j);
            offset = lay(&of[j], arena, offset, planar[j]);
        }
        map->class_result = (uint16_t)(2 * k);
        map->box_result = (uint16_t)(2 * k + 1);
    }
    detector.maps = maps;
    const mbn_network network = {.tensors = tensors,
                                 .tensor_count = (uint16_t)(2 * map_count),
                                 .output = 0,
                                 .result_count = (uint16_t)(2 * map_count),
                                 .results = results};
    mbn_state state = {.network = &network,
                       .arena = arena,
                       .rows_done = rows_done,
                       .guard_low = &guards[0],
                       .guard_high = &guards[1]};
    mbn_candidate *work = block(detector.candidates * sizeof *work);
    mbn_detection *found = block((size_t)most * sizeof *found);
    uint16_t count = 77;
    int status = mbn_begin(&state);
    status = status == MBN_OK ? mbn_detect(&detector, &state, work, found, most, &count) : status;
    printf("%d %u", status, count);
    for (uint16_t k = 0; k < count; k++) {
        const mbn_detection *one = &found[k];
        printf(" %u %u %u %u %u %u", one->label, one->score, one->top, one->left, one->bottom,
               one->right);
    }
    printf("\n");
    for (uint16_t k = 0; k < map_count; k++) {
        const void *tables[] = {maps[k].scores, maps[k].offsets, maps[k].factors,
                                maps[k].rows,   maps[k].columns, maps[k].sizes};
        for (size_t j = 0; j < sizeof tables / sizeof *tables; j++) {
            free((void *)(uintptr_t)tables[j]);
        }
    }
    free(work);
    free(found);
    free(arena);
}

int main(void)
{
    int32_t map_count;
    while (fread(&map_count, sizeof map_count, 1, stdin) == 1) {
        run_case((uint16_t)map_count);
    }
    return 0;
}
