"""Writes the network's C: the driver's tables, the weights, and TVM's kernels between them.

What enters: `Network`, one `KernelCode` a stage (C from TVM, packed constants), `Plan`.
What leaves: network.h, network.c, weights.c. Always holds: C11, no include but the runtime's;
byte-identical for identical input: no time, no path; above each stage a comment says its shapes,
multiply-accumulates, kernel, scratch and place; the kernels' text is TVM's, untouched but for the
function's name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbn.arithmetic import pixel_codes
from mbn.core.errors import UsageError
from mbn.core.kernel_set import KernelSet
from mbn.core.lowered import PLACEHOLDER, Argument, LoweredStage, StageCode, Table
from mbn.core.network import Network, StageKind, Tensor
from mbn.core.plan import Plan
from mbn.core.schedule import RowShape, StageNeeds
from mbn.passes.emit import results
from mbn.passes.emit.names import identifier, kernel_names, plain

COLUMNS = 100
# Of tables, said where one is declared and where it is defined: a compiler that finds none at one
# of the two takes its ABI's own there (16 bytes on x86-64, 8 on the M55); the other may have less.
ALIGNED = {"int8": "", "int16": "", "int32": "alignas(4) "}
INCLUDES = {
    StageKind.SOFTMAX: '#include "scalar/softmax.h"\n',
    StageKind.NORMALISE: '#include "scalar/normalise.h"\n',
}
C_TYPES = {"int8": "int8_t", "int16": "int16_t", "int32": "int32_t"}


@dataclass(frozen=True)
class GeneratedNetwork:
    """The files' names with their text, what the tables take, and each stage's two functions: its
    own, and the kernel that it calls."""

    files: dict[str, str]
    weights_bytes: int
    functions: tuple[tuple[str, str], ...]

    def write(self, folder: Path) -> None:
        """Raises `UsageError` for a file of such a name that was not generated."""
        folder.mkdir(parents=True, exist_ok=True)
        for path in (folder / name for name in self.files):
            if path.is_symlink() or (path.exists() and not _is_ours(path)):
                raise UsageError(
                    "is there and was not generated", advice="Move it away", node=str(path)
                )
        for stale in folder.glob("*.[ch]"):
            if stale.name not in self.files and _is_ours(stale):
                stale.unlink()
        for name, text in self.files.items():
            (folder / name).write_text(text, encoding="utf-8")


def _is_ours(path: Path) -> bool:
    """Whether a file begins as `_about` lets each begin; others are the user's."""
    with path.open("rb") as file:
        return file.readline(4096).rstrip().endswith(b", compiled by mbn.")


@dataclass(frozen=True, eq=False)
class _Job:
    network: Network
    model_sha256: str
    kernels: KernelSet
    stages: Sequence[LoweredStage]
    image: RowShape
    plan: Plan
    prefix: str

    @cached_property
    def codes(self) -> list[StageCode]:
        return [one.code for one in self.stages]

    @cached_property
    def needs(self) -> list[StageNeeds]:
        return [one.needs for one in self.stages]

    @cached_property
    def shapes(self) -> list[RowShape]:
        return [self.image, *(one.rows for one in self.stages)]

    @cached_property
    def tensors(self) -> list[Tensor]:
        return [self.network.input, *(self.network.stage_output(s) for s in self.network.stages)]

    @property
    def weights_bytes(self) -> int:
        pixels = 256 * self.network.input.channels if self.network.mean else 0
        return pixels + sum(int(t.values.nbytes) for code in self.codes for t in code.tables)

    @property
    def window_rows(self) -> int:
        """The longest list of input rows of any stage."""
        return max(
            (n.band_rows - 1) * n.stride_rows
            + n.kernel_rows
            + (0 if n.second is None else n.band_rows)
            for n in self.needs
        )

    @property
    def band_rows(self) -> int:
        return max(n.band_rows for n in self.needs)

    @property
    def far_bytes(self) -> int:
        """Of the arena, in the second memory."""
        return self.plan.arena_bytes - self.plan.near_bytes if self.plan.near_bytes else 0

    def table_name(self, stage: int, table: Table) -> str:
        return f"{self.prefix}_{stage:02d}_{table.name}"


