"""Names of C functions and tables, and how a model's own words get into generated files.

A kernel is named after what it does and for which shape, so it is easy to find in a debugger.
Kernels with equal C text become one function, which several stages call. The same network gives
the same names.

Names from a model pass through this module before they are written to a file that a compiler,
CMake or another program reads. What comes out is an identifier, or text that can't end a comment
or a string.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from mbn.core.errors import UsageError
from mbn.core.network import Network

_WORD = re.compile(r"[^0-9A-Za-z]+")
_NAME_MOST, _PREFIX_MOST = 100, 48
_ENDINGS = (
    *("init", "state", "weights", "sample", "pixels", "predict", "predict_codes", "label"),
    *("detect", "detector"),
)


def identifier(text: str) -> str:
    """A lower-case C identifier out of an ONNX node's name."""
    name = _WORD.sub("_", text).strip("_").lower()
    return name if name and not name[0].isdigit() else f"n_{name}"


def plain(text: str) -> str:
    """Text for a comment or a string: printable ASCII that ends neither, begins no comment, and
    contains no trigraph."""
    text = "".join(
        c if " " <= c <= "~" and c not in '\\"' else "'" if c == '"' else "_" for c in text
    )
    for pair in ("*/", "/*", "??"):
        while pair in text:
            text = text.replace(pair, f"{pair[0]} {pair[1]}")
    return text


def c_string(text: str) -> str:
    """A string literal of the text in UTF-8: what is no plain ASCII, or ends or begins anything in
    C, in octal."""
    plainly = set(map(ord, string.ascii_letters + string.digits + " _-+.,:;()[]/'&=<>#@!*"))
    body = "".join(chr(one) if one in plainly else f"\\{one:03o}" for one in text.encode())
    return f'"{body}"'


def ascii_name(text: str) -> str:
    """A file name turned into a network's name: letters, digits, space and `._+-`, accents
    dropped."""
    folded = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9 ._+-]+", "_", folded)[:_NAME_MOST].strip(" ._") or "network"


def prefix_of(name: str) -> str:
    """A network's name as the prefix of a library's public names."""
    text = re.sub(r"[^a-z0-9_]+", "_", ascii_name(name).lower()).strip("_") or "network"
    return (
        text[:_PREFIX_MOST] if text[0].isalpha() and not taken(text) else f"n_{text}"[:_PREFIX_MOST]
    )


def check_prefix(prefix: str) -> str:
    """The prefix. Raises `UsageError` if C, C++, POSIX or mbn use it."""
    if not re.fullmatch(rf"[a-z][a-z0-9_]{{0,{_PREFIX_MOST - 1}}}", prefix):
        raise UsageError(
            f"--name {prefix}",
            wanted=f"at most {_PREFIX_MOST} small letters, digits, _; a letter first",
        )
    if taken(prefix):
        raise UsageError(
            f"--name {prefix} is a name that C, C++, POSIX, CMake or mbn has already",
            advice=f"Choose another, such as --name {prefix_of(prefix)}",
        )
    return prefix


def taken(prefix: str) -> bool:
    """Whether a library with this prefix would collide with another's names, headers or build
    targets."""
    names = (
        prefix,
        *(f"{prefix}_{end}" for end in _ENDINGS),
    )
    return (
        prefix == "mbn"
        or re.match(r"mbn_|stage_\d|border_m?\d", prefix) is not None
        or any(name in _reserved() for name in names)
    )


@cache
def _reserved() -> frozenset[str]:
    """Keywords, macros, functions and headers of C, C++ and POSIX as newlib, glibc and gcc have
    them; targets of CMake; what generated code calls its own."""
    return frozenset(Path(__file__).with_name("reserved.txt").read_text(encoding="ascii").split())


def kernel_names(network: Network, texts: Sequence[str]) -> list[str]:
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
