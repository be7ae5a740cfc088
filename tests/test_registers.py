"""Addresses and bit fields of our boards' C against the makers': SVD files, as pyOCD carries them,
or tables from the makers' headers (register_facts.py).

What enters: macros of a family's C as a board's image sees them. What leaves: nothing but failures.
Always holds: each macro of a file is held against a register or a field of the maker's, or stands
among the `others`, as what is neither.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from mbn.core.boards import find_board
from mbn.core.target import data_root
from register_facts import FACTS, RA8_VALUES, Facts

pyocd_svd = pytest.importorskip("pyocd.debug.svd.parser", reason="needs the extra `flash`")
GCC = "arm-none-eabi-gcc"
_DEFINED = re.compile(r"^#define (\w+)(\(([\w, ]+)\))? ", re.MULTILINE)
_CAST = re.compile(r"\*\(volatile uint(?:8|16|32)_t \*\)|\(uint32_t\)")
_SUFFIX = re.compile(r"\b(0[xX][0-9a-fA-F]+|\d+)[uU]+")
_PLAIN = re.compile(r"[0-9a-fA-FxX()+\-*/|&~<> ]+")


@dataclass(frozen=True)
class Source:
    """A file, the board whose macros it is read with, and the maker's file. `names`: our names of
    peripherals and registers that are others there; `fields`: prefix of our fields to register."""

    file: str
    board: str
    svd: str
    names: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)
    others: frozenset[str] = frozenset()


_STM32 = frozenset(
    {
        *("GPIO", "MODER_ALTERNATE", "OSPEEDR_FAST", "PUPDR_UP", "READY_SPINS", "NAPS_PER_BYTE"),
        *("BITS_PER_BYTE", "WRITE_SPINS", "HZ_PER_MHZ", "MS_PER_TICK", "MBN_IWDG_BASE"),
        *("KR_FEED", "KR_OPEN", "KR_START", "PR_64", "RLR_MOST", "SR_UPDATES", "ICR_ERRORS"),
        *("DCB_DHCSR", "DHCSR_DEBUGGER"),  # the core's own
    }
)
_PORT_NAMES = {
    "GPIO_MODER": "GPIOA.MODER",
    "GPIO_OSPEEDR": "GPIOA.OSPEEDR",
    "GPIO_PUPDR": "GPIOA.PUPDR",
    "GPIO_AFR": "GPIOA.AFRL",
}
SOURCES = (
    Source(
        "family_imxrt/chip.h",
        "teensy41",
        "MIMXRT1062.xml",
        {"LPUART": "LPUART6"},
        {
            "IOMUXC": "IOMUXC.SW_MUX_CTL_PAD_GPIO_AD_B0_02",
            "IOMUXC_PAD": "IOMUXC.SW_PAD_CTL_PAD_GPIO_AD_B0_03",
        },
        frozenset({"REGISTER", "REGISTER16"}),
    ),
    *(
        Source(
            "family_nrf52/board.c",
            board,
            svd,
            {
                "UART": "UART0",
                "TIMER": "TIMER0",
                "UART_PSEL_TXD": "UART0.PSEL_TXD",
                "UART_PSEL_RXD": "UART0.PSEL_RXD",
                "TIMER_TASKS_CAPTURE0": "TIMER0.TASKS_CAPTURE[0]",
                "TIMER_CC0": "TIMER0.CC[0]",
                "WDT_RR0": "WDT.RR[0]",
                "GPIO_OUTSET": "P0.OUTSET",
                "GPIO_PIN_CNF": "P0.PIN_CNF[1]",
            },
            {
                "ICACHECNF": "NVMC.ICACHECNF",
                "PSEL_PORT": "UART0.PSEL_TXD.PORT",
                "RESETREAS": "POWER.RESETREAS",
            },
            frozenset(
                {
                    *("REGISTER", "PIN_CNF_OUTPUT", "PIN_CNF_INPUT_PULLED_UP", "ENABLE_UART"),
                    *("ERRORSRC_ALL", "BAUDRATE", "BITMODE_32", "PRESCALER_1_MHZ", "WDT_FEED"),
                    *("CONFIG_SLEEP_RUN", "WDT_HZ", "MS_PER_S", "CORE_HZ", "CRYSTAL_SPINS"),
                    "WRITE_SPINS",
                }
            ),
        )
        for board, svd in (("nrf52840dk", "nrf52840.svd"), ("microbit_v2", "nrf52833.svd"))
    ),
    Source(
        "family_stm32f4/clock.c",
        "nucleo_f446re",
        "STM32F429x.svd",
        {},
        {
            **{name: f"RCC.{name}" for name in ("CR", "PLLCFGR", "CFGR", "APB1ENR")},
            "CR_ODEN": "PWR.CR.ODEN",
            "CR_ODSWEN": "PWR.CR.ODSWEN",
            "CSR": "PWR.CSR",
            "CFGR_SW_MASK": "RCC.CFGR.SW0 SW1",
            "CFGR_SW_PLL": "RCC.CFGR.SW0 SW1",
            "CFGR_SWS_MASK": "RCC.CFGR.SWS0 SWS1",
            "CFGR_SWS_PLL": "RCC.CFGR.SWS0 SWS1",
            "PLLCFGR_SOURCE_HSE": "RCC.PLLCFGR.PLLSRC",
            "APB1ENR_TIM5": "RCC.APB1ENR.TIM5EN",
            "APB1ENR_PWR": "RCC.APB1ENR.PWREN",
        },
        frozenset(
            {
                *("PLLCFGR_AS_RESET", "CFGR_PPRE1_SHIFT", "CFGR_PPRE2_SHIFT", "HSI_HZ"),
                "EMULATED_TIMER_HZ",
            }
        ),
    ),
    Source(
        "family_stm32l4/clock.c",
        "nucleo_l4r5zi",
        "STM32L4x5.svd",
        {},
        {
            **{name: f"RCC.{name}" for name in ("CR", "PLLCFGR", "CFGR", "APB1ENR1", "APB1ENR2")},
            "CR2": "PWR.CR2",
            "PLLCFGR_SOURCE_HSI": "RCC.PLLCFGR.PLLSRC",
            "APB1ENR1_TIM5": "RCC.APB1ENR1.TIM5EN",
            "APB1ENR1_PWR": "RCC.APB1ENR1.PWREN",
            "APB1ENR2_LPUART1": "RCC.APB1ENR2.LPUART1EN",
            "APB2ENR_USART1": "RCC.APB2ENR.USART1EN",
        },
        # boost is the L4+'s: the L4x5 has no CR5
        frozenset({"PWR_CR5", "CR5_R1MODE", "SETTLE_SPINS", "HSI_HZ"}),
    ),
    Source(
        "family_stm32/port.c",
        "nucleo_f446re",
        "STM32F429x.svd",
        {
            **_PORT_NAMES,
            "USART_STATE": "USART2.SR",
            "USART_RECEIVED": "USART2.DR",
            "USART_SENT": "USART2.DR",
            "USART": "USART2",
        },
        {"CR1": "USART2.CR1", "STATE": "USART2.SR", "TIM_EGR": "TIM5.EGR", "TIM_CR1": "TIM5.CR1"},
        _STM32,
    ),
    Source(
        "family_stm32/port.c",
        "nucleo_l4r5zi",
        "STM32L4x5.svd",
        {
            **_PORT_NAMES,
            "USART_STATE": "LPUART1.ISR",
            "USART_RECEIVED": "LPUART1.RDR",
            "USART_SENT": "LPUART1.TDR",
            "USART": "LPUART1",
        },
        {
            "CR1": "LPUART1.CR1",
            "STATE": "LPUART1.ISR",
            "TIM_EGR": "TIM5.EGR",
            "TIM_CR1": "TIM5.CR1",
        },
        _STM32,
    ),
)


@cache
def maker(name: str) -> Mapping[str, tuple[int, Mapping[str, int]]]:
    """PERIPHERAL.REGISTER of a maker's file: address, and the mask of each field."""
    archive = Path(pyocd_svd.__file__).parent / "svd_data.zip"
    with ZipFile(archive) as files, files.open(name) as file:
        device = pyocd_svd.SVDParser.for_xml_file(file).get_device()
    found: dict[str, tuple[int, Mapping[str, int]]] = {}

    def add(path: str, base: int, one: Any) -> None:
        parts = list(getattr(one, "registers", None) or [])
        parts += list(getattr(one, "clusters", None) or [])
        if parts:
            for part in parts:
                add(f"{path}.{part.name}", base + one.address_offset, part)
            return
        masks = {f.name: ((1 << f.bit_width) - 1) << f.bit_offset for f in one.fields or ()}
        found[path] = (base + one.address_offset, masks)

    for peripheral in device.peripherals:
        for part in (*(peripheral.registers or ()), *(peripheral.clusters or ())):
            add(f"{peripheral.name}.{part.name}", peripheral.base_address, part)
    return found


