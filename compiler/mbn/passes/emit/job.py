"""What is being written, and the names and comments that the three files share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from numpy.typing import NDArray

from mbn.core.kernel_set import KernelSet
from mbn.core.lowered import LoweredStage, StageCode, Table
from mbn.core.network import Network, Tensor
from mbn.core.plan import Plan
from mbn.core.schedule import RowShape, StageNeeds
from mbn.passes.emit import results
from mbn.passes.emit.names import identifier, kernel_names, plain

COLUMNS = 100
# Alignment of tables, written both at the declaration and at the definition. If one of them lacks
# it, the compiler assumes its ABI's own there (16 bytes on x86-64, 8 on the M55), and the other may
# have less.
ALIGNED = {"int8": "", "int16": "", "int32": "alignas(4) "}
C_TYPES = {"int8": "int8_t", "int16": "int16_t", "int32": "int32_t"}


@dataclass(frozen=True, eq=False)
class Job:
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
        return max(n.input_rows for n in self.needs)

    @property
    def band_rows(self) -> int:
        return max(n.band_rows for n in self.needs)

    @property
    def far_bytes(self) -> int:
        """Bytes of the arena in the second memory."""
        return self.plan.arena_bytes - self.plan.near_bytes if self.plan.near_bytes else 0

    def table_name(self, stage: int, table: Table) -> str:
        return f"{self.prefix}_{stage:02d}_{table.name}"


def about(job: Job) -> str:
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


def declarations(job: Job) -> str:
    lines = ["/* weights.c */"]
    if job.network.mean:
        size = 256 * job.network.input.channels
        lines.append(f"extern const int8_t {pixels_name(job)}[{size}];")
    for index, code in enumerate(job.codes):
        for table in code.tables:
            lines.append(
                f"extern const {table_type(table)} "
                f"{job.table_name(index, table)}[{table.values.size}];"
            )
    return "\n".join(lines) + "\n"


def table_type(table: Table) -> str:
    kind = str(table.values.dtype)
    return f"{ALIGNED[kind]}{C_TYPES[kind]}"


def stage_name(job: Job, index: int) -> str:
    return f"stage_{index:02d}_{identifier(job.network.stages[index].name)[-40:].strip('_')}"


def kernel_names_of(job: Job) -> list[str]:
    return kernel_names(job.network, [code.text for code in job.codes])


def pixels_name(job: Job) -> str:
    return f"{job.prefix}_pixels" if job.network.mean else "NULL"


def c_values(values: NDArray[Any]) -> str:
    """Comma-separated lines of at most 100 columns."""
    # the literal -2147483648 is a long in C
    return c_list(
        str(value) if value != -(2**31) else "(-2147483647 - 1)" for value in values.tolist()
    )


def c_list(values: Iterable[str]) -> str:
    """The same of what is text already."""
    lines, line = [], "   "
    for value in values:
        text = f" {value},"
        if len(line) + len(text) > COLUMNS:
            lines.append(line)
            line = "   "
        line += text
    lines.append(line)
    return "\n".join(lines) + "\n"
