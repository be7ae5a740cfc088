"""The device's rows as words and figures, for the terminal and for a page.

What enters: a row. What leaves: cells, in the order of the columns named beside. Always holds: what
is not known is a dash; what is predicted is called so in the note that goes with the table.
"""

from __future__ import annotations

from collections.abc import Sequence

from mbn.core.target import Board
from mbn.passes.predict import Times
from mbn.report.table import UNKNOWN, number
from mbn_paper.device.entries import BoardRow, CoreRow, Device

CORE_COLUMNS = (
    "size",
    "MACs",
    "flash",
    "RAM, stream",
    "RAM, whole",
    "instructions",
    "cycles",
    "/MAC",
    "off",
    "run",
)
CORE_NOTE = (
    "flash: of the check firmware, weights included. RAM: its arena, its own data and the stack, by"
    " input mode. Cycles are modelled for zero-wait memory. n/n exact: ran in emulation, every bit"
    " of n samples compared, instructions counted; off: by how much the cycles predicted before"
    " were above those. planned: nothing ran. Weights are drawn; on the M55 a network whose"
    " depthwise multipliers exceed one half takes up to 13 % more."
)
FIT_NOTE = (
    "Predicted for zero-wait memory. s: fits only with --optimise size; flash, RAM: what it lacks;"
    " - no model of the core. There is no energy: no figure of it was measured."
)
BOARD_COLUMNS = (
    "size",
    "flash",
    "RAM",
    "fits",
    "cycles",
    "zero wait",
    "with waits, from",
    "to",
    "per second",
    "with waits",
)
BOARD_NOTE = (
    "Predicted, not measured. Wait states: from, with all code in the cache or prefetched in time;"
    " to, with neither. Per second: at zero wait, and at those bounds."
)


def core_cells(row: CoreRow) -> list[str]:
    """Of CORE_COLUMNS."""
    cycles, off = row.cycles, row.off_percent
    return [
        row.size.name,
        f"{row.stream.macs:,}",
        f"{row.flash_bytes:,}",
        f"{row.stream.ram_bytes:,}",
        f"{row.whole.ram_bytes:,}",
        number(row.instructions),
        number(cycles),
        UNKNOWN if cycles is None else f"{cycles / row.stream.macs:.3f}",
        UNKNOWN if off is None else f"{off:+.1f} %".replace("-0.0", "+0.0"),
        row.how,
    ]


def by_core(found: Device) -> list[tuple[Board, list[CoreRow]]]:
    """The rows of each core, with its emulated board."""
    names = dict.fromkeys(row.stream.board.name for row in found.cores)
    groups = [[row for row in found.cores if row.stream.board.name == name] for name in names]
    return [(rows[0].stream.board, rows) for rows in groups]


def fit_rows(found: Device) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of the matrix of sizes by boards; its last row is the clocks."""
    boards = {row.board.name: row.board for row in found.boards}
    rows = [
        [size.name, *(fit_cell(row) for row in found.boards if row.size == size)]
        for size in dict.fromkeys(row.size for row in found.boards)
    ]
    clocks = ["MHz", *(f"{board.clock_hz / 1e6:g}" for board in boards.values())]
    return ["size", *map(short_name, boards.values())], [*rows, clocks]


def short_name(board: Board) -> str:
    """As the matrix heads its columns: nucleo_f446re is f446re."""
    return board.name.split("_")[-2 if board.name.endswith("_q") else -1]


def fit_cell(row: BoardRow) -> str:
    """Milliseconds where it fits, what is lacking where not."""
    if row.cost is None:
        return "+".join(row.lacks)
    mark = "s " if row.cost.optimise == "size" else ""
    times = row.times
    return f"{mark}{UNKNOWN if times is None else f'{times.zero_wait_ms:.0f}'}"


def board_cells(row: BoardRow) -> list[str]:
    """Of BOARD_COLUMNS."""
    cost = row.cost
    if cost is None:
        return [row.size.name, "", "", f"no: {' and '.join(row.lacks)}", *[""] * 6]
    return [
        row.size.name,
        f"{cost.flash_bytes:,}",
        f"{cost.ram_bytes:,}",
        "yes" if cost.optimise == "speed" else f"by {cost.optimise}",
        number(cost.cycles),
        *time_cells(row.times),
    ]


def board_title(board: Board) -> str:
    return f"{board.name}: {board.core.name} at {board.clock_hz / 1e6:g} MHz"


def rows_of(found: Device, board: Board) -> Sequence[BoardRow]:
    """Every size on a board."""
    return [row for row in found.boards if row.board.name == board.name]


def time_cells(times: Times | None) -> list[str]:
    """Milliseconds and inferences per second, at zero wait and with wait states."""
    if times is None:
        return [UNKNOWN] * 5
    zero, low, high = times.zero_wait_ms, times.lower_ms, times.upper_ms
    if not times.wait_states:
        return [f"{zero:.1f} ms", UNKNOWN, UNKNOWN, f"{1000 / zero:.2f}", UNKNOWN]
    bounds = f"{1000 / low:.2f}" if low == high else f"{1000 / high:.2f} to {1000 / low:.2f}"
    return [f"{zero:.1f} ms", f"{low:.1f} ms", f"{high:.1f} ms", f"{1000 / zero:.2f}", bounds]
