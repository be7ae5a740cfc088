"""What each operator between convolutions costs: modelled cycles for each value that it makes.

What enters: the names of emulated boards. What leaves: one line an operator, Markdown, a column a
board. Always holds: each operator stands behind a convolution with 16 x 32 x 32 values, and every
bit was checked first.

    ./dev python benchmarks/operators.py
    ./dev python benchmarks/operators.py --boards qemu qemu-m55
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import mbn
from mbn.cli.run import guarded

SIDE, CHANNELS = 32, 16


class Graph:
    """A QDQ graph, operator by operator; `value` is the current one, in float."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.value = "image"
        self.rng = np.random.default_rng(1)

    def constant(self, values: Any, kind: type) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def then(self, operator: str, *more: str, **attributes: Any) -> str:
        """The operator on the current value."""
        name = f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(operator, [self.value, *more], [f"{name}:0"], name=name, **attributes)
        )
        self.value = f"{name}:0"
        return self.value

    def quantise(self, scale: float = 0.05, zero: int = -3) -> str:
        numbers = self.constant(scale, np.float32), self.constant(zero, np.int8)
        self.then("QuantizeLinear", *numbers)
        return self.then("DequantizeLinear", *numbers)

    def convolve(self, channels: int, depth: int, kernel: int, groups: int = 1) -> str:
        codes = self.rng.integers(-127, 128, (channels, depth // groups, kernel, kernel))
        data, self.value = self.value, self.constant(codes, np.int8)
        weights = self.then(
            "DequantizeLinear", self.constant(0.004, np.float32), self.constant(0, np.int8)
        )
        self.value = data
        pad = kernel // 2
        self.then("Conv", weights, group=groups, pads=[pad] * 4, kernel_shape=[kernel, kernel])
        return self.quantise()

    def save(self, path: Path) -> Path:
        image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, SIDE, SIDE])
        out = onnx.ValueInfoProto(name=self.value)
        graph = helper.make_graph(self.nodes, "g", [image], [out], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.save(onnx.shape_inference.infer_shapes(model), str(path))
        return path


def _same_scale(g: Graph, operator: str, *more: str, **attributes: Any) -> None:
    g.then(operator, *more, **attributes)
    g.quantise()


def _pair(g: Graph, operator: str) -> None:
    first = g.value
    g.convolve(CHANNELS, CHANNELS, 1)
    g.then(operator, first)
    g.quantise(0.08)


def _gate(g: Graph) -> None:
    source = g.value
    g.then("GlobalAveragePool")
    g.quantise()
    gate, g.value = g.value, source
    g.then("Mul", gate)
    g.quantise(0.08)


def _joined(g: Graph) -> None:
    first = g.value
    g.convolve(CHANNELS, CHANNELS, 1)
    g.then("Concat", first, axis=1)
    g.quantise()


def _resized(mode: str) -> Callable[[Graph], None]:
    def add(g: Graph) -> None:
        coordinates = "asymmetric" if mode == "nearest" else "half_pixel"
        rounding = {"nearest_mode": "floor"} if mode == "nearest" else {}
        scales = g.constant([1, 1, 2, 2], np.float32)
        g.then(
            "Resize", "", scales, mode=mode, coordinate_transformation_mode=coordinates, **rounding
        )
        g.quantise()

    return add


OPERATORS: dict[str, Callable[[Graph], None]] = {
    "table (h-swish)": lambda g: _same_scale(g, "HardSwish"),
    "addition": lambda g: _pair(g, "Add"),
    "product, value by value": lambda g: _pair(g, "Mul"),
    "product, a factor a channel": _gate,
    "max pool 2 x 2, stride 2": lambda g: _same_scale(
        g, "MaxPool", kernel_shape=[2, 2], strides=[2, 2]
    ),
    "max pool 3 x 3, stride 1": lambda g: _same_scale(
        g, "MaxPool", kernel_shape=[3, 3], pads=[1, 1, 1, 1]
    ),
    "concatenation": _joined,
    "nearest resize by 2": _resized("nearest"),
    "bilinear resize by 2": _resized("linear"),
    "depthwise 3 x 3 alone": lambda g: g.convolve(CHANNELS, CHANNELS, 3, CHANNELS) and None,
    "depthwise 5 x 5 alone": lambda g: g.convolve(CHANNELS, CHANNELS, 5, CHANNELS) and None,
    "convolution 3 x 3, 4 groups": lambda g: g.convolve(CHANNELS, CHANNELS, 3, 4) and None,
}


def measured(add: Callable[[Graph], None], board: str, folder: Path) -> Any:
    """Cycles a value of the operator's stage, checked first."""
    graph = Graph()
    graph.quantise(1 / 128, 0)
    graph.convolve(CHANNELS, 3, 3)
    add(graph)
    path = graph.save(folder / "operator.onnx")
    report = mbn.compile(
        path, board=board, output=folder / "out", samples=2, simplify=False
    ).check()
    if report.check.exact_samples != report.check.samples:
        raise SystemExit(f"{board}: {path.name} differs")
    stage = report.stages[-1]
    return stage.modelled_cycles / np.prod([int(size) for size in stage.output.split("x")])


def run(boards: list[str]) -> int:
    """Prints the table as its lines come."""
    print("| cycles a value made | " + " | ".join(boards) + " |")
    print("|---|" + "--:|" * len(boards))
    for name, add in OPERATORS.items():
        with tempfile.TemporaryDirectory() as folder:
            cells = [f"{measured(add, board, Path(folder)):.1f}" for board in boards]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
    return 0


def main() -> int:
    """Returns the exit code."""
    own = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    own.add_argument("--boards", nargs="+", default=["qemu", "qemu-m7", "qemu-m55", "qemu-m0"])
    asked = own.parse_args()
    return guarded("operators", lambda: run(asked.boards))


if __name__ == "__main__":
    sys.exit(main())
