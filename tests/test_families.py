"""Boards of real parts: each builds the 0.25-96 network, and runs on its core with its memories.

What enters: the boards that nothing here emulates. What leaves: nothing but failures. Always holds:
a family's C is compiled with warnings as errors; what runs is a stand-in of the core with the
board's sizes of memory, since no emulator has the part's clocks and serial line.
"""

from __future__ import annotations

import ctypes
import re
import shutil
import struct
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import pytest

import lowered
import tiny
from conftest import TINY, Builder
from families import PARTS
from mbn.core.board_file import load_board
from mbn.core.boards import find_board
from mbn.core.elf import Contents, symbols
from mbn.core.errors import PlanError
from mbn.core.generic import generic
from mbn.core.kernel_set import KernelSet
from mbn.core.options import InputMode
from mbn.core.target import CORES, METHODS, Board, Image, data_root
from mbn.core.uf2 import family_id
from mbn.harness.device import check, open_device
from mbn.harness.flash import read_payload
from mbn.image.build import build_image
from mbn.image.build.boot import crc32_boot2
from mbn.jobs.lower import fit
from mbn.passes.predict import family_network


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Image]:
    """The check image of alpha 0.25 at 96x96 by board; the C is made once for a kernel set."""

    @cache
    def generated(kernels: KernelSet) -> Path:
        folder = tmp_path_factory.mktemp(kernels.name)
        family = family_network(0.25, 96, 2)
        lowered.generate(family, kernels, InputMode.STREAM).files.write(folder)
        return folder

    @cache
    def get(name: str) -> Image:
        board = find_board(name)
        folder = tmp_path_factory.mktemp(name)
        return build_image(generated(board.core.kernels), board, "check", folder)

    return get


@pytest.mark.parametrize("name", PARTS)
def test_every_board_builds_the_network(name: str, network: Callable[[str], Image]) -> None:
    image = network(name)
    board = image.board
    assert image.hex is not None and image.bin is not None
    assert image.weights_bytes > 200_000
    for memory in board.memories:
        assert image.memory_bytes[memory.name] <= memory.size_bytes
    if board.memories_for("hot"):
        assert image.memory_bytes[board.memories_for("hot")[0].name] > 10_000
    _starts(image, board)
    lowest = min(address for address, _ in read_payload(image.hex, board).parts)
    assert lowest == BEHIND.get(name, board.memories_for("code")[0].origin)


def _starts(image: Image, board: Board) -> None:
    """The file begins with what the part's boot ROM reads."""
    code = board.memories_for("code")[0].origin
    contents = Contents(image.elf)
    table = code
    if name_at(image, "mbn_boot2") is not None:
        table += 256
        block = contents.read(code, 256)
        assert name_at(image, "mbn_boot2") == code
        assert struct.unpack("<I", block[252:])[0] == crc32_boot2(block[:252])
    if board.name == "teensy41":
        _flexspi_header(image, contents, code)
        table += 0x2000
    if board.name == "rp2350_pico2":
        words = struct.unpack("<5I", contents.read(table + 64, 20))
        assert words == (0xFFFFDED3, 0x10210142, 0x1FF, 0, 0xAB123579)
    stack, reset = struct.unpack("<2I", contents.read(table, 8))
    data = board.memories_for("stack")[0]
    assert data.origin < stack <= data.origin + data.size_bytes
    assert reset == (name_at(image, "mbn_reset") or 0) | 1


def _flexspi_header(image: Image, contents: Contents, code: int) -> None:
    """What the RT1062's boot ROM reads (IMXRT1060RM, "Image Vector Table and Boot Data"; offsets of
    the configuration block by NXP's evkmimxrt1060_flexspi_nor_config.h)."""
    block = contents.read(code, 512)
    assert block[:8] == b"FCFB" + struct.pack("<I", 0x56010400)
    assert tuple(block[0x44:0x47]) == (1, 4, 8)  # serial NOR, four pads, 133 MHz
    assert struct.unpack_from("<I", block, 0x50)[0] == 8 << 20
    # EBh on one pad, 24 bits of address on four; six clocks, then data
    assert struct.unpack_from("<4I", block, 0x80) == (0x0A1804EB, 0x26043206, 0, 0)
    assert struct.unpack_from("<2I", block, 0x1C0) == (256, 4096)
    ivt = struct.unpack("<11I", contents.read(code + 0x1000, 44))
    entry = name_at(image, "mbn_imxrt_reset") or 0
    assert ivt[:6] == (0x402000D1, entry | 1, 0, 0, code + 0x1020, code + 0x1000)
    assert ivt[6:] == (0, 0, code, 8 << 20, 0)


