"""The dsp kernel set's fast bodies on the shapes for which they have cases of their own.

What enters: chains of blocks whose maps' widths run through all remainders modulo 4, both paddings,
odd and even channels, sums of more than 64 pairs. What leaves: nothing but failures. Always holds:
every stage's map is compared, on the host's C (which has no asm) and on the board.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

import networks
import shares
from mbn.core.boards import find_board
from mbn.core.kernel_set import DSP
from mbn.core.network import Network, Op
from mbn.core.options import InputMode
from mbn.core.target import Board
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


@pytest.mark.parametrize("place", ["host", "qemu", "qemu-m7"])
def test_a_stride_that_differs_by_axis(place: str) -> None:
    """The bodies of strips go by columns; rows are the driver's."""
    specs = [conv(8, 3), replace(depthwise(), stride=(1, 2)), conv(9)]
    specs += [replace(depthwise(), stride=(2, 1)), conv(4)]
    kernels = "m7" if place == "qemu-m7" else "dsp"
    network = networks.make_network((9, 12, 3), specs, seed=5)
    compare(network, kernels, InputMode.STREAM, find_board(place))


@pytest.mark.parametrize("place", ["host", "qemu", "qemu-m7", "qemu-m55"])
@pytest.mark.parametrize(("width", "kernel"), [(2, 3), (3, 5), (9, 3), (14, 5)])
def test_a_depthwise_from_planes_to_planes(width: int, kernel: int, place: str) -> None:
    """Alone, both strides; maps narrower than a word, and words that reach beside the map."""
    specs = [conv(5, 3), depthwise(1, kernel=kernel), depthwise(2, kernel=kernel), conv(3)]
    network = networks.make_network((width + 1, width, 3), specs, seed=width, fused=False)
    board = find_board(place)
    compare(network, "dsp" if place == "host" else board.core.kernels, InputMode.STREAM, board)


@pytest.mark.parametrize("place", ["host", "qemu", "qemu-m7"])
@pytest.mark.parametrize(("width", "kernel", "stride"), [(3, 2, 1), (7, 3, 2), (12, 5, 1)])
def test_windows_by_words(width: int, kernel: int, stride: int, place: str) -> None:
    """Planar maps of odd channels: the last one has no high half."""
    specs = [conv(7, 1), conv(6, kernel, stride), conv(3, 3)]
    network = networks.make_network((width, width, 3), specs, seed=kernel)
    kernels = "m7" if place == "qemu-m7" else "dsp"
    compare(network, kernels, InputMode.WHOLE, find_board(place))


@pytest.mark.parametrize("place", ["host", "qemu"])
@pytest.mark.parametrize("weights", ["random", "high", "low"])
def test_one_pixel(weights: str, place: str) -> None:
    """By raw words, or unpacked where a sum may be too large for them (all weights 127, -128)."""
    specs = [conv(9, 3, 2), replace(conv(7), op=Op.DENSE, weights=weights, clamp=(None, None))]
    specs.append(replace(conv(300), op=Op.DENSE))
    specs.append(replace(conv(2), op=Op.DENSE, weights=weights))
    network = networks.make_network((20, 22, 3), specs, seed=3)
    compare(network, "dsp", InputMode.STREAM, find_board(place))
