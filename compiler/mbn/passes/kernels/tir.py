"""The typed boundary around TVM's TIR: building S-TIR functions and turning them into C.

Python emits loops, blocks and buffers through `Builder`. TVM's C code generator prints one plain C
function with pointer parameters and constant bounds. The passes in `to_c` are all that bare-metal
C needs: no packed-function prologue, no calls of TVM's runtime. Of the printed file only the
function is kept: it becomes static, pointers that are only read become const, and unused
parameters are marked. The rest of the C is TVM's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from mbn.passes.kernels.bodies import Body
from mbn.passes.tvm_alone import import_tvm

INDENT = re.compile(r"^( +)", re.MULTILINE)


@dataclass(frozen=True)
class Param:
    """A buffer parameter: logical shape, element type, strides in elements."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...] | None
    writable: bool


class Builder:
    """Collects one S-TIR function. Shapes are in elements."""

    def __init__(self) -> None:
        import_tvm()
        from tvm.tirx.script import builder as script  # noqa: PLC0415

        self.script: Any = script
        self.params: list[Param] = []

    def arg(
        self,
        name: str,
        dtype: str,
        shape: Sequence[int],
        strides: Sequence[int] | None = None,
        *,
        writable: bool = False,
    ) -> Any:
        """Declares a buffer parameter and returns the buffer."""
        fixed = None if strides is None else tuple(strides)
        self.params.append(Param(name, dtype, tuple(shape), fixed, writable))
        buffer = self.script.buffer(
            tuple(shape), dtype, strides=None if fixed is None else list(fixed)
        )
        return self.script.arg(name, buffer)

    @contextmanager
    def block(self, name: str, reads: Any = None, writes: Any = None) -> Iterator[Any]:
        """A block; `reads` and `writes` are only needed around opaque calls."""
        with self.script.sblock(name):
            if reads is not None:
                self.script.reads(*reads)
            if writes is not None:
                self.script.writes(*writes)
            yield self.script.axis

    @contextmanager
    def when(self, *tests: Any) -> Iterator[None]:
        """Runs the statements if all tests hold; without tests, always."""
        with ExitStack() as stack:
            for test in tests:
                stack.enter_context(self.script.If(test))
                stack.enter_context(self.script.Then())
            yield

    def call(self, body: Body, **arguments: Any) -> None:
        """A statement that calls a C function of the runtime's kernels."""
        self.script.evaluate(self.value(body, **arguments))

    def value(self, body: Body, **arguments: Any) -> Any:
        """The int32 that a C function of the runtime's kernels returns."""
        return self.script.call_extern("int32", body.name, *body.in_order(arguments))

    def address(self, buffer: Any, *indices: Any) -> Any:
        return self.script.address_of(buffer[indices if len(indices) > 1 else indices[0]])


@dataclass(frozen=True)
class CFunction:
    """C text of one function and what its parameters are, in order."""

    name: str
    text: str
    params: tuple[Param, ...]


@contextmanager
def named_loop(script: Any, extent: int, name: str) -> Iterator[Any]:
    """A serial loop whose variable keeps `name` in the generated C."""
    from tvm.script.ir_builder import IRBuilder  # noqa: PLC0415

    with script.serial(extent) as variable:
        IRBuilder.name(name, variable)
        yield variable


def build_with(builder: Builder, emit: Callable[[Builder], None]) -> Any:
    """Runs `emit` inside a new S-TIR function and returns it."""
    from tvm.script.ir_builder import IRBuilder  # noqa: PLC0415

    script = builder.script
    with IRBuilder() as ir_builder, script.prim_func(s_tir=True):
        script.func_name("main")
        script.func_attr({"tirx.noalias": True})
        emit(builder)
    return ir_builder.get()


def to_c(function: Any, params: tuple[Param, ...], name: str) -> CFunction:
    """Lowers an S-TIR function and returns its C."""
    import tvm  # noqa: PLC0415
    from tvm import s_tir, tirx  # noqa: PLC0415
    from tvm.ir import PointerType  # noqa: PLC0415
    from tvm.target import Target  # noqa: PLC0415

    target = Target("c")
    function = (
        function.with_attr("global_symbol", name)
        .with_attr("calling_conv", 2)
        .with_attr("target", target)
    )
    module = tvm.IRModule({name: function})
    structured, flat = s_tir.transform, tirx.transform
    for step in (
        structured.CanonicalizeLoop(),
        structured.LowerInitBlock(),
        structured.PlanAndUpdateBufferAllocationLocation(),
        structured.ConvertBlocksToOpaque(),
        structured.CompactBufferAllocation(),
        structured.LowerMatchBuffer(),
        structured.StmtSimplify(),
        structured.LowerOpaqueBlock(),
        flat.FlattenBuffer(),
        flat.NarrowDataType(32),
        flat.VectorizeLoop(False),
        flat.StorageRewrite(),
        flat.UnrollLoop(),
        flat.StmtSimplify(),
        flat.RemoveNoOp(),
        flat.CommonSubexprElim(),
    ):
        module = step(module)
    lowered = module[name]
    pointers, body = [], lowered.body
    for param in lowered.params:
        pointers.append(tirx.Var(param.name, PointerType(param.ty.dtype)))
    for param, pointer in zip(reversed(lowered.params), reversed(pointers), strict=True):
        body = tirx.SeqStmt([tirx.DeclBuffer(param, data=pointer), body])
    plain = tirx.PrimFunc(pointers, body, None, lowered.attrs)
    module = flat.LowerIntrin()(tvm.IRModule({name: plain}))
    source = tvm.get_global_func("target.build.c")(module, target).inspect_source()
    return CFunction(name, _strip(str(source), name, params), params)


def _strip(source: str, name: str, params: tuple[Param, ...]) -> str:
    """The function alone from TVM's file: static, with const for pointers that are only read."""
    # the first occurrence is a forward declaration
    start = source.rindex(f"{name}(")
    body = source[source.index("{", start) :].rstrip()
    arguments = ", ".join(
        f"{'' if param.writable else 'const '}{param.dtype}_t *{param.name}" for param in params
    )
    body = INDENT.sub(lambda match: match.group(1) * 2, body)
    # if a clamp leaves one value, TVM removes its whole sum
    unused = [param.name for param in params if not re.search(rf"\b{param.name}\b", body)]
    marks = "".join(f"\n    (void){each};" for each in unused)
    return f"static void {name}({arguments})\n{{{marks}{body[1:]}\n"