# Where the first byte of an image lies behind a boot loader that stays in the part
BEHIND = {
    "arduino_nano33ble": 0x10000,
    "xiao_nrf52840": 0x27000,
    "feather_m4": 0x4000,
    **dict.fromkeys(("arduino_portenta_h7", "arduino_giga_r1", "arduino_nicla_vision"), 0x08040000),
}
# Where the pins' registers are written: the line's pins, by their board's schematic
PINS = {
    "nrf52840dk": (0x50000718, 0x50000720),  # P0.06, P0.08
    "arduino_nano33ble": (0x50000A0C, 0x50000A28),  # P1.03, P1.10
    "xiao_nrf52840": (0x50000A2C, 0x50000A30),  # P1.11, P1.12
    "microbit_v2": (0x50000718, 0x50000A20),  # P0.06, P1.08
}
ENTRIES = {"teensy41": "mbn_imxrt_reset"}  # where the boot ROM begins: elsewhere mbn_reset
TABLES = {"rp2040_pico": 256, "teensy41": 0x2000}  # where the vector table lies behind that
Ready = Callable[[int], int]  # what was written to a register -> what is read


def name_at(image: Image, name: str) -> int | None:
    return next((one.address for one in symbols(image.elf) if one.name == name), None)


@pytest.mark.parametrize("name", PARTS)
def test_every_boards_memories_hold_what_runs(name: str, tmp_path: Path) -> None:
    part = find_board(name)
    board = generic(part)
    assert board is not None
    for memory in part.memories:
        found = [one for one in board.memories if one.name.removesuffix("_weights") == memory.name]
        assert sum(one.size_bytes for one in found) == (memory.size_bytes if memory.holds else 0)
    image = build_image(TINY, board, "check", tmp_path)
    images = tiny.images(4)
    with open_device(board, image, log_path=tmp_path / "serial.log") as device:
        assert check(device, images, tiny.outputs(images)).exact


def _pll() -> Ready:
    """Ready bits follow the bits that turn oscillators and the PLL on."""
    return lambda v: v | (v & 1 << 16) << 1 | (v & 1 << 8) << 2 | (v & 1 << 24) << 1 | 1 << 1


def _switch(mask: int, shift: int) -> Ready:
    return lambda v: (v & ~(mask << shift)) | (v & mask) << shift


def _set(bits: int) -> Ready:
    return lambda v: v | bits


# The oscillator of each board with an STM32H7, in Hz
_H7_HSE_HZ = {
    "nucleo_h743zi": 8e6,
    "nucleo_h7a3zi_q": 8e6,
    "stm32h747i_disco": 25e6,
    "arduino_portenta_h7": 25e6,
    "arduino_giga_r1": 16e6,
    "arduino_nicla_vision": 25e6,
}
_NRF52 = ("nrf52840dk", "arduino_nano33ble", "xiao_nrf52840", "microbit_v2")
_F4 = {0x40023800: _pll(), 0x40023808: _switch(3, 2), 0x40007004: _set(3 << 16)}
_L4: Mapping[int, Ready] = {0x40021000: _pll(), 0x40021008: _switch(3, 2)}
_H7 = {
    0x58024400: lambda v: _pll()(v) | (v & 1) << 2,
    0x58024410: _switch(7, 3),
    0x58024804: _set(1 << 13),
    0x58024818: _set(1 << 13),
}
# Where readiness shows, and how the line's rate follows from its registers
READY: Mapping[str, Mapping[int, Ready]] = {
    "nucleo_f446re": _F4,
    "nucleo_f746zg": _F4,
    "stm32f746g_disco": _F4,
    **dict.fromkeys(_H7_HSE_HZ, _H7),
    **dict.fromkeys(("nucleo_l4r5zi", "b_l475e_iot01a"), _L4),
    "nucleo_u575zi_q": {
        0x46020C00: _pll(),
        0x46020C1C: _switch(3, 2),
        0x4602080C: _set(3 << 14),
    },
    **{name: {0x40000100: _set(1)} for name in _NRF52},
    "rp2040_pico": {
        0x40024004: _set(1 << 31),
        0x40028000: _set(1 << 31),
        0x4000C008: _set(0xFFFFFFFF),
        0x40008038: _set(4),
        0x40008044: _set(3),
    },
    "rp2350_pico2": {
        0x40048004: _set(1 << 31),
        0x40050000: _set(1 << 31),
        0x40020008: _set(0xFFFFFFFF),
        0x40010038: _set(4),
        0x40010044: _set(3),
    },
    "teensy41": {0x40080000: _set(1 << 31), 0x400D8000: _set(1 << 31)},
    "feather_m4": {0x40001040: _set(3)},
    "ek_ra8m1": {
        0x4001E03C: _set(0x28),
        0x4001E054: lambda v: (v & ~0x8000) | (v & 0x4000) << 1,
    },
}
Registers = Mapping[int, int]


