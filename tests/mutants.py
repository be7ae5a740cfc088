"""Damaged ONNX and .tflite files, and what must become of each: an MbnError, or C that is exact.

What enters: a seed. What leaves: the bytes of a mutant of a real file (`mutant`), or the verdict
on it (`Pool`). Always holds: equal seeds give equal mutants; a verdict is made in a process of its
own, so that a crash or a hang of anything, TVM and ONNX Runtime included, is a verdict too and not
the end of the run.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import resource
import tempfile
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image as Photograph

import tflite_mutants

TIME_LIMIT_S = 30.0
MEMORY_LIMIT_KB = 1_000_000  # that one mutant may add to a worker's peak
START_S = 120.0  # a worker imports TVM first
Mutation = Callable[[onnx.ModelProto, np.random.Generator], None]


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant: refused, exact, or one of the failures."""

    seed: int
    what: str  # the mutations
    outcome: str  # refused, exact; DIFFERENT, ESCAPED, CRASHED, HUNG, LARGE
    detail: str = ""

    @property
    def good(self) -> bool:
        return self.outcome in ("refused", "exact")


# -- the files that are damaged ------------------------------------------------------------------


@lru_cache
def bases() -> dict[str, bytes]:
    """The bundled network, float and quantised, and hand-made ones in several spellings."""
    import mutant_bases  # noqa: PLC0415
    import qdq  # noqa: PLC0415
    import tflite_cases  # noqa: PLC0415
    from mbn.passes.quantise.static import quantise  # noqa: PLC0415
    from mbn.train import bundled  # noqa: PLC0415
    from mbn.train.images import INPUT_RANGE, normalise  # noqa: PLC0415

    found = {
        "qdq": qdq.mobile().model(),
        "qdq, nchw": qdq.mobile(layout="nchw", activation="clip_both", pool="mean").model(),
        "qdq, whole": qdq.mobile(whole=True, head="matmul", flatten="int8").model(),
        "residual": qdq.residual().model(),
        "unsigned": qdq.residual(unsigned=True).model(),
        "float": qdq.float_network(),
        "bundled, float": onnx.load(str(bundled.find(0.25, data="digits"))),
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        images, _ = bundled.calibration_samples()
        batch = [normalise(image[None]) for image in images[:4]]
        quantise(bundled.find(0.25, data="digits"), batch, path, input_range=INPUT_RANGE)
        found["bundled, int8"] = onnx.load(str(path))
    files = {name: model.SerializeToString(deterministic=True) for name, model in found.items()}
    made = (mutant_bases.tables, mutant_bases.moves, mutant_bases.windows, mutant_bases.qoperator)
    files.update((base.__name__, base()) for base in made)
    cases = {f"{TFLITE}, {name}": tflite_cases.drawn(name) for name in tflite_cases.CASES}
    return {**files, TFLITE: mutant_bases.tflite(), **cases}


TFLITE = "tflite"
WEIGHTS = {  # of 100 mutants; the bundled network takes seconds each
    "qdq": 9,
    "qdq, nchw": 9,
    "qdq, whole": 8,
    "residual": 9,
    "unsigned": 7,
    "float": 8,
    "bundled, int8": 4,
    "bundled, float": 1,
    "tables": 11,
    "moves": 11,
    "windows": 11,
    "qoperator": 7,
    TFLITE: 14,  # half of them the networks of tflite_cases
}


# -- mutations -----------------------------------------------------------------------------------

NUMBERS = (0, 1, -1, 2, 3, 7, 128, 255, 4096, 65536, 2**31 - 1, -(2**31), 2**40, 2**62, -(2**63))
REALS = (0.0, -1.0, float("nan"), float("inf"), float("-inf"), 1e-38, 1e38, 1e-45, 2.0, 1e-9)


def _pick(items: Sequence[Any], rng: np.random.Generator) -> Any:
    return items[int(rng.integers(len(items)))] if len(items) else None


def _shapes(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """A size of a constant, or of the input, becomes huge, negative, 0 or another."""
    size = int(_pick(NUMBERS, rng))
    tensor = _pick(model.graph.initializer, rng)
    if tensor is not None and len(tensor.dims) and rng.random() < 0.6:
        tensor.dims[int(rng.integers(len(tensor.dims)))] = size
        return
    value = _pick([*model.graph.input, *model.graph.output, *model.graph.value_info], rng)
    dims = value.type.tensor_type.shape.dim
    if len(dims):
        dims[int(rng.integers(len(dims)))].dim_value = size


def _numbers_of(model: onnx.ModelProto, at: int) -> list[Any]:
    """The constants that are input `at` of a QuantizeLinear or DequantizeLinear."""
    names = {
        node.input[at]
        for node in model.graph.node
        if node.op_type in ("QuantizeLinear", "DequantizeLinear") and len(node.input) > at
    }
    return [tensor for tensor in model.graph.initializer if tensor.name in names]


def _scale(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    tensor = _pick(_numbers_of(model, 1), rng) or _pick(model.graph.initializer, rng)
    if tensor is None or tensor.data_type != TensorProto.FLOAT:
        return
    values = numpy_helper.to_array(tensor).copy().reshape(-1)
    if values.size:
        at = int(rng.integers(values.size))
        factor = float(rng.choice((1e-6, 1e-3, 0.3, 3, 100, 1e6)))
        values[at] = _pick(REALS, rng) if rng.random() < 0.7 else values[at] * factor
    _replace(tensor, values.reshape(tuple(tensor.dims)))


def _zero_point(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    tensor = _pick(_numbers_of(model, 2), rng)
    if tensor is None:
        return
    kind = _pick((np.int8, np.uint8, np.int32, np.int64, np.float32, np.int16), rng)
    if rng.random() < 0.5:
        kind = helper.tensor_dtype_to_np_dtype(tensor.data_type).type
    count = int(np.prod(tensor.dims)) if rng.random() < 0.8 else int(rng.integers(0, 5))
    drawn = np.full(count, int(_pick((-128, 127, 255, 1, -1, 2**20, 128), rng)))
    shape = tuple(tensor.dims) if count == np.prod(tensor.dims) else (count,)
    _replace(tensor, drawn.astype(np.int64).astype(kind).reshape(shape))


def _replace(tensor: Any, values: Any) -> None:
    tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values), tensor.name))


def _data(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """Weights of the wrong length, or drawn anew, or gone."""
    tensor = _pick(model.graph.initializer, rng)
    if tensor is None:
        return
    data = tensor.raw_data
    kind = int(rng.integers(4))
    if kind == 0:
        tensor.raw_data = data[: int(rng.integers(len(data) + 1))]
    elif kind == 1:
        tensor.raw_data = data + bytes(int(rng.integers(1, 64)))
    elif kind == 2:
        tensor.raw_data = rng.integers(0, 256, len(data)).astype(np.uint8).tobytes()
    else:
        tensor.ClearField("raw_data")


def _drop(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """A node, an input, an output, an attribute, a constant or a graph's input is dropped."""
    graph, node = model.graph, _pick(model.graph.node, rng)
    if node is None:
        return
    lists = [node.input, node.output, node.attribute, graph.initializer, graph.input, graph.output]
    chosen = _pick([*lists[:3], *lists[:3], graph.node, *lists[3:]], rng)
    if not len(chosen):
        return
    at = int(rng.integers(len(chosen)))
    if chosen in (node.input, node.output) and rng.random() < 0.4:
        chosen[at] = ""
    else:
        del chosen[at]


def _attribute(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    node = _pick([node for node in model.graph.node if len(node.attribute)], rng)
    if node is None:
        return
    attribute = _pick(node.attribute, rng)
    number = int(_pick(NUMBERS, rng))
    if attribute.ints and rng.random() < 0.8:
        attribute.ints[int(rng.integers(len(attribute.ints)))] = number
    elif attribute.ints:
        attribute.ints.append(number)
    elif attribute.HasField("i"):
        attribute.i = number
    elif attribute.HasField("f"):
        attribute.f = _pick(REALS, rng)
    else:
        attribute.s = b"VALID"


def _cycle(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """A node reads what it, or a later one, makes."""
    nodes = model.graph.node
    if len(nodes) < 2:
        return
    early = int(rng.integers(len(nodes) - 1))
    late = int(rng.integers(early, len(nodes)))
    if len(nodes[early].input) and len(nodes[late].output):
        nodes[early].input[0] = nodes[late].output[0]


def _wiring(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """An input becomes any other tensor of the graph."""
    node = _pick([node for node in model.graph.node if len(node.input)], rng)
    names = [name for other in model.graph.node for name in (*other.input, *other.output)]
    if node is not None and names:
        node.input[int(rng.integers(len(node.input)))] = _pick(names, rng)


def _operator(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    node = _pick(model.graph.node, rng)
    others = [one.op_type for one in model.graph.node] + ["Sigmoid", "MaxPool", "Nothing", "Loop"]
    if node is not None:
        node.op_type = _pick(others, rng)


def _versions(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    if rng.random() < 0.3:
        model.ir_version = int(_pick(NUMBERS, rng))
    elif len(model.opset_import):
        version = int(_pick((*range(9, 30), *NUMBERS), rng))
        model.opset_import[0].version = version


def _kind(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """An element type, of the input or of a constant, becomes another."""
    kind = int(rng.integers(0, 25))
    tensor = _pick(model.graph.initializer, rng)
    if tensor is None or rng.random() < 0.4:
        _pick([*model.graph.input, *model.graph.output], rng).type.tensor_type.elem_type = kind
    else:
        tensor.data_type = kind


MUTATIONS: dict[str, tuple[int, Mutation]] = {
    "shape": (3, _shapes),
    "scale": (4, _scale),
    "zero point": (3, _zero_point),
    "data": (3, _data),
    "drop": (4, _drop),
    "attribute": (3, _attribute),
    "cycle": (1, _cycle),
    "wiring": (2, _wiring),
    "operator": (1, _operator),
    "version": (1, _versions),
    "type": (1, _kind),
}


def _bits(data: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    """The file itself is damaged: bits flipped, a stretch lost, doubled or cut off."""
    damaged = bytearray(data)
    kind = int(rng.integers(8))
    at = int(rng.integers(len(damaged)))
    if kind == 0:
        return "cut off", bytes(damaged[:at])
    if kind == 1:
        return "stretch lost", bytes(damaged[:at] + damaged[at + int(rng.integers(1, 200)) :])
    if kind == 2:
        return "stretch doubled", bytes(damaged[:at] + damaged[max(0, at - 50) :])
    for _ in range(int(rng.integers(1, 9))):
        damaged[int(rng.integers(len(damaged)))] ^= 1 << int(rng.integers(8))
    return "bits", bytes(damaged)


def mutant(seed: int) -> tuple[str, bytes]:
    """What was done, and the file."""
    rng = np.random.default_rng([22, seed])
    names = list(WEIGHTS)
    shares = np.array([WEIGHTS[name] for name in names], float)
    name = names[int(rng.choice(len(names), p=shares / shares.sum()))]
    if name == TFLITE and rng.random() < 0.5:
        name = _pick([one for one in bases() if one.startswith(f"{TFLITE}, ")], rng)
    data = bases()[name]
    if rng.random() < 0.2:
        how, data = _bits(data, rng)
        return f"{name}: {how}", data
    if name.startswith(TFLITE):
        how, data = tflite_mutants.damaged(data, rng)
        return f"{name}: {how}", data
    model = onnx.load_from_string(data)
    kinds = list(MUTATIONS)
    shares = np.array([MUTATIONS[kind][0] for kind in kinds], float)
    done = []
    for _ in range(1 + int(rng.random() < 0.3)):
        kind = kinds[int(rng.choice(len(kinds), p=shares / shares.sum()))]
        done.append(kind)
        try:
            MUTATIONS[kind][1](model, rng)
        except (ValueError, TypeError):  # protobuf takes no such number here
            done[-1] += " (no)"
    return f"{name}: {', '.join(done)}", model.SerializeToString()


# -- the verdict, in a worker --------------------------------------------------------------------


class Judge:
    """Takes mutants the way that mbn-compile does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.known: set[str] = set()  # C that was found exact already
        self.photographs = folder / "photographs"
        self.photographs.mkdir()
        rng = np.random.default_rng(1)
        for number in range(2):
            pixels = rng.integers(0, 256, (16, 16, 3)).astype(np.uint8)
            Photograph.fromarray(pixels).save(self.photographs / f"{number}.png")

    def judge(self, seed: int, data: bytes) -> tuple[str, str]:
        from mbn.core.errors import MbnError  # noqa: PLC0415
        from mbn.core.options import InputMode, Rounding  # noqa: PLC0415
        from mbn.jobs.lower import sources  # noqa: PLC0415
        from mbn.passes.frontend import lower  # noqa: PLC0415

        path = self.folder / "mutant.onnx"
        path.write_bytes(data)
        request = sources.Request(onnx=path, calibrate=self.photographs, samples=2)
        try:
            from mbn.core.telling import SILENT  # noqa: PLC0415

            source = sources.find_network(request, self.folder / "onnx", SILENT)
            as_tflite = data[4:8] == b"TFL3" and seed % 2 == 1
            rounding = Rounding.TFLITE if as_tflite else Rounding.SINGLE
            network = lower(source.path, source.name, rounding=rounding)
            sets = ("scalar", "dsp", "mve")
            modes = tuple(InputMode)
            return self._exact(network, sets[seed % 3], modes[seed // 3 % 2], seed % 5 > 0)
        except MbnError as error:
            return "refused", str(error)

    def _exact(self, network: Any, kernels: str, mode: Any, simplify: bool) -> tuple[str, str]:
        import lowered  # noqa: PLC0415
        import networks  # noqa: PLC0415
        from mbn.core.boards import find_board  # noqa: PLC0415
        from mbn.exact import Reference  # noqa: PLC0415
        from mbn.harness.device import open_device  # noqa: PLC0415
        from mbn.image.build import build_image  # noqa: PLC0415

        generated = lowered.generate(network, kernels, mode, simplify=simplify)
        text = "".join(generated.files.files.values())
        digest = hashlib.sha256(text.encode()).hexdigest()
        if digest in self.known:
            return "exact", "the same C as before"
        board, images = find_board("host"), networks.images(network, 1)[:3]
        generated.files.write(self.folder / "c")
        image = build_image(self.folder / "c", board, "check", self.folder, flag="-Og")
        expected = Reference(network).run(images)
        with open_device(board, image, log_path=self.folder / "log") as device:
            for one, wanted in zip(images, expected, strict=True):
                if not np.array_equal(device.run(one).output.reshape(-1), wanted):
                    return "DIFFERENT", f"{kernels}, {mode}, simplify {simplify}"
        self.known.add(digest)
        return "exact", f"{len(network.layers)} layers"


def _peak_kb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _work(connection: Connection) -> None:
    """A worker: verdicts until the pipe closes."""
    import tvm  # noqa: F401, PLC0415

    with tempfile.TemporaryDirectory() as name:
        judge = Judge(Path(name))
        bases()
        connection.send("ready")
        while True:
            try:
                seed = connection.recv()
            except EOFError:
                return
            what, data = mutant(seed)
            connection.send(what)
            before = _peak_kb()
            try:
                outcome, detail = judge.judge(seed, data)
            except Exception:  # anything that escapes is what is looked for
                outcome, detail = "ESCAPED", traceback.format_exc()
            if _peak_kb() - before > MEMORY_LIMIT_KB:
                detail = f"{_peak_kb() - before} KB more than before; was {outcome}: {detail}"
                outcome = "LARGE"
            connection.send((outcome, detail))


class Pool:
    """One worker after another; a lost one is replaced."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._process: Any = None
        self._pipe: Any = None

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def _start(self) -> None:
        self._pipe, theirs = self._context.Pipe()
        self._process = self._context.Process(target=_work, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()
        if not self._pipe.poll(START_S):
            raise RuntimeError("a worker does not start")
        self._pipe.recv()

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None

    @property
    def process_id(self) -> int:
        """Of the worker that runs now."""
        return int(self._process.pid)

    def verdict(self, seed: int) -> Verdict:
        if self._process is None:
            self._start()
        what = "?"
        try:
            self._pipe.send(seed)
            if self._pipe.poll(TIME_LIMIT_S):
                what = self._pipe.recv()
            if not self._pipe.poll(TIME_LIMIT_S):
                self._stop()
                return Verdict(seed, what, "HUNG", f"longer than {TIME_LIMIT_S:g} s")
            return Verdict(seed, what, *self._pipe.recv())
        except (EOFError, ConnectionError):
            self._process.join()
            code = self._process.exitcode
            self._process = None
            return Verdict(seed, what, "CRASHED", f"exit code {code}")
