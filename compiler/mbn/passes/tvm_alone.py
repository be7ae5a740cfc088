"""Imports TVM without torch.

What enters: nothing. What leaves: TVM, imported. Always holds: where torch is installed, tvm_ffi
would import it too, which takes seconds: for a clash of symbols on Windows, and to hand over
tensors that nothing here has. A torch that is imported already stays; one imported later is whole.
"""

from __future__ import annotations

import os
import sys
from typing import Any


def import_tvm() -> None:
    """Imports TVM, and of Relax what the frontend takes."""
    modules: dict[str, Any] = sys.modules  # None there means: not to be found
    if "tvm" in modules:
        return
    os.environ.setdefault("TVM_FFI_DISABLE_TORCH_C_DLPACK", "1")
    hidden = "torch" not in modules
    if hidden:
        modules["torch"] = None
    try:
        import tvm.relax.frontend.onnx  # noqa: F401, PLC0415
    finally:
        if hidden:
            del modules["torch"]