def _f4_hz(r: Registers, crystal_hz: float = 8e6) -> float:
    pll = r[0x40023804]
    return crystal_hz / (pll & 63) * (pll >> 6 & 511) / (2 * (pll >> 16 & 3) + 2)


def _h7_hz(r: Registers, crystal_hz: float) -> float:
    assert r[0x58024428] & 3 == 2  # from HSE
    pll = r[0x58024430]
    return crystal_hz / (r[0x58024428] >> 4 & 63) * ((pll & 511) + 1) / ((pll >> 9 & 127) + 1)


def _l4_hz(r: Registers) -> float:
    pll = r[0x4002100C]
    return 16e6 / ((pll >> 4 & 15) + 1) * (pll >> 8 & 127) / 2


def _rp2_hz(r: Registers, pll: int) -> float:
    posts = r[pll + 12]
    return 12e6 * r[pll + 8] / ((posts >> 16 & 7) * (posts >> 12 & 7))


def _ra8_hz(r: Registers) -> float:
    pll = r[0x4001E028]
    return 20e6 / ((pll & 3) + 1) * ((pll >> 8 & 255) + 1) / ((r[0x4001E04C] & 15) + 1)


def _samd51_hz(r: Registers, generator: int) -> float:
    """By GCLK: the generator's source, enabled, over its divisor; DPLL0's from its own channel."""
    control = r[0x40001C20 + 4 * generator]
    assert control & 1 << 8
    divisor = max(control >> 16, 1)
    if control & 15 == 6:  # DFLL48M
        return 48e6 / divisor
    channel = r[0x40001C84]
    assert control & 15 == 7 and channel & 1 << 6 and r[0x40001030] & 2
    return _samd51_hz(r, channel & 15) * ((r[0x40001034] & 0x1FFF) + 1) / divisor


# The core's clock by the PLL's registers and the oscillator that is fitted
CLOCK: Mapping[str, Callable[[Registers], float]] = {
    "nucleo_f446re": _f4_hz,
    "nucleo_f746zg": _f4_hz,
    "stm32f746g_disco": partial(_f4_hz, crystal_hz=25e6),
    **{name: partial(_h7_hz, crystal_hz=hz) for name, hz in _H7_HSE_HZ.items()},
    **dict.fromkeys(("nucleo_l4r5zi", "b_l475e_iot01a"), _l4_hz),
    "nucleo_u575zi_q": lambda r: (
        16e6 * ((r[0x46020C34] & 511) + 1) / ((r[0x46020C34] >> 24 & 127) + 1)
    ),
    **dict.fromkeys(_NRF52, lambda r: 64e6),
    "rp2040_pico": lambda r: _rp2_hz(r, 0x40028000),
    "rp2350_pico2": lambda r: _rp2_hz(r, 0x40050000),
    "ek_ra8m1": _ra8_hz,
    "feather_m4": lambda r: _samd51_hz(r, 0),
    "teensy41": lambda r: (
        12e6 * (r[0x400D8000] & 127) / ((r[0x400FC010] & 7) + 1) / ((r[0x400FC014] >> 10 & 7) + 1)
    ),
}


def _samd51_baud(r: Registers) -> float:
    channel, control = r[0x40001C80 + 4 * 35], r[0x43000400]
    assert channel & 1 << 6 and r[0x40000820] & 2 and control & 3 == 2 and control >> 13 & 7 == 0
    assert r[0x410080B8] == 0x22 and r[0x410080D0] == 0x0701  # PB16 and PB17: C; out; in, pulled up
    return _samd51_hz(r, channel & 15) / 16 * (1 - (r[0x4300040C] & 0xFFFF) / 65536)


