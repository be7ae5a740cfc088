"""The arithmetic, fuzzed: reference, C under sanitizers, and the emulated core agree in all bits.

What enters: drawn networks (networks.py). What leaves: nothing but failures, which name the first
stage and element that differ. Always holds: every stage's map and every output byte is compared,
for both kernel sets and both input modes; a run repeats itself (derandomised) unless
MBN_EXAMPLES=N asks for N fresh networks a test; a failure says the seed that draws it again.
"""

from __future__ import annotations

import os
import tempfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

import lowered
import networks
import shares
from between import draw_between
from mbn.core.boards import find_board
from mbn.core.network import Network
from mbn.core.options import InputMode
from mbn.core.schedule import BandOption
from mbn.core.target import Board
from mbn.exact import Reference
from mbn.harness.device import open_device
from mbn.harness.device.check import explain
from mbn.harness.device.protocol import Watch
from mbn.image.build import build_image
from mbn.jobs import check as check_job
from mbn.passes.frontend.stages import group_stages
from tflite_form import in_tflite

FRESH = int(os.environ.get("MBN_EXAMPLES", "0"))
# of each round: networks in both input modes, with residual additions, in one mode
PLAIN, RESIDUAL, IN_TFLITE = FRESH or 2, FRESH or 1, FRESH or 2
ROUNDS = [1] if FRESH else shares.some((1, 4), 1)
SETS = ("scalar", "dsp")
Draw = Callable[[int], Network]
SEEDS = st.integers(0, 2**32 - 1)
MODES = tuple(InputMode)


def fuzzed(examples: int) -> settings:
    """Builds take seconds, so no deadline; a smaller seed is no smaller network: no shrinking."""
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=not FRESH,
        database=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )


def compare(
    network: Network,
    kernel_set: str,
    mode: InputMode,
    board: Board,
    *,
    simplify: bool = False,
    optimise: str = "speed",
    ram_budget: int | None = None,
    forced: Sequence[BandOption] | None = None,
) -> None:
    """Builds the network for `board` and compares every stage of every image with the reference
    (`simplify`: of the channels that are not removed). `forced`: how each stage is built."""
    reference = Reference(network)
    images = networks.images(network)
    generated = lowered.generate(
        network,
        kernel_set,
        mode,
        simplify=simplify,
        optimise=optimise,
        ram_budget=ram_budget,
        forced=forced,
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        generated.files.write(folder / "c")
        # -Og under sanitizers compiles in a third of -O2's time; test_network has -O2 on the host
        flag = "-Og" if board.native else "-O2"
        image = build_image(folder / "c", board, "check", folder, flag=flag)
        with open_device(board, image, log_path=folder / "serial.log") as device:
            device.expect(model_sha256=generated.model_sha256)
            for number, sample in enumerate(images):
                maps = check_job.stage_maps(reference, sample)
                output = device.run(sample, Watch.CHECKSUMS).output
                wanted = tuple(
                    zlib.crc32(np.ascontiguousarray(one[..., channels.kept]).tobytes())
                    for one, channels in zip(maps, generated.channels, strict=True)
                )
                result = reference.run(sample[None])[0].reshape(output.shape)
                if device.checksums() == wanted and np.array_equal(output, result):
                    continue
                reason = explain(
                    device,
                    sample,
                    result,
                    lambda x: check_job.stage_maps(reference, x),
                    generated.channels,
                )
                pytest.fail(f"{kernel_set}, {mode}, simplify {simplify}, image {number}: {reason}")
            assert device.memory().arena_guards_ok
            assert device.memory().arena_bytes == generated.plan.arena_bytes


@pytest.mark.parametrize("draw", [networks.draw, networks.draw_residual, draw_between])
@pytest.mark.parametrize("kernel_set", SETS)
@pytest.mark.parametrize("rounds", ROUNDS)
def test_drawn_networks_under_sanitizers(kernel_set: str, draw: Draw, rounds: int) -> None:
    host = find_board("host")

    @fuzzed(rounds * (PLAIN if draw is networks.draw else RESIDUAL))
    @given(SEEDS)
    def every_bit(seed: int) -> None:
        network = draw(seed)
        note(networks.describe(network))
        for number, mode in enumerate(MODES):
            simplify = (seed + number) % 2 == 0
            optimise = ("speed", "size")[seed // 2 % 2]
            compare(network, kernel_set, mode, host, simplify=simplify, optimise=optimise)

    every_bit()


@pytest.mark.parametrize("draw", [networks.draw, networks.draw_residual, draw_between])
@pytest.mark.parametrize("rounds", ROUNDS)
def test_drawn_networks_on_the_board(
    board: Board, transport: str | None, draw: Draw, rounds: int
) -> None:
    if transport is not None:
        pytest.skip("needs an image of its own on the board for each network")

    @fuzzed(rounds * (PLAIN if draw is networks.draw else RESIDUAL))
    @given(SEEDS)
    def every_bit(seed: int) -> None:
        network = draw(seed)
        note(networks.describe(network))
        for number, mode in enumerate(MODES):
            simplify = (seed + number) % 2 == 0
            optimise = ("speed", "size")[seed // 2 % 2]
            compare(network, board.core.kernels, mode, board, simplify=simplify, optimise=optimise)

    every_bit()


@pytest.mark.parametrize("where", ["host scalar", "host dsp", "host mve", "board", "qemu-m55 mve"])
@pytest.mark.parametrize("rounds", ROUNDS)
def test_drawn_networks_in_rounding_tflite(
    where: str, board: Board, transport: str | None, rounds: int
) -> None:
    name, _, kernel_set = where.partition(" ")
    if name == "board" and transport is not None:
        pytest.skip("needs an image of its own on the board for each network")
    place = board if name == "board" else find_board(name)
    kernel_set = kernel_set or place.core.kernels

    @fuzzed(rounds * IN_TFLITE)
    @given(SEEDS)
    def every_bit(seed: int) -> None:
        kind = seed // 4 % 3
        if kind == 2:
            network = draw_between(seed, tflite=True)
        else:
            draw = (networks.draw, networks.draw_residual)[kind]
            network = in_tflite(draw(seed))
        note(networks.describe(network))
        mode, simplify = MODES[seed % 2], seed // 2 % 2 == 0
        compare(network, kernel_set, mode, place, simplify=simplify)

    every_bit()


@pytest.mark.parametrize("kernel_set", SETS)
def test_fused_equals_unfused_at_every_block_end(kernel_set: str, tmp_path: Path) -> None:
    fused = networks.make_network((9, 10, 3), networks.mobile(), seed=4)
    checksums = []
    for network in (fused, group_stages(replace(fused, stages=()), fused=False)):
        generated = lowered.generate(network, kernel_set, InputMode.STREAM)
        folder = tmp_path / str(len(network.stages))
        generated.files.write(folder / "c")
        image = build_image(folder / "c", find_board("host"), "check", folder)
        with open_device(find_board("host"), image, log_path=folder / "log") as device:
            device.run(networks.images(network)[0], Watch.CHECKSUMS)
            ends = {
                stage.layers[-1]: crc
                for stage, crc in zip(network.stages, device.checksums(), strict=True)
            }
        checksums.append(ends)
    blocks, layers = checksums
    assert len(blocks) < len(layers) == len(fused.layers)
    assert blocks == {index: layers[index] for index in blocks}