def emit(
    network: Network,
    model_sha256: str,
    kernels: KernelSet,
    stages: Sequence[LoweredStage],
    image: RowShape,
    plan: Plan,
    prefix: str = "mbn_model",
) -> GeneratedNetwork:
    """All generated files. `prefix` begins every public name, so that two networks fit in one
    image; stages are those of the network, in order; `image`: how its rows lie."""
    job = _Job(network, model_sha256, kernels, stages, image, plan, prefix)
    files = {"network.h": _header(job), "network.c": _source(job), "weights.c": _weights(job)}
    names = (_stage_name(job, index) for index in range(len(stages)))
    functions = tuple(zip(names, _kernel_names(job), strict=True))
    return GeneratedNetwork(files, job.weights_bytes, functions)


# -- network.h -----------------------------------------------------------------------------------


def _about(job: _Job) -> str:
    network, plan = job.network, job.plan
    source = network.input
    host = (
        f"\n * The host still applies: {plain(', '.join(network.host_ops))}."
        if network.host_ops
        else ""
    )
    return f"""/* {plain(network.name)}, compiled by mbn.
 *
 * Model:  {job.model_sha256}
 * Input:  {source.shape_text} int8, real = {source.scale!r} * (q - {source.zero_point}), \
{plan.mode}
 * {results.about(job.network)}{host}
 * Cost:   {network.macs} multiply-accumulates, {network.params} parameters,
 *         {plan.arena_bytes} bytes of arena, {job.weights_bytes} bytes of weights and tables
 */"""


def _header(job: _Job) -> str:
    prefix, upper = job.prefix, job.prefix.upper()
    source, out = job.network.input, job.network.output
    near = f" - {upper}_FAR_BYTES" if job.far_bytes else ""
    macros = results.macros(job.network, job.prefix)
    host_softmax = int("softmax" in job.network.host_ops)
    return f"""{_about(job)}
#ifndef {upper}_NETWORK_H
#define {upper}_NETWORK_H

#include "mbn/mbn.h"

#include <stdalign.h>

#define {upper}_INPUT_HEIGHT {source.height}u
#define {upper}_INPUT_WIDTH {source.width}u
#define {upper}_INPUT_CHANNELS {source.channels}u
#define {upper}_INPUT_SCALE {source.scale!r}f
#define {upper}_INPUT_ZERO_POINT ({source.zero_point})
/* A pixel p of 8 bits means (p / 255 - mean) / std, by channel; mbn_push_pixels stores it so. */
#define {upper}_INPUT_MEAN {_floats(_mean_std(job)[0])}
#define {upper}_INPUT_STD {_floats(_mean_std(job)[1])}
#define {upper}_OUTPUT_BYTES {out.size_bytes}u
#define {upper}_OUTPUT_SCALE {out.scale!r}f
#define {upper}_OUTPUT_ZERO_POINT ({out.zero_point})
{macros}#define {upper}_HOST_SOFTMAX {host_softmax} /* 1: left to the caller */
#define {upper}_ARENA_BYTES {job.plan.arena_bytes}u
#define {upper}_FAR_BYTES {job.far_bytes}u /* of them in a second memory, section .mbn_far */
#define {upper}_STAGES {len(job.network.stages)}u

#ifdef __cplusplus
extern "C" {{
#endif

extern const mbn_network {prefix};

/* Everything that changes while the network runs; the caller owns it. */
typedef struct {prefix}_state {{
    mbn_state base;
    uint16_t rows_done[{len(job.tensors)}];
    const int8_t *window[{job.window_rows}];
    int8_t *band[{job.band_rows}];
    struct {{
        uint32_t guard_low;
        alignas(16) uint8_t arena[{upper}_ARENA_BYTES{near}];
        uint32_t guard_high;
    }} memory;
}} {prefix}_state;

/* Ties the state together and begins the first image. */
MBN_MUST_USE mbn_status {prefix}_init({prefix}_state *state);

#ifdef __cplusplus
}}
#endif

#endif
"""


def _mean_std(job: _Job) -> tuple[Sequence[float], Sequence[float]]:
    """By channel; where the network says none, those that make pixel p the code p - 128."""
    source = job.network.input
    if job.network.mean:
        return job.network.mean, job.network.std
    count = source.channels
    return [(128 + source.zero_point) / 255] * count, [1 / (255 * source.scale)] * count


def _floats(values: Sequence[float]) -> str:
    return "{" + ", ".join(f"{float(np.float32(value))!r}f" for value in values) + "}"


# -- network.c -----------------------------------------------------------------------------------