BAUD: Mapping[str, Callable[[Registers], float]] = {
    "nucleo_f446re": lambda r: 45e6 / r[0x40004408],
    "nucleo_f746zg": lambda r: 54e6 / r[0x4000480C],
    "nucleo_h743zi": lambda r: 120e6 / r[0x4000480C],
    "nucleo_h7a3zi_q": lambda r: 140e6 / r[0x4000480C],
    "stm32f746g_disco": lambda r: 108e6 / r[0x4001100C],
    **dict.fromkeys(("stm32h747i_disco", "arduino_portenta_h7"), lambda r: 100e6 / r[0x4001100C]),
    "arduino_giga_r1": lambda r: 120e6 / r[0x4001100C],
    "arduino_nicla_vision": lambda r: 256 * 120e6 / r[0x58000C0C],
    "b_l475e_iot01a": lambda r: 80e6 / r[0x4001380C],
    "nucleo_l4r5zi": lambda r: 256 * 120e6 / r[0x4000800C],
    "nucleo_u575zi_q": lambda r: 160e6 / r[0x4001380C],
    **dict.fromkeys(_NRF52, lambda r: r[0x40002524] * 16e6 / 2**32),
    "feather_m4": _samd51_baud,
    "teensy41": lambda r: 24e6 / ((r[0x40198010] >> 24 & 31) + 1) / (r[0x40198010] & 0x1FFF),
    "rp2040_pico": lambda r: 133e6 / (16 * (r[0x40034024] + r[0x40034028] / 64)),
    "rp2350_pico2": lambda r: 150e6 / (16 * (r[0x40070024] + r[0x40070028] / 64)),
    "ek_ra8m1": lambda r: (
        120e6 / (16 * ((r[0x40358910] >> 8 & 255) + 1)) * (r[0x40358910] >> 24) / 256
    ),
}


def _iwdg_s(registers: Registers, base: int = 0x40003000) -> float:
    """Seconds that STM32's watchdog waits at 32 kHz; it was fed last."""
    assert registers[base] == 0xAAAA
    return registers[base + 8] * (4 << registers[base + 4]) / 32000


def _wdt_s(registers: Registers) -> float:
    assert registers[0x40010000] == 1 and registers[0x40010600] == 0x6E524635
    return (registers[0x40010504] + 1) / 32768


def _rp2040_s(registers: Registers) -> float:
    assert registers[0x40058000] >> 30 == 1 and registers[0x40010008] == 0x1FFFC
    return registers[0x40058004] / 2e6


def _rp2350_s(registers: Registers) -> float:
    assert registers[0x400D8000] >> 30 == 1 and registers[0x40018008] == 0x1FFFFF3
    assert registers[0x40108030] == 1  # its tick runs
    return registers[0x400D8004] * registers[0x40108034] / 12e6


def _ra8_s(registers: Registers) -> float:
    """Its longest at 60 MHz; on the 8 MHz that it starts with, the first above 4 s."""
    control, key = registers[0x40202600] >> 16, registers[0x40202600] & 0xFF
    assert control & 0xFFFC == 0x3380 and key == 0xFF and registers[0x40202604] >> 16 == 0x80
    pllb = _ra8_hz(registers) / 8 if registers.get(0x4001E024) == 5 << 16 else 8e6
    return (1024, 4096, 8192, 16384)[control & 3] * 8192 / pllb


def _wdog1_s(registers: Registers) -> float:
    """RT1062: enabled, its two keys in turn; half seconds."""
    control, key = registers[0x400B8000] & 0xFFFF, registers[0x400B8000] >> 16
    assert control & 0x34 == 0x34 and key == 0xAAAA and not registers[0x400BC000] & 0x80
    return ((control >> 8) + 1) / 2


def _samd51_s(registers: Registers) -> float:
    assert registers[0x40002000] & 2 and registers[0x4000200C] & 0xFF == 0xA5
    return (8 << (registers[0x40002000] >> 8 & 15)) / 1024


WATCHDOG: Mapping[str, Callable[[Registers], float]] = {
    **dict.fromkeys(
        ("nucleo_f446re", "nucleo_f746zg", "nucleo_l4r5zi", "nucleo_u575zi_q"), _iwdg_s
    ),
    **dict.fromkeys(("stm32f746g_disco", "b_l475e_iot01a"), _iwdg_s),
    **dict.fromkeys(_H7_HSE_HZ, lambda r: _iwdg_s(r, 0x58004800)),
    **dict.fromkeys(_NRF52, _wdt_s),
    "rp2040_pico": _rp2040_s,
    "rp2350_pico2": _rp2350_s,
    "ek_ra8m1": _ra8_s,
    "teensy41": _wdog1_s,
    "feather_m4": _samd51_s,
}
WAITS_S = {"ek_ra8m1": (2.237, 4.194)}  # started, not started; others 4 s


