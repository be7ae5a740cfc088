"""Lowers networks for tests: kernel sets by name, nothing simplified unless that is asked for.

What enters: a network, a kernel set or its name, an input mode, fields of `Options` and `Target`.
What leaves: what `lowering` gives.
"""

from typing import Any

from mbn.core.kernel_set import KERNEL_SETS, KernelSet
from mbn.core.network import Network
from mbn.core.options import InputMode, Optimise, Options
from mbn.jobs.lower import lowering
from mbn.jobs.lower.lowering import Generated, Planned, Target


def _given(
    kernels: KernelSet | str, mode: InputMode, given: dict[str, Any]
) -> tuple[Target, Options]:
    if isinstance(kernels, str):
        kernels = KERNEL_SETS[kernels]
    target = Target(kernels, given.pop("memories", ()), given.pop("tuned", None))
    given["optimise"] = Optimise(given.get("optimise", "speed"))
    return target, Options(mode, **{"simplify": False, **given})


def generate(
    network: Network, kernels: KernelSet | str, mode: InputMode, *, forced: Any = None, **given: Any
) -> Generated:
    """As lowering.generate."""
    return lowering.generate(network, *_given(kernels, mode, given), forced=forced)


def planned(
    network: Network, kernels: KernelSet | str, mode: InputMode, *, forced: Any = None, **given: Any
) -> Planned:
    """As lowering.planned."""
    return lowering.planned(network, *_given(kernels, mode, given), forced=forced)
