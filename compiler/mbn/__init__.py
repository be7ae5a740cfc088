"""mbn: a MobileNet, or any network of its kind, as plain C on a Cortex-M.

    import mbn

    made = mbn.compile("mine.onnx", board="stm32", calibrate="photos/")
    print(made.check().check.exact_samples, "images with every bit equal")
    codes = made.run(image)  # on the emulated board; made.run(image, port="/dev/ttyUSB0") on yours
    assert (codes == mbn.reference(made.network)(image)).all()

Everything is loaded when it is first used (PEP 562): `import mbn` needs neither TVM, nor ONNX, nor
torch, and `mbn.check`, `mbn.flash` and `mbn.verify` do without them too. Nothing is printed: what
takes long takes `progress(what, done, of)`. Errors are `mbn.MbnError`s.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from mbn.api.compiling import (
        Compiled,
        build,
        check_every,
        check_release,
        compile,
        export,
        job,
        key_advice,
        ready,
    )
    from mbn.api.devices import (
        Comparison,
        all_probes,
        boards,
        check,
        compare,
        compare_float,
        compiled_folder,
        find_board,
        find_place,
        flash,
        flash_steps,
        mlperf,
        new_board,
        ports,
        verify,
        where,
    )
    from mbn.api.living import (
        Live,
        has_compiled,
        listen_live,
        live_folder,
        live_job,
        serve_live,
    )
    from mbn.api.making import (
        Tuned,
        family,
        report_page,
        train_for_board,
        train_network,
        tune,
        tune_family,
    )
    from mbn.api.planning import (
        Inspection,
        Plans,
        costs,
        inspect,
        largest,
        operators_text,
        plan,
        suggest,
    )
    from mbn.api.reference import HostReference, reference
    from mbn.core.detector import Detection
    from mbn.core.errors import (
        BoardError,
        CheckError,
        FlashError,
        LinkError,
        MbnError,
        ModelError,
        PlanError,
        QuantiseError,
        ReleaseError,
        ToolError,
        UnsupportedError,
        UsageError,
    )

_HOMES = {
    "api.compiling": (
        "Compiled",
        "build",
        "check_every",
        "check_release",
        "compile",
        "export",
        "job",
        "key_advice",
        "ready",
    ),
    "api.devices": (
        "Comparison",
        "all_probes",
        "boards",
        "check",
        "compare",
        "compare_float",
        "compiled_folder",
        "find_board",
        "find_place",
        "flash",
        "flash_steps",
        "mlperf",
        "new_board",
        "ports",
        "verify",
        "where",
    ),
    "api.living": (
        "Live",
        "has_compiled",
        "listen_live",
        "live_folder",
        "live_job",
        "serve_live",
    ),
    "api.making": (
        "Tuned",
        "family",
        "report_page",
        "train_for_board",
        "train_network",
        "tune",
        "tune_family",
    ),
    "api.planning": (
        "Inspection",
        "Plans",
        "costs",
        "inspect",
        "largest",
        "operators_text",
        "plan",
        "suggest",
    ),
    "api.reference": ("HostReference", "reference"),
    "core.detector": ("Detection",),
    "core.errors": (
        "BoardError",
        "CheckError",
        "FlashError",
        "LinkError",
        "MbnError",
        "ModelError",
        "PlanError",
        "QuantiseError",
        "ReleaseError",
        "ToolError",
        "UnsupportedError",
        "UsageError",
    ),
}
_MODULES = {name: f"mbn.{home}" for home, names in _HOMES.items() for name in names}

__all__ = [
    "BoardError",
    "CheckError",
    "Comparison",
    "Compiled",
    "Detection",
    "FlashError",
    "HostReference",
    "Inspection",
    "LinkError",
    "Live",
    "MbnError",
    "ModelError",
    "PlanError",
    "Plans",
    "QuantiseError",
    "ReleaseError",
    "ToolError",
    "Tuned",
    "UnsupportedError",
    "UsageError",
    "__version__",
    "all_probes",
    "boards",
    "build",
    "check",
    "check_every",
    "check_release",
    "compare",
    "compare_float",
    "compile",
    "compiled_folder",
    "costs",
    "export",
    "family",
    "find_board",
    "find_place",
    "flash",
    "flash_steps",
    "has_compiled",
    "inspect",
    "job",
    "key_advice",
    "largest",
    "listen_live",
    "live_folder",
    "live_job",
    "mlperf",
    "new_board",
    "operators_text",
    "plan",
    "ports",
    "ready",
    "reference",
    "report_page",
    "serve_live",
    "suggest",
    "train_for_board",
    "train_network",
    "tune",
    "tune_family",
    "verify",
    "where",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'mbn' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