def _modelled(name: str, network: Callable[[str], Image], build: Builder) -> tuple[Board, Image]:
    """What is started: no M85 is modelled, so its start-up with an M33's instructions."""
    board = find_board(name)
    if board.core.name != "cortex-m85":
        return board, network(name)
    board = replace(board, name=f"{name}-m33", core=CORES["cortex-m33"])
    return board, build(board)


@pytest.mark.parametrize("name", READY)
@pytest.mark.parametrize("fails", [False, True])
def test_start_up_reaches_its_line(
    name: str, fails: bool, network: Callable[[str], Image], build: Builder
) -> None:
    """The image's own code in a model of the part's registers: rated clock and rate of the line;
    where nothing ever becomes ready it still ends at the line, at a lower clock."""
    startup_model = pytest.importorskip("startup_model", exc_type=ImportError)
    board, image = _modelled(name, network, build)
    table = board.memories_for("code")[0].origin + TABLES.get(name, 0)
    ready, entry = {} if fails else READY[name], ENTRIES.get(name, "mbn_reset")
    found = startup_model.started(image, board.core.name, table, ready, entry)
    hz = next((found.word(one) for one in ("clocks", "core_hz") if one in found.addresses), None)
    if fails:
        assert hz is None or 0 < hz < board.clock_hz
    else:
        assert hz in (None, board.clock_hz)  # the nRF52 has one clock
        assert CLOCK[name](found.registers) == pytest.approx(board.clock_hz)
        assert BAUD[name](found.registers) == pytest.approx(board.baud, rel=0.01)
    if name in PINS:
        assert [found.registers[one] for one in PINS[name]] == [3, 3 << 2]  # out; in, pulled up
    assert found.word("damage") == 0  # every constant's CRC-32 is right, where it lies on the part
    if name in WATCHDOG:
        wanted = WAITS_S.get(name, (4, 4))[fails]
        assert WATCHDOG[name](found.registers) == pytest.approx(wanted, rel=0.001)


@pytest.mark.parametrize(
    ("name", "register", "flag"),
    [
        ("nucleo_f446re", 0x40023874, 1 << 29),
        ("nucleo_l4r5zi", 0x40021094, 1 << 29),
        ("nucleo_h743zi", 0x580244D0, 1 << 26),
        ("nucleo_u575zi_q", 0x46020CF4, 1 << 29),
        ("nrf52840dk", 0x40000400, 1 << 1),
        ("rp2040_pico", 0x40058008, 1),
        ("rp2350_pico2", 0x400D8008, 1),
        ("ek_ra8m1", 0x4001E0C0, 1 << 1),
        ("teensy41", 0x400F8008, 1 << 4),
        ("feather_m4", 0x40000C00, 1 << 5),
    ],
)
def test_a_watchdogs_reset_is_known(
    name: str, register: int, flag: int, network: Callable[[str], Image], build: Builder
) -> None:
    """By the part's own flag, where RAM tells nothing."""
    startup_model = pytest.importorskip("startup_model", exc_type=ImportError)
    board, image = _modelled(name, network, build)
    table = board.memories_for("code")[0].origin + TABLES.get(name, 0)
    for flags, reason in ((0, 1), (flag, 4)):  # mbn_start_reason: power, watchdog
        ready = {**READY[name], register: lambda _, flags=flags: flags}
        found = startup_model.started(image, board.core.name, table, ready)
        assert found.word("start") == reason


@pytest.mark.full  # lowers 4.2 million weights
def test_the_papers_network_links_for_the_teensy(tmp_path: Path) -> None:
    """Alpha 1.0 at 224x224 with 1,000 classes: the first board that holds it."""
    board = find_board("teensy41")
    network = family_network(1.0, 224, 1000)
    lowered.generate(network, board.core.kernels, InputMode.STREAM).files.write(tmp_path / "c")
    image = build_image(tmp_path / "c", board, "check", tmp_path)
    assert image.weights_bytes > 4_200_000
    assert image.memory_bytes["itcm"] > 10_000  # its code is there
    for memory in board.memories:
        assert image.memory_bytes[memory.name] <= memory.size_bytes


def test_a_network_too_large_is_refused_with_its_table() -> None:
    board = find_board("nucleo_f446re")
    demand = fit.family_demand(1.0, 224, 1000, board.core.kernels, InputMode.STREAM)
    with pytest.raises(PlanError, match=r"weights, code \(about\) +[\d,]+ +524,288  flash"):
        fit.refuse_if_too_large(demand, board, board.core.kernels, InputMode.STREAM, 1000)