def _source(job: _Job) -> str:
    names = _kernel_names(job)
    kinds = {stage.kind for stage in job.network.stages}
    blocked = any("mbn_scalar_" in code.text for code in job.codes)
    includes = f'#include "network.h"\n\n#include "{job.kernels.name}/kernels.h"\n'
    includes += '#include "scalar/blocked.h"\n' if blocked else ""
    includes += "".join(include for kind, include in INCLUDES.items() if kind in kinds)
    parts = [
        _about(job),
        includes,
        _declarations(job),
        _borders(job),
    ]
    written: set[str] = set()
    for name, code in zip(names, job.codes, strict=True):
        if name not in written:
            written.add(name)
            users = [str(i) for i, other in enumerate(names) if other == name]
            parts.append(
                f"/* Stage{'s' if len(users) > 1 else ''} {', '.join(users)}: "
                f"{plain(code.decision)}. */\n{code.text.replace(PLACEHOLDER, name)}"
            )
    for index, name in enumerate(names):
        parts.append(_stage_function(job, index, name))
    parts.append(_tables(job))
    return "\n".join(parts)


def _declarations(job: _Job) -> str:
    lines = ["/* weights.c */"]
    if job.network.mean:
        size = 256 * job.network.input.channels
        lines.append(f"extern const int8_t {_pixels_name(job)}[{size}];")
    for index, code in enumerate(job.codes):
        for table in code.tables:
            lines.append(
                f"extern const {_table_type(table)} "
                f"{job.table_name(index, table)}[{table.values.size}];"
            )
    return "\n".join(lines) + "\n"


def _table_type(table: Table) -> str:
    kind = str(table.values.dtype)
    return f"{ALIGNED[kind]}{C_TYPES[kind]}"


def _is_padded(job: _Job, index: int) -> bool:
    needs = job.needs[index]
    rows = (job.shapes[needs.output].height - 1) * needs.stride_rows + needs.kernel_rows
    return needs.pad_top > 0 or rows - needs.pad_top > job.shapes[needs.input].height


def _border_name(job: _Job, index: int) -> str:
    if not _is_padded(job, index):
        return "NULL"
    zero = job.tensors[job.needs[index].input].zero_point
    return f"border_{'m' if zero < 0 else ''}{abs(zero)}"


def _borders(job: _Job) -> str:
    """One row of zero points for each zero point that pads something."""
    sizes: dict[int, int] = {}
    for index, needs in enumerate(job.needs):
        if _is_padded(job, index):
            zero = job.tensors[needs.input].zero_point
            sizes[zero] = max(sizes.get(zero, 0), job.shapes[needs.input].row_bytes)
    parts = []
    for zero, size in sorted(sizes.items()):
        name = f"border_{'m' if zero < 0 else ''}{abs(zero)}"
        values = _values(np.full(size, zero, np.int8))
        parts.append(
            "/* A row of zero points: what lies above and below a map. */\n"
            f"static const alignas(8) int8_t {name}[{size}] = {{\n{values}}};\n"
        )
    return "\n".join(parts)


def _stage_function(job: _Job, index: int, kernel: str) -> str:
    stage, code, needs = job.network.stages[index], job.codes[index], job.needs[index]
    sources = [needs.input] if needs.second is None else [needs.input, needs.second]
    source = " + ".join(job.tensors[tensor].shape_text for tensor in sources)
    out = job.tensors[needs.output]
    place = job.plan.places[needs.output]
    kept = "whole map" if place.depth == out.height else f"ring of {place.depth} rows"
    arguments = ", ".join(
        _argument(job, index, argument, dtype)
        for argument, dtype in zip(code.arguments, code.parameter_types, strict=True)
    )
    unused = "" if any(one.role == "scratch" for one in code.arguments) else "    (void)scratch;\n"
    return f"""/* Stage {index}: {stage.kind} {plain(stage.name)}
 * {source} -> {out.shape_text}, {job.network.stage_macs(stage)} multiply-accumulates
 * scratch {needs.scratch_bytes} bytes at {job.plan.scratch_offsets[index]}; output at \
{place.offset_bytes}, {kept}, {place.row_bytes} bytes a row */
static void {_stage_name(job, index)}(
    const int8_t *const *in, int8_t *const *out, int8_t *scratch)
{{
{unused}    {kernel}({arguments});
}}
"""


def _stage_name(job: _Job, index: int) -> str:
    return f"stage_{index:02d}_{identifier(job.network.stages[index].name)[-40:].strip('_')}"


