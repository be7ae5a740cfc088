"""The orders that list schedulers give to assembly: the same results, and a busy multiplier.

What enters: drawn and written runs of instructions, register tiles. What leaves: nothing but
failures. Always holds: in any order, each instruction reads what the same one wrote.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence

import pytest

from mbn.passes.kernels.asm import beats, ordered
from mbn.passes.kernels.asm.dependences import Lines, Run
from mbn.passes.kernels.asm.pointwise_mve import Band, Group, Part, written
from mbn.passes.kernels.asm.rounding import Rounding

VECTORS = {f"v{name}": f"q{number}" for number, name in enumerate("abcdefg")}
CORE = {f"x{name}": f"r{number}" for number, name in enumerate("abcdefgh")}
NAMES = {**VECTORS, **CORE}
# mnemonic: operands; what is written first, "=" for one that is read too
FORMS = {
    "vldrw.u32": ("v", "[x, #16]"),
    "vmladav.s8": ("x", "v", "v"),
    "vmladava.s8": ("=x", "v", "v"),
    "vadd.i32": ("v", "v", "x"),
    "vqrdmulh.s32": ("v", "v", "x"),
    "vqmovnb.s32": ("=v", "v"),
    "vstrb.32": ("!v", "[x, #4]"),
    "addw": ("x", "x", "#4"),
    "ldr": ("x", "[x, #8]"),
}


def drawn(rng: random.Random, count: int) -> list[Lines]:
    run = []
    for _ in range(count):
        mnemonic = rng.choice(list(FORMS))
        operands = []
        for form in FORMS[mnemonic]:
            kind = "v" if "v" in form else "x"
            name = rng.choice([one for one in NAMES if one[0] == kind])
            if form.startswith("["):
                operands.append(form.replace("x", name))
            else:
                operands.append(form if form.startswith("#") else name)
        run.append(((mnemonic, *operands),))
    return run


def meaning(run: Sequence[Lines]) -> tuple[dict[str, object], list[object]]:
    """What each register holds in the end, as terms over what they held first; what is stored."""
    held: dict[str, object] = {name: name for name in NAMES}
    stored: list[object] = []
    for ((mnemonic, *operands),) in run:
        forms = FORMS[mnemonic]
        values: list[object] = [mnemonic]
        for form, operand in zip(forms, operands, strict=True):
            if form.startswith("["):
                values.append(held[operand[1:].split(",")[0]])
            elif form.startswith("#"):
                values.append(operand)
            elif form is not forms[0] or form[0] in "=!":
                values.append(held[operand])
        if forms[0].startswith("!"):
            stored.append(tuple(values))
        else:
            held[operands[0]] = tuple(values)
    return held, stored


@pytest.mark.parametrize("seed", range(20))
def test_an_order_has_the_same_results(seed: int) -> None:
    run = drawn(random.Random(seed), 14)
    found = [lines for lines, _ in beats.ordered([(one, "") for one in run], NAMES)]
    assert sorted(found) == sorted(run)
    assert meaning(found) == meaning(run)


def test_loads_stay_behind_stores_to_a_buffer() -> None:
    """But not behind those of results, which nobody reads."""
    lines = [
        ("vst40.8", "{va, vb, vc, vd}", "[xa]"),
        ("vldrw.u32", "va", "[xb, #0]"),
        ("vmladav.s8", "xc", "va", "vb"),
        ("str", "xc", "[xa, #4]"),
        ("vldrw.u32", "vb", "[xb, #16]"),
    ]
    run: Run = [((one,), "") for one in lines]
    assert [one[0] for one, _ in beats.ordered(run, NAMES)] == lines


def test_a_predicate_stays_in_front() -> None:
    both: Lines = (("vpst",), ("vstrbt.32", "va", "[xa, #0]"))
    run: Run = [((("vadd.i32", "va", "va", "vb"),), ""), (both, "")]
    assert beats.ordered(run, NAMES) == run


@pytest.mark.parametrize("pixels", [4, 3])
def test_heliums_pointwise_multiplies_nearly_always(
    pixels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three register tiles by a couple, 128 deep, their sums stored meanwhile."""
    runs: list[int] = []

    def watched(order: Callable[[Run, Mapping[str, str]], Run]) -> object:
        def given(run: Run, names: Mapping[str, str]) -> Run:
            runs.append(beats.cycles_of(order(run, names), names))
            return order(run, names)

        return given

    monkeypatch.setattr(beats, "ordered", watched(beats.ordered))
    groups = tuple(Group(tuple(range(4 * at, 4 * at + pixels)), (4 * at,)) for at in range(3))
    band = Band(128, 12, Rounding(0, -128, 127))
    written("some", "Something.", band, [Part(0, 4, 2, groups, 1, ())], "")
    multiplies = 2 * (2 * pixels * 8 + 2)  # cycles of a register tile's VMLADAV and VQRDMULH
    behind, first = runs[1], runs[2]  # two tiles of a couple, and the first of the next
    assert behind <= 2 * multiplies + 14  # what begins and ends a run of code
    assert first <= multiplies + 14


def test_the_m7s_order_has_the_same_results() -> None:
    run: Run = [
        ((("ldr", "xa", "[xb, #0]"),), ""),
        ((("smlad", "xc", "xa", "xd", "xc"),), ""),
        ((("ldr", "xa", "[xb, #4]"),), ""),
        ((("smlad", "xc", "xa", "xe", "xc"),), ""),
    ]
    assert ordered.order(run, NAMES) == run  # each waits for the one before
