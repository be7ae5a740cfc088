"""A line of a depthwise 3x3 with the narrow instructions alone (Cortex-M0+), into a tile.

Row by row of a window: three weights, then each value times the weights of the up to three pixels
that it serves. The sums stay in r8 to r10. In C: mbn_scalar_depthwise (runtime/kernels/scalar).
factor: 2m, or in rounding `tflite` the Q31 multiplier; offset and exponent as rounding.py says.
The tile's bytes are 128 more than the values; see couples.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from mbn.passes.kernels.asm.narrow import NarrowFunction
from mbn.passes.kernels.asm.rounding import Rounding

PARAMETERS = (
    "const int8_t *row0, const int8_t *row1, const int8_t *row2, const int8_t *weights, "
    "const int32_t *bias, const int32_t *factor, const int32_t *offset, const int32_t *exponent, "
    "int8_t *tile"
)
_TAPS = 3
_ROWS = ("row0", "row1", "row2")
_WORDS = ("bias_at", "factor_at", "offset_at", "exponent_at")
_SLOTS = (*_ROWS, "weights_at", *_WORDS, "left", "half0", "plane")


@dataclass(frozen=True)
class Groups:
    """`count` groups of `pixels`, one behind the other. column: the first one inside the map that
    the first group reads. left, right: columns outside that each reads. tile: bytes from the tile
    to the first group."""

    column: int
    count: int
    pixels: int
    left: int
    right: int
    tile: int


class _Bounds(NamedTuple):
    column: str
    end: str
    place: str
    step: str


@dataclass(frozen=True)
class Line:
    """A line of `channels`. depth: channels of the tile."""

    channels: int
    stride: int
    plane_bytes: int
    zero_point: int
    depth: int
    rounding: Rounding
    groups: tuple[Groups, ...]


def text(name: str, about: str, line: Line) -> str:
    """The function."""
    f = NarrowFunction(name, about, ("given0", "given1", "given2", "given3"))
    made = _Depthwise(f, line)
    made.write()
    return f.text(made.frame_bytes)


class _Depthwise:
    def __init__(self, function: NarrowFunction, line: Line) -> None:
        self.f, self.line = function, line
        # slots of each entry of line.groups: its first column, the end, its place in the tile, and
        # from group to group there
        self.bounds = [
            _Bounds(*(f"{name}{at}" for name in ("column", "end", "place", "step")))
            for at in range(len(line.groups))
        ]

    @property
    def frame_bytes(self) -> int:
        return (4 * (len(_SLOTS) + 4 * len(self.bounds)) + 7) // 8 * 8

    def write(self) -> None:
        f, line = self.f, self.line
        names = [*_SLOTS, *(name for bounds in self.bounds for name in bounds)]
        for number, slot in enumerate(names):
            f.slot(slot, 4 * number)
        given = ("given0", "given1", "given2", "given3")
        for slot, argument in zip(_SLOTS, given, strict=False):
            f.put(slot, argument)
        f.release(*given)
        spare, tile = f.define("spare", "r0"), f.define("tile", "r1")
        for number, slot in enumerate(_WORDS):
            f.op("ldr", spare, f.stack_argument(number))
            f.put(slot, spare)
        constants: dict[str, int | str] = {
            "left": line.channels,
            "half0": 0x8000,
            "plane": line.plane_bytes,
        }
        for bounds, groups in zip(self.bounds, line.groups, strict=True):
            constants |= {
                bounds.column: groups.column,
                bounds.end: groups.column + groups.count * groups.pixels * line.stride,
                bounds.place: groups.tile,
                bounds.step: groups.pixels * line.depth,
            }
        f.literals(spare, constants)
        f.op("ldr", tile, f.stack_argument(len(_WORDS)))
        for bounds in self.bounds:
            f.get(spare, bounds.place)
            f.op("adds", spare, spare, tile)
            f.put(bounds.place, spare)
        f.release(spare, tile)
        f.label("channel")
        f.define("column", "r11", "of a group, bytes from the row's start")
        f.define("to", "r12", "a group's place in the tile")
        for bounds, groups in zip(self.bounds, line.groups, strict=True):
            self._groups(bounds, groups)
        f.release("column", "to")
        self._next()

    def _groups(self, bounds: _Bounds, groups: Groups) -> None:
        f, line = self.f, self.line
        f.comment("")
        f.comment(
            f"{groups.count} x {groups.pixels} pixels; {groups.left} columns outside at the left, "
            f"{groups.right} at the right"
        )
        here = f.define("here", "r0")
        f.get(here, bounds.column)
        f.op("mov", "column", here)
        f.get(here, bounds.place)
        f.op("mov", "to", here)
        f.op("adds", here, f"#{groups.pixels}", note="of the next channel")
        f.put(bounds.place, here)
        f.release(here)
        again = f.label(f.fresh("groups"))
        self._sums(groups)
        self._store(groups.pixels)
        if groups.count > 1:
            here, other = f.define("here", "r0"), f.define("other", "r1")
            f.get(other, bounds.step)
            f.op("add", "to", other)
            f.op("mov", here, "column")
            f.op("adds", here, f"#{groups.pixels * line.stride}")
            f.op("mov", "column", here)
            f.get(other, bounds.end)
            f.op("cmp", here, other)
            ended = f.fresh("ended")
            f.branch("beq", ended)
            f.branch("b", again)
            f.label(ended)
            f.release(here, other)

    def _sums(self, groups: Groups) -> None:
        f, stride = self.f, self.line.stride
        names = {
            "row": ("r0", "a row's first column"),
            **{f"w{k}": (f"r{1 + k}", "a weight") for k in range(_TAPS)},
            "value": ("r4", "a value"),
            "product": ("r5", "a product"),
            "weights": ("r7", "of the channel"),
            **{f"sum{n}": (f"r{8 + n}", f"of pixel {n}") for n in range(groups.pixels)},
        }
        f.define_all(names)
        f.get("row", "bias_at")
        f.op("ldr", "row", "[row]")
        for n in range(groups.pixels):
            f.op("mov", f"sum{n}", "row")
        f.get("weights", "weights_at")
        columns = (groups.pixels - 1) * stride + _TAPS
        for y, slot in enumerate(_ROWS):
            f.get("row", slot)
            f.op("add", "row", "column")
            for k in range(_TAPS):
                f.op("ldrb", f"w{k}", f"[weights, #{_TAPS * y + k}]")
                f.op("sxtb", f"w{k}", f"w{k}")
            for column in range(columns):
                uses = [
                    (n, column - n * stride)
                    for n in range(groups.pixels)
                    if 0 <= column - n * stride < _TAPS
                ]
                if not uses:
                    continue
                if groups.left <= column < columns - groups.right:
                    f.op("ldrb", "value", f"[row, #{column - groups.left}]")
                    f.op("sxtb", "value", "value")
                else:
                    self._zero_point()
                for n, k in uses[:-1]:
                    f.op("mov", "product", "value")
                    f.op("muls", "product", f"w{k}", "product")
                    f.op("add", f"sum{n}", "product")
                n, k = uses[-1]
                f.op("muls", "value", f"w{k}", "value")
                f.op("add", f"sum{n}", "value")
        f.release(*(name for name in names if not name.startswith("sum")))

    def _zero_point(self) -> None:
        """value = what lies outside the map."""
        f, zero = self.f, self.line.zero_point
        f.op("movs", "value", f"#{abs(zero)}")
        if zero < 0:
            f.op("rsbs", "value", "value", "#0")

    def _store(self, pixels: int) -> None:
        f, rounding = self.f, self.line.rounding

        def fetch(word: int) -> None:
            f.get("part", _WORDS[1 + word])
            f.op("ldr", "part", "[part]")

        names = f.begin_requantise("half0")
        f.get("part", "factor_at")
        f.multiplier("[part]", doubled=rounding.code >= 0)
        f.op("mov", "at", "to")
        for n in range(pixels):
            f.op("mov", "total", f"sum{n}")
            f.requantise(rounding, fetch, f"sum{n}")
            f.op("adds", "total", "#128")
            f.op("strb", "total", f"[at, #{n}]")
        f.release(*names, *(f"sum{n}" for n in range(pixels)))

    def _next(self) -> None:
        """The next channel."""
        f = self.f
        at, step = f.define("at_now", "r0"), f.define("by", "r1")
        f.comment("")
        f.get(step, "plane")
        for slot in _ROWS:
            f.get(at, slot)
            f.op("adds", at, at, step)
            f.put(slot, at)
        for slot in _WORDS:
            f.get(at, slot)
            f.op("adds", at, "#4")
            f.put(slot, at)
        f.get(at, "weights_at")
        f.op("adds", at, f"#{_TAPS * _TAPS}")
        f.put("weights_at", at)
        f.get(at, "left")
        f.op("subs", at, "#1")
        f.put("left", at)
        done = f.fresh("done")
        f.branch("beq", done)
        f.branch("bl", "channel")  # B reaches 2 KB; lr is saved
        f.label(done)
        f.release(at, step)