def _kernel_names(job: _Job) -> list[str]:
    return kernel_names(job.network, [code.text for code in job.codes])


def _argument(job: _Job, stage: int, argument: Argument, dtype: str) -> str:
    role, at = argument.role, argument.index
    if role in ("in", "out"):
        return f"{role}[{at}]"
    if role == "scratch":
        offset = f"scratch + {at}" if at else "scratch"
        return offset if dtype == "int8" else f"({C_TYPES[dtype]} *)(void *)({offset})"
    return job.table_name(stage, job.codes[stage].tables[at])


def _tables(job: _Job) -> str:
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
    .pixels = {_pixels_name(job)},
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


def _needs_fpu(job: _Job) -> str:
    """What the kernels' own headers say; the scalar set's say nothing."""
    return "    .needs_fpu = MBN_NEEDS_FPU,\n" if job.kernels.needs_fpu else ""


def _far(job: _Job) -> str:
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


def _far_fields(job: _Job) -> str:
    if not job.far_bytes:
        return ""
    return """        .far_arena = far_arena.arena,
        .far_guard_low = &far_arena.guard_low,
        .far_guard_high = &far_arena.guard_high,
"""


def _tensor_row(job: _Job, index: int) -> str:
    tensor, place, shape = job.tensors[index], job.plan.places[index], job.shapes[index]
    readers = (i for i, needs in enumerate(job.needs) if index in (needs.input, needs.second))
    reader = max(readers, default=index - 1)
    return (
        f"    {{.offset_bytes = {place.offset_bytes}, .row_bytes = {place.row_bytes},\n"
        f"     .height = {tensor.height}, .width = {tensor.width}, .channels = {tensor.channels},\n"
        f"     .depth = {place.depth}, .plane_bytes = {shape.plane_bytes}, .reader = {reader},\n"
        f"     .zero_point = {tensor.zero_point}, .scale = {tensor.scale!r}f}},"
    )


def _stage_row(job: _Job, index: int) -> str:
    stage, needs = job.network.stages[index], job.needs[index]
    second = "MBN_NO_TENSOR" if needs.second is None else needs.second
    return (
        f'    {{.name = "{plain(stage.name)}",\n'
        f"     .run = {_stage_name(job, index)}, "
        f".border = {_border_name(job, index)},\n"
        f"     .macs = {job.network.stage_macs(stage)}, "
        f".scratch_offset_bytes = {job.plan.scratch_offsets[index]},\n"
        f"     .input = {needs.input}, .output = {needs.output}, .second = {second},\n"
        f"     .kernel_rows = {needs.kernel_rows}, .stride_rows = {needs.stride_rows}, "
        f".pad_top = {needs.pad_top}, .band_rows = {needs.band_rows}}},"
    )


# -- weights.c -----------------------------------------------------------------------------------


def _weights(job: _Job) -> str:
    parts = [_about(job), "#include <stdalign.h>\n#include <stdint.h>\n", _declarations(job)]
    if job.network.mean:
        codes = pixel_codes(job.network)
        parts.append(
            "/* What pixels 0 .. 255 are stored as, channel by channel. */\n"
            f"const int8_t {_pixels_name(job)}[{codes.size}] = {{\n"
            f"{_values(codes.reshape(-1))}}};\n"
        )
    for index, code in enumerate(job.codes):
        stage = job.network.stages[index]
        for table in code.tables:
            shape = " x ".join(str(size) for size in table.values.shape)
            about = f"{plain(stage.name)}: {plain(table.meaning)}"
            parts.append(
                f"/* Stage {index}, {about}; {shape}. */\n"
                f"const {_table_type(table)} "
                f"{job.table_name(index, table)}[{table.values.size}] = {{\n"
                f"{_values(table.values.reshape(-1))}}};\n"
            )
    return "\n".join(parts)


def _pixels_name(job: _Job) -> str:
    return f"{job.prefix}_pixels" if job.network.mean else "NULL"


def _values(values: NDArray[Any]) -> str:
    """Comma-separated lines of at most 100 columns."""
    lines, line = [], "   "
    for value in values.tolist():
        # the literal -2147483648 is a long in C
        text = f" {value}," if value != -(2**31) else " (-2147483647 - 1),"
        if len(line) + len(text) > COLUMNS:
            lines.append(line)
            line = "   "
        line += text
    lines.append(line)
    return "\n".join(lines) + "\n"