def macros(source: Source | Facts, folder: Path) -> dict[str, int | None]:
    """Every macro that the file defines for the board, evaluated (with 1 for each parameter, and
    port 0); None for what is no number."""
    if shutil.which(GCC) is None:
        pytest.skip(f"{GCC} is not installed")
    root, board = data_root(), find_board(source.board)
    path = root / "boards" / source.file
    names = {
        name: [one.strip() for one in parameters.split(",")] if parameters else []
        for name, _, parameters in _DEFINED.findall(path.read_text(encoding="utf-8"))
    }
    lines = [f'#include "{path}"']
    for number, (name, parameters) in enumerate(names.items()):
        given = ", ".join("0u" if one == "port" else "1u" for one in parameters)
        call = f"({given})" if parameters else ""
        lines += [f"#ifdef {name}", f"MARK {number} = {name}{call};", "#endif"]
    text = folder / "macros.c"
    text.write_text("\n".join(lines), encoding="utf-8")
    defines = [f"-D{key}={value}" for key, value in board.defines.items()]
    command = [GCC, "-E", "-P", *board.core.gcc_flags, f"-I{root}/runtime/include", *defines]
    done = subprocess.run([*command, str(text)], check=True, capture_output=True, text=True)
    found: dict[str, int | None] = {}
    for line in done.stdout.splitlines():
        match = re.fullmatch(r"MARK (\d+) = (.*);", line.strip())
        if match:
            plain = _SUFFIX.sub(r"\1", _CAST.sub("", match[2]))
            plain = plain.replace("/", "//")
            value = eval(plain) if _PLAIN.fullmatch(plain) else None  # digits and operators
            found[list(names)[int(match[1])]] = value
    return found


