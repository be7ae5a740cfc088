"""The tables in network.c that the driver reads: tensors, stages, segments; borders; init."""

from __future__ import annotations

from mbn.passes.emit import results
from mbn.passes.emit.job import (
    Job,
    c_list,
    pixels_name,
    stage_name,
)
from mbn.passes.emit.names import plain


def _padding(job: Job, index: int) -> int | None:
    """The code that lies above and below what a stage reads; None where nothing does, or where
    its first and last row are repeated."""
    needs = job.needs[index]
    rows = needs.first_row(job.shapes[needs.output].height) + needs.window_rows(needs.up_rows)
    if needs.pad_top <= 0 and rows - needs.stride_rows <= job.shapes[needs.input].height:
        return None
    return job.network.layers[job.network.stages[index].layers[0]].padding_code(
        job.tensors[needs.input]
    )


def border_name(job: Job, index: int) -> str:
    code = _padding(job, index)
    return "NULL" if code is None else _border(code)


def _border(code: int) -> str:
    return f"border_{'m' if code < 0 else ''}{abs(code)}"


def borders(job: Job) -> str:
    """One row for each code that pads something."""
    sizes: dict[int, int] = {}
    for index, needs in enumerate(job.needs):
        code = _padding(job, index)
        if code is not None:
            sizes[code] = max(sizes.get(code, 0), job.shapes[needs.input].row_bytes)
    parts = []
    for code, size in sorted(sizes.items()):
        parts.append(
            "/* A row of zero points: what lies above and below a map. */\n"
            f"static const alignas(8) int8_t {_border(code)}[{size}] = {{\n"
            f"{c_list(_repeated(code, size))}}};\n"
        )
    return "\n".join(parts)


def _repeated(code: int, count: int) -> list[str]:
    """The initialiser of equal values, by the macros of mbn.h."""
    parts = []
    for times in (256, 64, 16, 4):
        parts += [f"MBN_{times}({code})"] * (count // times)
        count %= times
    return [*parts, *[str(code)] * count]


def others(job: Job) -> str:
    """The list of tensors of stages that read more than two."""
    found = [other for needs in job.needs if len(needs.others) > 1 for other in needs.others]
    if not found:
        return ""
    return f"static const uint16_t others[{len(found)}] = {{{', '.join(map(str, found))}}};\n\n"


def _others_field(job: Job) -> str:
    return "    .others = others,\n" if others(job) else ""


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

{others(job)}{results.table(job.network, job.tensors)}const mbn_network {prefix} = {{
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
{results.fields(job.network)}{_others_field(job)}    .window_rows = {job.window_rows},
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
    readers = (i for i, needs in enumerate(job.needs) if index in (needs.input, *needs.others))
    reader = max(readers, default=index - 1)
    return (
        f"    {{.offset_bytes = {place.offset_bytes}, .row_bytes = {place.row_bytes},\n"
        f"     .height = {tensor.height}, .width = {tensor.width}, .channels = {tensor.channels},\n"
        f"     .depth = {place.depth}, .plane_bytes = {shape.plane_bytes}, .reader = {reader},\n"
        f"     .zero_point = {tensor.zero_point}, .scale = {tensor.scale!r}f}},"
    )


def _stage_row(job: Job, index: int) -> str:
    stage, needs = job.network.stages[index], job.needs[index]
    count = len(needs.others)
    second: int | str = needs.others[0] if count else "MBN_NO_TENSOR"
    if count > 1:
        second = sum(len(n.others) for n in job.needs[:index] if len(n.others) > 1)
    more = f", .other_count = {count}" if count > 1 else ""
    more += f", .up_rows = {needs.up_rows}" if needs.up_rows > 1 else ""
    return (
        f'    {{.name = "{plain(stage.name)}",\n'
        f"     .run = {stage_name(job, index)}, "
        f".border = {border_name(job, index)},\n"
        f"     .macs = {job.network.stage_macs(stage)}, "
        f".scratch_offset_bytes = {job.plan.scratch_offsets[index]},\n"
        f"     .input = {needs.input}, .output = {needs.output}, .second = {second},\n"
        f"     .kernel_rows = {needs.kernel_rows}, .stride_rows = {needs.stride_rows}, "
        f".pad_top = {needs.pad_top}, .band_rows = {needs.band_rows}{more}}},"
    )
