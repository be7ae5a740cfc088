"""Tensor intrinsics: inner loops of TIR that are one call of a C body in runtime/kernels/.

What enters: sizes. What leaves: the name of a registered TensorIntrin. Always holds: the
description is the plain loop, so TVM proves that the call may stand in its place.
"""

from __future__ import annotations

from typing import Any

_registered: set[str] = set()


def dot(taps: int) -> str:
    """sum += a . w over `taps` int8 values -> mbn_scalar_dot."""
    name = f"mbn_scalar_dot_{taps}"
    if name not in _registered:
        from tvm.s_tir import TensorIntrin  # noqa: PLC0415

        TensorIntrin.register(name, _dot_loop(taps), _dot_call(taps))
        _registered.add(name)
    return name


def _operands(script: Any, taps: int) -> tuple[Any, Any, Any]:
    def operand(name: str, dtype: str, shape: tuple[int, ...]) -> Any:
        handle = script.arg(name, script.handle())
        strides = [script.int32(), 1]
        return script.match_buffer(handle, shape, dtype, strides=strides, offset_factor=1)

    return (
        operand("a", "int8", (1, taps)),
        operand("w", "int8", (1, taps)),
        operand("sum", "int32", (1, 1)),
    )


def _dot_loop(taps: int) -> Any:
    from tvm.script.ir_builder import IRBuilder  # noqa: PLC0415
    from tvm.tirx.script import builder as script  # noqa: PLC0415

    with IRBuilder() as ir_builder, script.prim_func(s_tir=True):
        script.func_name("dot_loop")
        a, w, total = _operands(script, taps)
        with script.sblock("root"):
            script.reads(total[0, 0], a[0, 0:taps], w[0, 0:taps])
            script.writes(total[0, 0])
            with script.serial(taps) as k, script.sblock("update"):
                tap = script.axis.reduce(taps, k)
                product = script.cast(a[0, tap], "int32") * script.cast(w[0, tap], "int32")
                script.buffer_store(total, total[0, 0] + product, [0, 0])
    return ir_builder.get()


def _dot_call(taps: int) -> Any:
    from tvm.script.ir_builder import IRBuilder  # noqa: PLC0415
    from tvm.tirx.script import builder as script  # noqa: PLC0415

    with IRBuilder() as ir_builder, script.prim_func(s_tir=True):
        script.func_name("dot_call")
        a, w, total = _operands(script, taps)
        with script.sblock("root"):
            script.reads(total[0, 0], a[0, 0:taps], w[0, 0:taps])
            script.writes(total[0, 0])
            script.evaluate(
                script.call_extern(
                    "int32",
                    "mbn_scalar_dot",
                    script.address_of(total[0, 0]),
                    script.address_of(a[0, 0]),
                    script.address_of(w[0, 0]),
                    script.int32(taps),
                )
            )
    return ir_builder.get()
