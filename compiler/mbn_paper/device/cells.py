"""The device's rows as words and figures, for the terminal and for a page.

What enters: a row. What leaves: cells, in the order of the columns named beside. Always holds: what
is not known is a dash; what is predicted is called so in the note that goes with the table.
"""

from __future__ import annotations

from collections.abc import Sequence

from mbn.core.target import Board
from mbn.passes.predict import Times
from mbn.report.table import UNKNOWN, number
from mbn_paper.device.entries import BoardRow, CoreRow, Device, Size, smallest

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
    " - no model of the core."
)
LARGEST_NOTE = "Of each alpha the largest resolution that fits, and its milliseconds. " + FIT_NOTE
HOLD_COLUMNS = (
    "size",
    "boards",
    "the smallest",
    "flash, KB",
    "RAM, KB",
    "zero wait",
    "with waits",
)
HOLD_NOTE = (
    "The smallest: of the boards that hold a size, that with the least flash, then the least RAM;"
    " what the model takes there, of what there is. By plans, not builds."
)
ENERGY_COLUMNS = ("board", "mA", "V", "published by")
ENERGY_NOTE = (
    "Energy: volts x amperes x cycles / clock. The current is what the maker publishes for code"
    " that runs from flash at this clock; the cycles are modelled, from zero wait to the upper"
    " bound with wait states. Nothing was measured, and multiplies may draw more than what the"
    " maker ran. Boards for which no such figure was found have none."
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
    "energy, mJ",
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


def largest_rows(found: Device) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of the table of boards by alphas: a cell is the largest resolution that
    fits with its milliseconds, or what the smallest one lacks."""
    alphas = sorted({row.size.alpha for row in found.boards})
    rows = []
    for board in {row.board.name: row.board for row in found.boards}.values():
        cells = [board.name, f"{board.clock_hz / 1e6:g}"]
        for alpha in alphas:
            own = [row for row in rows_of(found, board) if row.size.alpha == alpha]
            own.sort(key=lambda row: (row.cost is not None, row.size.resolution))
            fits = own[-1].cost is not None
            best = own[-1] if fits else own[0]
            cells.append(f"{best.size.resolution}: {fit_cell(best)}" if fits else fit_cell(best))
        rows.append(cells)
    return ["board", "MHz", *(f"alpha {alpha:g}" for alpha in alphas)], rows


def short_name(board: Board) -> str:
    """As the matrix heads its columns: nucleo_f446re is f446re."""
    return board.name.removeprefix("nucleo_").removeprefix("arduino_").removesuffix("_q")


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
        return [row.size.name, "", "", f"no: {' and '.join(row.lacks)}", *[""] * 7]
    return [
        row.size.name,
        f"{cost.flash_bytes:,}",
        f"{cost.ram_bytes:,}",
        "yes" if cost.optimise == "speed" else f"by {cost.optimise}",
        number(cost.cycles),
        *time_cells(row.times),
        energy_cell(row),
    ]


def hold_rows(found: Device) -> list[list[str]]:
    """Of HOLD_COLUMNS, a row a size."""
    return [_hold_cells(found, size) for size in dict.fromkeys(row.size for row in found.boards)]


def _hold_cells(found: Device, size: Size) -> list[str]:
    own = [row for row in found.boards if row.size == size]
    holding = [size.name, f"{sum(row.cost is not None for row in own)} of {len(own)}"]
    row = smallest(found, size)
    if row is None or row.cost is None:
        return [*holding, "none", *[""] * 4]
    flash, ram = row.room
    zero, *waits = time_cells(row.times)
    return [
        *holding,
        row.board.name,
        f"{row.cost.flash_bytes / 1024:,.0f} of {flash / 1024:,.0f}",
        f"{row.cost.ram_bytes / 1024:,.0f} of {ram / 1024:,.0f}",
        zero,
        waits[0] if waits[0] == waits[1] else f"{waits[0].removesuffix(' ms')} to {waits[1]}",
    ]


def energy_cell(row: BoardRow) -> str:
    """Millijoules of an inference."""
    if row.millijoules is None:
        return UNKNOWN
    low, high = (f"{one:,.3g}" if one < 100 else f"{one:,.0f}" for one in row.millijoules)
    return low if low == high else f"{low} to {high}"


def energy_rows(found: Device) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of the table of sizes by boards: millijoules of an inference on those with
    a published current that hold any size."""
    boards = list(dict.fromkeys(row.board.name for row in found.boards if row.millijoules))
    rows = []
    for size in dict.fromkeys(row.size for row in found.boards):
        own = {row.board.name: row for row in found.boards if row.size == size}
        if any(own[name].millijoules for name in boards):
            rows.append([size.name, *(energy_cell(own[name]) for name in boards)])
    return ["size", *boards], rows


def current_rows(found: Device) -> list[list[str]]:
    """Of ENERGY_COLUMNS, a row a board with a published current."""
    boards = {row.board.name: row.board.current for row in found.boards}
    return [
        [name, f"{one.milliamps:g}", f"{one.volts:g}", one.source]
        for name, one in boards.items()
        if one is not None
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
