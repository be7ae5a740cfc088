"""The tables in network.c that the driver reads: tensors, stages, segments; borders; init."""

from __future__ import annotations

import numpy as np

from mbn.passes.emit import results
from mbn.passes.emit.job import (
    Job,
    c_values,
    pixels_name,
    stage_name,
)
from mbn.passes.emit.names import plain


def _is_padded(job: Job, index: int) -> bool:
    needs = job.needs[index]
    rows = (job.shapes[needs.output].height - 1) * needs.stride_rows + needs.kernel_rows
    return needs.pad_top > 0 or rows - needs.pad_top > job.shapes[needs.input].height


def border_name(job: Job, index: int) -> str:
    if not _is_padded(job, index):
        return "NULL"
    zero = job.tensors[job.needs[index].input].zero_point
    return f"border_{'m' if zero < 0 else ''}{abs(zero)}"


def borders(job: Job) -> str:
    """One row of zero points for each zero point that pads something."""
    sizes: dict[int, int] = {}
    for index, needs in enumerate(job.needs):
        if _is_padded(job, index):
            zero = job.tensors[needs.input].zero_point
            sizes[zero] = max(sizes.get(zero, 0), job.shapes[needs.input].row_bytes)
    parts = []
    for zero, size in sorted(sizes.items()):
        name = f"border_{'m' if zero < 0 else ''}{abs(zero)}"
        values = c_values(np.full(size, zero, np.int8))
        parts.append(
            "/* A row of zero points: what lies above and below a map. */\n"
            f"static const alignas(8) int8_t {name}[{size}] = {{\n{values}}};\n"
        )
    return "\n".join(parts)


def tables(job: Job) -> str:
    prefix = job.prefix
    tensors = "\n".join(_tensor_row(job, i) for i in range(len(job.tensors)))
    stages = "\n".join(_stage_row(job, i) for i in range(len(job.codes)))
    segments = ", ".join(f"{{{s.first}, {s.last}}}" for s in job.plan.segments)
    return f"""static const mbn_tensor tensors[{len(job.tensors)}] = {{
{tensors}
}};

static const mbn_stage stages[{len(job.codes)}] = {{
{stages}
}};

static const mbn_segment segments[{len(job.plan.segments)}] = {{{segments}}};

{results.table(job.network, job.tensors)}const mbn_network {prefix} = {{
    .name = "{plain(job.network.name)}",
    .model_sha256 = "{job.model_sha256}",
    .tensors = tensors,
    .stages = stages,
    .segments = segments,
    .tensor_count = {len(job.tensors)},
    .stage_count = {len(job.codes)},
    .segment_count = {len(job.plan.segments)},
    .input = 0,
    .output = {results.indices(job.network, job.tensors)[0]},
{results.fields(job.network)}    .window_rows = {job.window_rows},
    .band_rows = {job.band_rows},
    .input_mode = MBN_INPUT_{job.plan.mode.upper()},
    .pixels = {pixels_name(job)},
    .arena_bytes = {prefix.upper()}_ARENA_BYTES,
    .near_bytes = {job.plan.near_bytes},
    .weights_bytes = {job.weights_bytes},
    .macs = {job.network.macs},
{_needs_fpu(job)}}};

{_far(job)}mbn_status {prefix}_init({prefix}_state *state)
{{
    if (state == NULL) {{
        return MBN_ERR_ARGUMENT;
    }}
    state->base = (mbn_state){{
        .network = &{prefix},
        .arena = state->memory.arena,
        .rows_done = state->rows_done,
        .window = state->window,
        .band = state->band,
        .guard_low = &state->memory.guard_low,
        .guard_high = &state->memory.guard_high,
{_far_fields(job)}    }};
    return mbn_begin(&state->base);
}}
"""


def _needs_fpu(job: Job) -> str:
    """The scalar set's headers don't define the macro."""
    return "    .needs_fpu = MBN_NEEDS_FPU,\n" if job.kernels.needs_fpu else ""


def _far(job: Job) -> str:
    """The arena's second part, which the linker puts into a memory of its own."""
    if not job.far_bytes:
        return ""
    return f"""/* One image at a time: this part of the arena is no part of the caller's state. */
static struct {{
    uint32_t guard_low;
    alignas(16) uint8_t arena[{job.prefix.upper()}_FAR_BYTES];
    uint32_t guard_high;
}} far_arena __attribute__((section(".mbn_far")));

"""


def _far_fields(job: Job) -> str:
    if not job.far_bytes:
        return ""
    return """        .far_arena = far_arena.arena,
        .far_guard_low = &far_arena.guard_low,
        .far_guard_high = &far_arena.guard_high,
"""


def _tensor_row(job: Job, index: int) -> str:
    tensor, place, shape = job.tensors[index], job.plan.places[index], job.shapes[index]
    readers = (i for i, needs in enumerate(job.needs) if index in (needs.input, needs.second))
    reader = max(readers, default=index - 1)
    return (
        f"    {{.offset_bytes = {place.offset_bytes}, .row_bytes = {place.row_bytes},\n"
        f"     .height = {tensor.height}, .width = {tensor.width}, .channels = {tensor.channels},\n"
        f"     .depth = {place.depth}, .plane_bytes = {shape.plane_bytes}, .reader = {reader},\n"
        f"     .zero_point = {tensor.zero_point}, .scale = {tensor.scale!r}f}},"
    )


def _stage_row(job: Job, index: int) -> str:
    stage, needs = job.network.stages[index], job.needs[index]
    second = "MBN_NO_TENSOR" if needs.second is None else needs.second
    return (
        f'    {{.name = "{plain(stage.name)}",\n'
        f"     .run = {stage_name(job, index)}, "
        f".border = {border_name(job, index)},\n"
        f"     .macs = {job.network.stage_macs(stage)}, "
        f".scratch_offset_bytes = {job.plan.scratch_offsets[index]},\n"
        f"     .input = {needs.input}, .output = {needs.output}, .second = {second},\n"
        f"     .kernel_rows = {needs.kernel_rows}, .stride_rows = {needs.stride_rows}, "
        f".pad_top = {needs.pad_top}, .band_rows = {needs.band_rows}}},"
    )
