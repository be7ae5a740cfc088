"""Vectors divided by their length, and labels by a sigmoid: in integers, or left to the host.

What enters: drawn vectors, extreme ones among them, and graphs as exporters write them. What
leaves: nothing but failures. Always holds: the C and the reference are compared in every bit, each
with the definition besides.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lowered
import qdq
from mbn.core.boards import find_board
from mbn.core.errors import UnsupportedError
from mbn.core.network import Op
from mbn.core.options import InputMode, Rounding
from mbn.exact.integer import normalise
from mbn.passes.frontend import lower
from test_frontend import agree
from test_kernels import compare

KERNELS = Path(__file__).parents[1] / "runtime" / "kernels"
CODES = st.integers(-128, 127)
VECTORS = st.one_of(
    st.lists(CODES, min_size=1, max_size=200),
    st.lists(st.sampled_from([-128, 127, 0, -1]), min_size=1, max_size=65535),
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(VECTORS, CODES)
def test_reference_is_the_nearest(codes: list[int], zero_point: int) -> None:
    d = np.array(codes) - zero_point
    found = normalise(np.array(codes, np.int8).reshape(1, 1, 1, -1), zero_point).reshape(-1)
    length = np.sqrt((d.astype(np.float64) ** 2).sum())
    exact = 128 * d / max(length, 1e-9)
    assert np.all(np.abs(np.clip(exact, -127, 127) - found) <= 0.5 + 1e-9)
    assert np.all(np.sign(found) * np.sign(d) >= 0)


PROGRAM = r"""
#include "scalar/normalise.h"
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    int32_t count, zero_point;
    while (scanf("%d %d", &count, &zero_point) == 2) {
        int8_t *codes = malloc((size_t)count), *out = malloc((size_t)count);
        for (int32_t k = 0; k < count; k++) {
            int value = 0;
            if (scanf("%d", &value) != 1) {
                return 1;
            }
            codes[k] = (int8_t)value;
        }
        mbn_normalise(codes, out, count, zero_point);
        for (int32_t k = 0; k < count; k++) {
            printf("%d ", out[k]);
        }
        printf("\n");
        free(codes);
        free(out);
    }
    return 0;
}
"""


def test_native_code_under_sanitizers(tmp_path: Path) -> None:
    (tmp_path / "n.c").write_text(PROGRAM, encoding="utf-8")
    command = ["gcc", "-O1", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined"]
    command += ["-fno-sanitize-recover", "-I", str(KERNELS), "-o", str(tmp_path / "n")]
    subprocess.run([*command, str(tmp_path / "n.c")], check=True)
    bits = np.random.default_rng(3)
    cases = [
        (bits.integers(low, high + 1, size), zero)
        for size in (1, 2, 7, 32, 128, 1000)
        for low, high in ((-128, 127), (-3, 3), (-128, -127), (126, 127), (-1, 0))
        for zero in (-128, -1, 0, 127)
    ]
    cases += [(np.full(65535, -128), 127), (np.full(9, 5), 5), (np.eye(40, dtype=int)[3] * 127, 0)]
    text = "\n".join(f"{len(codes)} {zero} {' '.join(map(str, codes))}" for codes, zero in cases)
    done = subprocess.run(
        [str(tmp_path / "n")], input=text, capture_output=True, text=True, check=True
    )
    for (codes, zero), line in zip(cases, done.stdout.splitlines(), strict=True):
        wanted = normalise(codes.astype(np.int8).reshape(1, 1, 1, -1), zero).reshape(-1)
        assert np.array_equal(np.array(line.split(), int), wanted)


def embedding(form: str, *, quantised: bool = True, scale: float = 1 / 128) -> qdq.Graph:
    """A vector of 9 divided by its length. form: torch (TorchScript's), bare, max or lp."""
    g = qdq.Graph((1, 4, 8, 8))
    g.channels = 4
    g.dequantise("image", 0.0078125, -1)
    g.convolve(6, 3, stride=2, pads=(1, 1, 1, 1), name="stem")
    g.then("Relu")
    g.quantise(0.03, -128)
    g.then("GlobalAveragePool", name="pool")
    g.quantise(0.02, -100)
    g.then("Flatten", axis=1)
    codes, scales = g.draw(9, 6)
    value = g.value
    g.node("Gemm", value, g.weights("vector.w", codes, scales), name="vector", transB=1)
    vector = g.quantise(0.01, 17)
    if form == "lp":
        g.then("LpNormalization", axis=1, p=2, name="unit")
    else:
        length = g.then("ReduceL2", axes=[1], keepdims=1)
        if form in ("torch", "max"):
            bound = g.constant("least", np.array(1e-12, np.float32))
            length = g.then("Max" if form == "max" else "Clip", bound)
        if form == "torch":
            length = g.then("Expand", g.constant("shape", np.array([1, 9], np.int64)))
        g.node("Div", vector, length, name="unit")
    if quantised:
        g.quantise(scale, 0)
    return g


@pytest.mark.parametrize("form", ["torch", "bare", "max", "lp"])
def test_exporters_forms(form: str, tmp_path: Path) -> None:
    network = agree(embedding(form), tmp_path)
    assert network.layers[-1].op is Op.NORMALISE
    assert network.layers[-1].name == "unit"
    assert network.host_ops == ()
    left = lower(embedding(form, quantised=False).save(tmp_path / "float.onnx"), "g")
    assert left.layers[-1].name == "vector"
    assert left.host_ops == ("division by the length",)


def test_on_devices(tmp_path: Path) -> None:
    network = lower(embedding("torch").save(tmp_path / "g.onnx"), "g")
    compare(network, "scalar", InputMode.STREAM, find_board("host"), simplify=True)
    compare(network, "dsp", InputMode.WHOLE, find_board("qemu"))
    compare(network, "scalar", InputMode.STREAM, find_board("qemu-m0"))
    assert (
        "normalise.h" in lowered.generate(network, "mve", InputMode.STREAM).files.files["network.c"]
    )


def test_what_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="scale 1/128 and zero point 0"):
        lower(embedding("lp", scale=1 / 100).save(tmp_path / "g.onnx"), "g")
    with pytest.raises(UnsupportedError, match="leave it float"):
        lower(embedding("lp").save(tmp_path / "g.onnx"), "g", rounding=Rounding.TFLITE)
    graph = embedding("bare")
    graph.then("ReduceL2", axes=[1], keepdims=1)
    graph.node("Div", graph.quantised[0], graph.value, name="odd")
    with pytest.raises(UnsupportedError, match="operator"):
        lower(graph.save(tmp_path / "g.onnx"), "g")


def test_sigmoid_is_the_hosts(tmp_path: Path) -> None:
    for quantised in (False, True):
        graph = embedding("bare", quantised=False)
        del graph.nodes[-2:]
        graph.node("Sigmoid", graph.nodes[-1].output[0], name="sigmoid")
        if quantised:
            graph.quantise(1 / 256, -128)
        network = lower(graph.save(tmp_path / "g.onnx"), "g")
        assert network.host_ops == ("sigmoid",)
        assert network.output.name == "vector:out"