# A board of each family with other numbers: only board.toml says them
OTHERS = {
    "nucleo_f446re": {"MBN_PLL_N": "168u", "MBN_CORE_HZ": "168000000u", "MBN_TX_PIN": "9u"},
    "nucleo_h743zi": {"MBN_PLL_N": "200u", "MBN_CORE_HZ": "400000000u"},
    "nucleo_l4r5zi": {"MBN_PLL_N": "20u", "MBN_CORE_HZ": "80000000u"},
    "nucleo_u575zi_q": {"MBN_TX_PORT": "1u", "MBN_TX_PIN": "6u"},
    "nrf52840dk": {"MBN_TX_PIN": "20u"},
    "feather_m4": {"MBN_DPLL_TIMES": "96u", "MBN_CORE_HZ": "96000000u"},
    "rp2040_pico": {"MBN_PLL_FBDIV": "125u", "MBN_CORE_HZ": "125000000u"},
    "teensy41": {"MBN_PLL_TIMES": "88u", "MBN_CORE_HZ": "528000000u", "MBN_CORE_MV": "1150u"},
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_board_of_a_known_family_is_only_a_table(name: str, tmp_path: Path) -> None:
    boards = data_root() / "boards"
    text = (boards / name / "board.toml").read_text(encoding="utf-8")
    for key, value in OTHERS[name].items():
        text, count = re.subn(rf'^{key} = ".*?"', f'{key} = "{value}"', text, flags=re.MULTILINE)
        assert count == 1, key
    text = text.replace(f'name = "{name}"', 'name = "mine"').replace('"../', f'"{boards}/')
    path = tmp_path / "mine" / "board.toml"
    path.parent.mkdir()
    path.write_text(text, encoding="utf-8")
    board = load_board(path)
    build_image(TINY, board, "check", tmp_path / "out")
    told = (tmp_path / "out" / "build-check" / "board.cmake").read_text(encoding="utf-8")
    for key, value in OTHERS[name].items():
        assert re.search(rf"[;\[]{key}={value}[;\]]", told), key


def test_boot2_checksum_is_the_boot_roms() -> None:
    assert crc32_boot2(b"123456789") == 0x0376E6E7  # CRC-32/MPEG-2's check value


def test_flash_tables_say_what_is_needed() -> None:
    for name in ("stm32f405", *PARTS):
        flash = find_board(name).flash
        assert set(flash.methods) <= set(METHODS) and flash.methods
        assert "swd" not in flash.methods or flash.target
        assert "uf2" not in flash.methods or (family_id(flash.uf2_family or "") and flash.drive)
        assert "copy" not in flash.methods or flash.drive
        assert "teensy" not in flash.methods or flash.target
        assert not {"dfu", "bossac"} & set(flash.methods) or flash.boot_usb
        for one in flash.boot_usb:
            assert re.fullmatch(r"[0-9a-f]{4}:[0-9a-f]{4}", one)
        for one in flash.usb:
            assert re.fullmatch(r"[0-9a-f]{4}:[0-9a-f]{4}", one)
    assert find_board("qemu-m3").flash.methods == ("qemu",)


def test_cycles_by_systick_count_over_its_wraps(tmp_path: Path) -> None:
    """SysTick's 24 bits and the microseconds give the cycle count, whatever the phase."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("gcc is not installed")
    source = tmp_path / "cycles.c"
    header = data_root() / "boards" / "family_rp2" / "cycles.h"
    source.write_text(
        f'#include "{header}"\nuint32_t cycles(uint32_t low, uint32_t about);\n'
        "uint32_t cycles(uint32_t low, uint32_t about) { return mbn_rp2_cycles(low, about); }\n",
        encoding="ascii",
    )
    library = tmp_path / "cycles.so"
    command = [compiler, "-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-shared"]
    subprocess.run([*command, "-fPIC", str(source), "-o", str(library)], check=True)
    cycles = ctypes.CDLL(str(library)).cycles
    cycles.restype = ctypes.c_uint32
    for true in (0, 1, 132, 133, 1 << 23, (1 << 24) - 1, 1 << 24, 5_000_000_007, (1 << 32) - 1):
        microseconds = true // 133
        found = cycles(true & 0xFFFFFF, microseconds * 133 & 0xFFFFFFFF)
        assert found == true & 0xFFFFFFFF