def register_of(name: str, source: Source, known: Mapping[str, Any]) -> str | None:
    """The maker's register that a macro means; None for none."""
    if name in source.names and "." in source.names[name]:
        return source.names[name]
    for at in (match.start() for match in re.finditer("_", name)):
        peripheral, register = name[:at], name[at + 1 :]
        path = f"{source.names.get(peripheral, peripheral)}.{register}"
        if path in known:
            return path
    return None


def mask_of(name: str, source: Source, known: Mapping[str, Any]) -> tuple[int, bool] | None:
    """The mask of the maker's field that a macro means, and whether it is the whole field; None for
    none."""
    said = source.fields.get(name)
    if said is not None:
        register, _, parts = said.rpartition(".")
        return sum(known[register][1][part] for part in parts.split()), False
    prefixes = dict(source.fields)
    for other in known:  # a register's own name in front of its field
        peripheral, _, register = other.partition(".")
        ours = [our for our, theirs in source.names.items() if theirs == peripheral]
        for one in (peripheral, *ours):
            prefixes.setdefault(f"{one}_{register}", other)
    fitting = [prefix for prefix in prefixes if name.startswith(f"{prefix}_")]
    for prefix in sorted(fitting, key=len, reverse=True):
        masks = known[prefixes[prefix]][1] if prefixes[prefix] in known else {}
        rest = name[len(prefix) + 1 :]
        if rest in masks:
            return masks[rest], True
        for one in sorted(masks, key=len, reverse=True):
            if rest.startswith(f"{one}_"):
                return masks[one], False
    return None


@pytest.mark.parametrize("source", SOURCES, ids=lambda one: f"{one.file}-{one.board}")
def test_registers_and_fields_are_the_makers(source: Source, tmp_path: Path) -> None:
    known = maker(source.svd)
    found = macros(source, tmp_path)
    held, wrong = 0, []
    for name, value in found.items():
        if name in source.others:
            continue
        register = register_of(name, source, known)
        if register is not None:
            held += 1
            if known[register][0] != value:
                wrong.append(f"{name} is {value}, {register} {known[register][0]:#x}")
            continue
        mask = mask_of(name, source, known)
        if mask is None or value is None:
            wrong.append(f"{name} is neither")
            continue
        whole, exact = mask
        lowest = whole & -whole
        if value & ~whole or not value or (exact and value != lowest):
            wrong.append(f"{name} is {value:#x}, the field {whole:#x}")
        held += 1
    assert not wrong
    assert held >= 10
    assert source.others - _STM32 <= set(found)


@pytest.mark.parametrize("facts", FACTS, ids=lambda one: f"{one.file}-{one.board}")
def test_registers_and_fields_are_those_of_headers(facts: Facts, tmp_path: Path) -> None:
    found = macros(facts, tmp_path)
    named = {*facts.registers, *facts.fields, *facts.others}
    assert set(found) == named
    for name, address in facts.registers.items():
        assert found[name] == address, name
    for name, (lowest, width) in facts.fields.items():
        value = found[name]
        assert value and value & ~(((1 << width) - 1) << lowest) == 0, name


def test_values_of_several_fields_are_spelled_by_the_header(tmp_path: Path) -> None:
    found = macros(next(one for one in FACTS if one.board == "ek_ra8m1"), tmp_path)
    for name, value in RA8_VALUES.items():
        assert found[name] == value, name


def test_the_pads_of_a_board_are_the_makers() -> None:
    """What teensy41's board.toml says of its line."""
    known, said = maker("MIMXRT1062.xml"), find_board("teensy41").defines
    pads = {"TX": "GPIO_AD_B0_02", "RX": "GPIO_AD_B0_03"}
    for way, pad in pads.items():
        for key, register in (
            ("MUX", f"SW_MUX_CTL_PAD_{pad}"),
            ("PAD", f"SW_PAD_CTL_PAD_{pad}"),
            ("INPUT", f"LPUART6_{way}_SELECT_INPUT"),
        ):
            address = int(said[f"MBN_{way}_{key}"].rstrip("u"), 0)
            assert address == known[f"IOMUXC.{register}"][0]
    assert known["LPUART6.BAUD"][0] == int(said["MBN_LPUART_BASE"].rstrip("u"), 0) + 0x10
