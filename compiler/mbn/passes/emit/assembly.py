"""network.S: the bodies that the compiler writes as assembly, and what network.c says of them."""

from __future__ import annotations

from mbn.core.lowered import PREFIX, Assembly
from mbn.passes.emit.job import Job, about

# as in scalar/compiler.h
CONDITION = "defined(__arm__) && !defined(MBN_PORTABLE)"


def functions_of(job: Job) -> list[Assembly]:
    """Each function once, in the stages' order."""
    found: dict[str, Assembly] = {}
    for code in job.codes:
        for one in code.assembly:
            assert found.setdefault(one.name, one) == one, f"two functions are called {one.name}"
    return list(found.values())


def named(job: Job, text: str) -> str:
    """A text with the network's prefix put in."""
    return text.replace(f"{PREFIX}_", f"{job.prefix}_")


def _wanted(job: Job, condition: str) -> str:
    """The condition, and what the kernel set adds to it."""
    return " && ".join(filter(None, (condition, job.kernels.feature)))


def assembly(job: Job) -> str:
    """The file; empty where the network calls none."""
    functions = functions_of(job)
    if not functions:
        return ""
    wanted = _wanted(job, CONDITION)
    parts = [about(job), f"#if {wanted}\n    .syntax unified\n    .thumb\n"]
    for one in functions:
        text = named(job, one.text)
        parts.append(f"#if {one.feature}\n{text}#endif\n" if one.feature else text)
    parts.append("#endif\n")
    return "\n".join(parts)


def twins(job: Job) -> str:
    """What network.c declares, and the same functions in C where no assembly is."""
    text = ""
    functions = functions_of(job)
    for feature in dict.fromkeys(one.feature for one in functions):
        some = [one for one in functions if one.feature == feature]
        declared = [f"int32_t {one.symbol}({one.parameters});" for one in some]
        defined = [
            f"static int32_t {one.symbol}({one.parameters})\n{{\n    {one.twin}\n    return 0;\n}}"
            for one in some
        ]
        wanted = _wanted(job, "MBN_ASSEMBLY") + (f" && ({feature})" if feature else "")
        text += "\n".join([f"#if {wanted}", *declared, "#else", *defined, "#endif\n"])
    return named(job, f"/* network.S, and the same in C */\n{text}") if functions else ""
