"""Names of C functions and tables.

What enters: stages and their C. What leaves: identifiers. Always holds: equal C text has one
function, whatever stages it serves; names come from what a kernel does and for which shape, so a
person finds them in a debugger; the same network gives the same names.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence

from mbn import ir

_WORD = re.compile(r"[^0-9A-Za-z]+")


def identifier(text: str) -> str:
    """A lower-case C identifier out of an ONNX node's name."""
    name = _WORD.sub("_", text).strip("_").lower()
    return name if name and not name[0].isdigit() else f"n_{name}"


def comment(text: str) -> str:
    """Text that ends no comment of C."""
    return text.replace("*/", "* /")


def kernel_names(network: ir.Network, texts: Sequence[str]) -> list[str]:
    """One function name a stage; stages with equal text share it."""
    by_text: dict[str, str] = {}
    used: dict[str, int] = {}
    for stage, text in zip(network.stages, texts, strict=True):
        if text in by_text:
            continue
        source, out = network.stage_input(stage), network.stage_output(stage)
        base = f"mbn_{stage.kind}_{source.shape_text}_to_{out.shape_text}"
        count = used.get(base, 0)
        used[base] = count + 1
        by_text[text] = base + (f"_{_suffix(count)}" if count else "")
    return [by_text[text] for text in texts]


def _suffix(count: int) -> str:
    letters = string.ascii_lowercase[1:]
    return letters[count - 1] if count <= len(letters) else str(count)
