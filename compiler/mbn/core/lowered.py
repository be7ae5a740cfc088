"""A stage with its schedule, its needs and its C code, as one value.

passes/kernels makes `StageCode` and passes/emit writes it. jobs/lower makes `PlannedStage` and
`LoweredStage`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray

from mbn.core.network import Stage, StageChannels
from mbn.core.schedule import BandOption, RowShape, StageNeeds

PLACEHOLDER = "KERNEL"  # stands for a kernel's name until the emitter has found equal kernels
PREFIX = "PREFIX"  # begins the name of an assembly function until the network's is put in


@dataclass(frozen=True, eq=False)
class Table:
    """A packed constant of a kernel, in flash. `meaning` becomes its comment."""

    name: str
    values: NDArray[Any]
    meaning: str


@dataclass(frozen=True)
class Argument:
    """What a C parameter is given: row `index` of in/out, scratch at byte `index`, or a table."""

    role: Literal["in", "out", "scratch", "const"]
    index: int


@dataclass(frozen=True)
class Assembly:
    """A function of network.S, called PREFIX_name. parameters: as C declares them. text: the
    function. twin: C statements that compute the same, for other cores and compilers. feature: what
    the function wants of the preprocessor besides what its kernel set does."""

    name: str
    parameters: str
    text: str
    twin: str
    shared: bool = False  # one body for stages of any shape
    feature: str = ""

    @property
    def symbol(self) -> str:
        return f"{PREFIX}_{self.name}"


def parameter_names(parameters: str) -> tuple[str, ...]:
    """Names of the parameters that C declares so."""
    return tuple(one.split()[-1].lstrip("*") for one in parameters.split(","))


@dataclass(frozen=True, eq=False)
class StageCode:
    """One stage's kernel: the text of a static C function named PLACEHOLDER, what each of its
    parameters is given, its tables, and the assembly functions that it calls. Bytes are of the
    target."""

    text: str
    arguments: tuple[Argument, ...]
    parameter_types: tuple[str, ...]  # int8, int16, int32
    tables: tuple[Table, ...]
    scratch_bytes: int
    decision: str  # which kernel and schedule, for people
    assembly: tuple[Assembly, ...] = ()

    @property
    def tables_bytes(self) -> int:
        return sum(int(table.values.nbytes) for table in self.tables)


@dataclass(frozen=True, eq=False)
class PlannedStage:
    """A stage of a network and how it is built: `option` was chosen, `needs` went into the plan,
    `rows` says how its output's rows lie in memory."""

    stage: Stage
    option: BandOption
    needs: StageNeeds
    rows: RowShape


@dataclass(frozen=True, eq=False)
class LoweredStage(PlannedStage):
    """A planned stage with its kernel, and which channels of its original output are left."""

    code: StageCode
    channels: StageChannels
