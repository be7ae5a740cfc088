"""network_detect.c: what the runtime's mbn_detect reads, and its lines of network.h.

For a network without a detector nothing is written.
"""

from __future__ import annotations

from collections.abc import Sequence

from mbn.arithmetic import MapTables, detector_tables
from mbn.core.detector import BoxMap
from mbn.passes.emit.job import Job, about, c_list

FILE_NAME = "network_detect.c"


def source(job: Job) -> str:
    """The detector's tables and description; empty without one."""
    detector = job.network.detector
    if detector is None:
        return ""
    tables = detector_tables(job.network)
    written = "\n".join(_tables(at, one) for at, one in enumerate(tables))
    rows = "\n".join(_row(at, one) for at, one in enumerate(detector.maps))
    return f"""{about(job)}
#include "network.h"

{written}
static const mbn_box_map maps[{len(detector.maps)}] = {{
{rows}
}};

const mbn_detector {job.prefix}_detector = {{
    .maps = maps,
    .map_count = {len(detector.maps)},
    .classes = {detector.classes},
    .first_class = {int(detector.background)},
    .candidates = {job.prefix.upper()}_CANDIDATES,
    .least = {detector.least},
    .overlap = {detector.overlap},
}};
"""


def _tables(number: int, one: MapTables) -> str:
    sizes = ", ".join(f"{{{height}, {width}}}" for height, width in one.sizes)
    kinds: tuple[tuple[str, str, Sequence[int]], ...] = (
        ("uint16_t", "scores", one.scores),
        ("int32_t", "offsets", one.offsets),
        ("uint16_t", "factors", one.factors),
        ("uint16_t", "rows", one.rows),
        ("uint16_t", "columns", one.columns),
    )
    lines = [
        f"static const {kind} {name}_{number}[{len(values)}] = {{\n{c_list(map(str, values))}}};\n"
        for kind, name, values in kinds
    ]
    lines.append(f"static const uint16_t sizes_{number}[{len(one.sizes)}][2] = {{{sizes}}};\n")
    return "".join(lines)


def _row(number: int, one: BoxMap) -> str:
    tables = ", ".join(
        f".{name} = {name}_{number}"
        for name in ("scores", "offsets", "factors", "rows", "columns", "sizes")
    )
    middle = tables.index(".rows")
    results = f".class_result = {one.class_result}, .box_result = {one.box_result}"
    return f"""    {{{tables[:middle].rstrip()}
     {tables[middle:]},
     {results}, .boxes = {len(one.sizes)}}},"""


def include(job: Job) -> str:
    """The include of network.h that its declarations need."""
    return '#include "mbn/detect.h"\n' if job.network.detector else ""


def declarations(job: Job) -> str:
    """The detector, its workspace's size and its call."""
    detector, prefix, upper = job.network.detector, job.prefix, job.prefix.upper()
    if detector is None:
        return ""
    return f"""/* How many {prefix}_detect wants as its workspace */
#define {upper}_CANDIDATES {detector.candidates}u
#define {upper}_BOX_CLASSES {detector.classes}u

extern const mbn_detector {prefix}_detector;

/* The objects in the image that was run last: see mbn_detect. work: {upper}_CANDIDATES of them. */
MBN_MUST_USE static inline mbn_status
{prefix}_detect(const {prefix}_state *state, mbn_candidate *work, mbn_detection *found,
    uint16_t most, uint16_t *count)
{{
    return state == NULL ? MBN_ERR_ARGUMENT
                         : mbn_detect(&{prefix}_detector, &state->base, work, found, most, count);
}}

"""
