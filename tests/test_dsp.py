"""The dsp kernel set's fast bodies on the shapes for which they have cases of their own.

What enters: chains of blocks whose maps' widths run through all remainders modulo 4, both paddings,
odd and even channels, sums of more than 64 pairs. What leaves: nothing but failures. Always holds:
every stage's map is compared, on the host's C (which has no asm) and on the board.
"""

from __future__ import annotations

import pytest

import networks
import shares
from mbn.core.kernel_set import DSP
from mbn.core.network import Network
from mbn.core.options import InputMode
from mbn.core.target import Board, find_board
from networks import conv, depthwise
from test_kernels import compare

# height, width, padding, channels: the widths of later maps are halves, rounded up or down
SHAPES = (
    (24, 24, "same", 8),
    (24, 24, "tensorflow", 8),
    (20, 28, "same", 7),
    (12, 40, "tensorflow", 3),
    (18, 18, "same", 16),
    (13, 22, "tensorflow", 5),
    (11, 31, "same", 4),
)


def chain(height: int, width: int, padding: str, channels: int) -> Network:
    """Blocks of both strides down to a few pixels; the last sums are of 65 and 66 pairs."""
    specs = [conv(channels, 3, 2, padding), depthwise(), conv(2 * channels)]
    specs += [depthwise(2, padding), conv(2 * channels + 1), depthwise(), conv(22)]
    specs += [depthwise(2, padding), conv(130), depthwise(), conv(131), depthwise(), conv(6)]
    return networks.make_network((height, width, 3), specs, seed=height * width)


# straight bodies and the tallest bands that fit, straight and the least, shared, some of both
WAYS = (("speed", None), ("speed", 0), ("size", None), ("balanced", 1 << 20))


def way_of(shape: tuple[int, int, str, int]) -> tuple[str, int | None]:
    """One way for each shape on the host, another on the board."""
    return WAYS[SHAPES.index(shape) % len(WAYS)]


ON_THE_BOARD = [
    pytest.param(shape, way, marks=() if number % len(WAYS) == turn else pytest.mark.full)
    for number, shape in enumerate(SHAPES, 1)
    for turn, way in enumerate(WAYS)
]


@pytest.mark.parametrize("shape", shares.some(SHAPES, *SHAPES[:4]), ids=str)
def test_shapes_on_the_host(shape: tuple[int, int, str, int]) -> None:
    optimise, budget = way_of(shape)
    network = chain(*shape)
    compare(
        network,
        "dsp",
        InputMode.STREAM,
        find_board("host"),
        optimise=optimise,
        ram_budget=budget,
    )


@pytest.mark.parametrize(("shape", "way"), ON_THE_BOARD, ids=str)
def test_shapes_on_the_board(
    shape: tuple[int, int, str, int],
    way: tuple[str, int | None],
    board: Board,
    transport: str | None,
) -> None:
    if transport is not None:
        pytest.skip("needs an image of its own on the board for each network")
    if board.core.kernels is not DSP:
        pytest.skip(f"{board.name} runs the {board.core.kernels} kernels")
    mode = tuple(InputMode)[WAYS.index(way) % 2]
    compare(chain(*shape), "dsp", mode, board, optimise=way[0], ram_budget=way[1])


@pytest.mark.parametrize("place", shares.some(["host", "qemu"], "qemu"))
def test_kernel_rows_longer_than_a_patch_are_gathered(place: str) -> None:
    """Seven pixels of five channels are more bytes than the patch body pads."""
    network = networks.make_network((9, 8, 5), [conv(3, 7), conv(4)], seed=6)
    compare(network, "dsp", InputMode.STREAM, find_board(place))


@pytest.mark.parametrize("shape", shares.some(SHAPES, *SHAPES[:4]), ids=str)
def test_shapes_of_the_m7(shape: tuple[int, int, str, int]) -> None:
    """Groups of three pixels: as C on the host, as asm on the emulated M7."""
    optimise, budget = way_of(shape)
    for place in ("host", "qemu-m7"):
        compare(
            chain(*shape),
            "m7",
            InputMode.STREAM,
            find_board(place),
            optimise=optimise,
            ram_budget=budget,
        )


@pytest.mark.parametrize("place", ["qemu", "qemu-m7"])
def test_channels_beyond_an_immediate_offset(place: str) -> None:
    """512 channels: a group of the tile takes 4,096 bytes or more, both strides."""
    specs = [conv(512), depthwise(), conv(5), conv(512), depthwise(2), conv(4)]
    network = networks.make_network((10, 16, 3), specs, seed=7)
    board = find_board(place)
    compare(network, board.core.kernels, InputMode.STREAM, board)
