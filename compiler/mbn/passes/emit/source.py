"""network.c: the kernels that TVM printed, and a function for each stage that calls one."""

from __future__ import annotations

from mbn.core.lowered import PLACEHOLDER, Argument
from mbn.core.network import StageKind
from mbn.passes.emit.assembly import functions_of, named, twins
from mbn.passes.emit.job import (
    C_TYPES,
    Job,
    about,
    declarations,
    kernel_names_of,
    stage_name,
)
from mbn.passes.emit.names import plain
from mbn.passes.emit.tables import borders, tables

INCLUDES = {
    StageKind.SOFTMAX: '#include "scalar/softmax.h"\n',
    StageKind.NORMALISE: '#include "scalar/normalise.h"\n',
}


def source(job: Job) -> str:
    names = kernel_names_of(job)
    kinds = {stage.kind for stage in job.network.stages}
    texts = [code.text for code in job.codes] + [one.twin for one in functions_of(job)]
    blocked = any("mbn_scalar_" in text for text in texts)
    includes = f'#include "network.h"\n\n#include "{job.kernels.name}/kernels.h"\n'
    includes += '#include "scalar/blocked.h"\n' if blocked else ""
    includes += "".join(include for kind, include in INCLUDES.items() if kind in kinds)
    parts = [
        about(job),
        includes,
        declarations(job),
        borders(job),
    ]
    if functions := twins(job):
        parts.append(functions)
    written: set[str] = set()
    for name, code in zip(names, job.codes, strict=True):
        if name not in written:
            written.add(name)
            users = [str(i) for i, other in enumerate(names) if other == name]
            parts.append(
                f"/* Stage{'s' if len(users) > 1 else ''} {', '.join(users)}: "
                f"{plain(code.decision)}. */\n{named(job, code.text).replace(PLACEHOLDER, name)}"
            )
    for index, name in enumerate(names):
        parts.append(_stage_function(job, index, name))
    parts.append(tables(job))
    return "\n".join(parts)


def _stage_function(job: Job, index: int, kernel: str) -> str:
    stage, code, needs = job.network.stages[index], job.codes[index], job.needs[index]
    sources = (needs.input, *needs.others)
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
static void {stage_name(job, index)}(
    const int8_t *const *in, int8_t *const *out, int8_t *scratch)
{{
{unused}    {kernel}({arguments});
}}
"""


def _argument(job: Job, stage: int, argument: Argument, dtype: str) -> str:
    role, at = argument.role, argument.index
    if role in ("in", "out"):
        return f"{role}[{at}]"
    if role == "scratch":
        offset = f"scratch + {at}" if at else "scratch"
        return offset if dtype == "int8" else f"({C_TYPES[dtype]} *)(void *)({offset})"
    return job.table_name(stage, job.codes[stage].tables[at])
