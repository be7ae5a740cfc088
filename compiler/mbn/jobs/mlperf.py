"""Sessions of MLPerf Tiny's runner with a board that runs firmware/mlperf.

What enters: a folder that mbn-compile wrote, a board, a port or nothing (the emulator). What
leaves: how many results are exactly those of the host reference, and how fast inferences are by the
board's own clock. Always holds: the expected results are computed by the reference from
network.npz, to the last of their three decimals; TVM, torch and ONNX are not needed. What the
runner sends is pixels, codes or numbers, as the network's shapes say: see `Kind`.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mbn import arithmetic
from mbn.core import network_file
from mbn.core.errors import UsageError
from mbn.core.network import Network
from mbn.core.target import Board
from mbn.exact import Reference
from mbn.exact.tflite import exp_on_negative_values
from mbn.harness.device.emulated import ICOUNT_SHIFT
from mbn.harness.device.mlperf import APP, BAUD, Runner, open_runner
from mbn.jobs import check as check_job

WINDOWS = 5  # of a performance session; the median counts

Int8 = NDArray[np.int8]
Float32 = NDArray[np.float32]
UInt8 = NDArray[np.uint8]
Progress = Callable[[int, int], None]  # done, of


class Kind(StrEnum):
    """What the bytes of a `db` command are. firmware/mlperf/input.h has the same rule."""

    PIXELS = "pixels"  # unsigned; the device takes 128 off, or stores them by the pixel table
    NUMBERS = "numbers"  # little-endian float32 for an autoencoder, which the device quantises
    CODES = "codes"  # signed, as the network wants them


def kind_of(network: Network) -> Kind:
    """What the runner sends for this network."""
    height, width, channels = network.input.shape
    if network.input.shape == network.output.shape == (1, 1, channels):
        return Kind.NUMBERS
    is_image = min(height, width) > 1 and (channels == 3 or height == width)
    return Kind.PIXELS if network.mean or is_image else Kind.CODES


@dataclass(frozen=True)
class Accuracy:
    """Of an accuracy session."""

    samples: int
    exact: int  # whose results are the reference's, all decimals
    right: int | None  # whose largest result is the label's; None: no labels
    mismatch: str | None


@dataclass(frozen=True)
class Performance:
    """Of a performance session: inferences a second, one a window."""

    runs: int
    warmup: int
    per_second: tuple[float, ...] = field(default=())
    mismatch: str | None = None  # a window whose results aren't the reference's: another network

    @property
    def median(self) -> float:
        return statistics.median(self.per_second)


def expected_results(network: Network, output: Int8, numbers: Float32 | None = None) -> str:
    """What the device prints for the reference's int8 output: three decimals a class, or of an
    autoencoder one number, how far the output is from the `numbers` that came in."""
    kind = kind_of(network)
    if kind is Kind.NUMBERS:
        assert numbers is not None
        return _decimals(_error(network, output, numbers))
    cut = kind is Kind.CODES  # as the reference submission of key words prints them
    codes = output.astype(np.int64).reshape(-1)
    tensor = network.output
    if "softmax" in network.host_ops:
        step = int(np.float32(tensor.scale) * 2.0**26) if tensor.scale < 32 else 2**31 - 1
        powers = (codes - codes.max()) * step
        counts = powers > -(2**31)
        parts = np.where(counts, exp_on_negative_values(np.where(counts, powers, 0)), 0)
        total = int(parts.sum())
        if cut:
            values = [min(999, 1000 * int(part) // total) for part in parts]
        else:
            values = [(2000 * int(part) + total) // (2 * total) for part in parts]
    else:
        step = int(1000 * float(tensor.scale) * 2.0**32)
        exact = [int(code - tensor.zero_point) * step for code in codes]
        values = [_towards_zero(v, 32) if cut else _half_to_even(v, 32) for v in exact]
    return ",".join(_decimals(value) for value in values)


def _decimals(thousandths: int) -> str:
    size = abs(thousandths)
    return f"{'-' * (thousandths < 0)}{size // 1000}.{size % 1000:03d}"


def _error(network: Network, output: Int8, numbers: Float32) -> int:
    """The mean of squared differences, float32 and in order as on the device, in thousandths."""
    tensor = network.output
    steps = output.reshape(-1).astype(np.float32) - np.float32(tensor.zero_point)
    differences = steps * np.float32(tensor.scale) - numbers
    total = np.cumsum(differences * differences, dtype=np.float32)[-1]
    top, bottom = float(total / np.float32(numbers.size)).as_integer_ratio()
    return round(Fraction(1000 * top, bottom))  # half to even


def _towards_zero(value: int, bits: int) -> int:
    size = abs(value) >> bits
    return -size if value < 0 else size


def _half_to_even(value: int, bits: int) -> int:
    whole, part = value >> bits, value & ((1 << bits) - 1)
    half = 1 << (bits - 1)
    return whole + (part > half or (part == half and whole % 2 == 1))


def pixels_of(network: Network, images: Int8) -> UInt8:
    """Samples as the runner sends them: the pixels that the network stores so, or, where there are
    none, those that it stores most nearly so."""
    codes = arithmetic.pixel_codes(network).astype(np.int16)
    every = np.arange(-128, 128)
    nearest = np.abs(codes[:, :, None] - every).argmin(axis=1).astype(np.uint8)
    pixels: UInt8 = nearest[np.arange(network.input.channels), images.astype(np.int16) + 128]
    return pixels


def as_stored(network: Network, pixels: UInt8) -> Int8:
    """Pixels as the network stores them, by its own table: what the reference must be asked of."""
    codes: Int8 = arithmetic.pixel_codes(network)[np.arange(network.input.channels), pixels]
    return codes


def quantised(network: Network, numbers: Float32) -> Int8:
    """Numbers as the device quantises them: half away from zero."""
    steps = np.clip(numbers / np.float32(network.input.scale), -512, 512).astype(np.float64)
    whole = np.copysign(np.floor(np.abs(steps) + 0.5), steps) + network.input.zero_point
    codes: Int8 = np.clip(whole, -128, 127).astype(np.int8)
    return codes


def payloads(network: Network, samples: Int8) -> list[bytes]:
    """Samples as the runner sends them."""
    kind, source = kind_of(network), network.input
    if kind is Kind.PIXELS:
        return [pixels.tobytes() for pixels in pixels_of(network, samples)]
    if kind is Kind.CODES:
        return [codes.tobytes() for codes in samples]
    steps = samples.astype(np.float32) - np.float32(source.zero_point)
    return [numbers.astype("<f4").tobytes() for numbers in steps * np.float32(source.scale)]


def wanted_results(network: Network, sent: list[bytes]) -> list[str]:
    """What the device must print for what was sent to it, by the host reference."""
    kind, shape = kind_of(network), network.input.shape
    dtype = {Kind.PIXELS: "u1", Kind.CODES: "i1", Kind.NUMBERS: "<f4"}[kind]
    values = [np.frombuffer(one, dtype) for one in sent]
    maps = np.stack(values).reshape(-1, *shape)
    if kind is Kind.PIXELS:
        maps = as_stored(network, maps)
    elif kind is Kind.NUMBERS:
        maps = quantised(network, maps)
    outputs = Reference(network).run(maps)
    numbers = values if kind is Kind.NUMBERS else [None] * len(values)
    pairs = zip(outputs, numbers, strict=True)
    return [expected_results(network, output, one) for output, one in pairs]


def accuracy(
    runner: Runner, folder: Path, samples: int | None, progress: Progress | None = None
) -> Accuracy:
    """An accuracy session: each sample loaded, inferred once without warm-up."""
    network = network_file.load(folder / "network.npz")
    sent = payloads(network, check_job.load_samples(folder, samples))
    labels = check_job.load_labels(folder, samples)
    if kind_of(network) is Kind.NUMBERS:
        labels = None  # an error names no class
    exact, right, mismatch = 0, 0, None
    for number, (payload, wanted) in enumerate(
        zip(sent, wanted_results(network, sent), strict=True)
    ):
        runner.load(payload)
        found = runner.infer(1, 0)
        if found.text == wanted:
            exact += 1
        elif mismatch is None:
            mismatch = f"sample {number}: the device says {found.text}, the reference {wanted}"
        if labels is not None:
            right += int(np.argmax(found.results)) == labels[number]
        if progress:
            progress(number + 1, len(sent))
    return Accuracy(len(sent), exact, None if labels is None else right, mismatch)


def performance(runner: Runner, folder: Path, runs: int, warmup: int) -> Performance:
    """A performance session: the median of five windows of `runs` inferences, one sample each."""
    rates: list[float] = []
    mismatch = None
    network = network_file.load(folder / "network.npz")
    samples = check_job.load_samples(folder, WINDOWS)
    sent = payloads(network, np.resize(samples, (WINDOWS, *network.input.shape)))
    for number, (payload, wanted) in enumerate(
        zip(sent, wanted_results(network, sent), strict=True)
    ):
        runner.load(payload)
        found = runner.infer(runs, warmup)
        rates.append(found.per_second)
        if found.text != wanted and mismatch is None:
            mismatch = f"window {number}: the device says {found.text}, the reference {wanted}"
    return Performance(runs, warmup, tuple(rates), mismatch)


@dataclass(frozen=True)
class Sessions:
    """What one run of the sessions gave. `model`: what the device says of itself."""

    model: tuple[str, ...]
    accuracy: Accuracy | None
    performance: Performance | None
    virtual_ns: int | None  # of an instruction, in emulation; None: real time

    @property
    def exact(self) -> bool:
        """Whether every result was the reference's."""
        accurate = self.accuracy is None or self.accuracy.exact == self.accuracy.samples
        return accurate and (self.performance is None or self.performance.mismatch is None)


def run_sessions(
    board: Board,
    folder: Path,
    *,
    port: str | None = None,
    baud: int = BAUD,
    mode: str = "both",
    samples: int | None = None,
    runs: int = 10,
    warmup: int = 10,
    transcript: Path | None = None,
) -> Sessions:
    """Both sessions of the runner, or the one that `mode` names: accuracy, performance. What was
    said goes to `transcript`, whatever happens. Raises UsageError for a folder without the runner's
    image, LinkError."""
    elf = folder / f"{APP}.elf"
    if port is None and not elf.is_file():
        raise UsageError(
            f"{folder} holds no {elf.name}", advice="compile with mbn-compile --app mlperf"
        )
    with open_runner(board, elf, port, baud) as runner:
        try:
            model = tuple(runner.ask("name") + runner.ask("profile"))
            found = None if mode == "performance" else accuracy(runner, folder, samples)
            speed = None if mode == "accuracy" else performance(runner, folder, runs, warmup)
        finally:
            if transcript is not None:
                transcript.write_text("\n".join(runner.transcript) + "\n", encoding="utf-8")
    virtual = port is None and not board.native
    return Sessions(model, found, speed, 2**ICOUNT_SHIFT if virtual else None)
