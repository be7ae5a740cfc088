"""Which public networks compile and are exact on an emulated board: a table.

What enters: the names of networks of torchvision and timm (default: all of NETWORKS), built here
with random weights. What leaves: for each its MACs, flash, arena, cycles and agreement with ONNX
Runtime, or why it was refused; as docs/coverage.json and docs/coverage.md with --write. Always
holds: each network is exported, quantised by --calibrate's own way, compiled and run in a process
of its own, so that none can stop the others.

    ./dev python benchmarks/coverage.py                        # all: some hours
    ./dev python benchmarks/coverage.py timm/lcnet_050 --exporter dynamo
    ./dev python benchmarks/coverage.py --write                # and renew the page

Needs torch, torchvision and timm (pip install torch==2.13.0 torchvision==0.28.0 timm).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import as_completed
from pathlib import Path
from typing import Any

import numpy as np

from mbn.core.executing import HELP, executor

RESOLUTION = 96
CALIBRATION = 8  # drawn images: with drawn weights more say nothing
SAMPLES = 2
LIMIT_S = 1800
ROOT = Path(__file__).parent.parent
DATA = ROOT / "docs" / "coverage.json"
EXPORTERS = ("torchscript", "dynamo")

NETWORKS = (
    "torchvision/mobilenet_v2",
    "torchvision/mobilenet_v3_small",
    "torchvision/mobilenet_v3_large",
    "torchvision/mnasnet0_5",
    "torchvision/mnasnet1_0",
    "torchvision/efficientnet_b0",
    "torchvision/squeezenet1_0",
    "torchvision/squeezenet1_1",
    "torchvision/shufflenet_v2_x0_5",
    "torchvision/shufflenet_v2_x1_0",
    "torchvision/resnet18",
    "torchvision/regnet_x_400mf",
    "torchvision/regnet_y_400mf",
    "torchvision/googlenet",
    "torchvision/densenet121",
    "timm/mobilenetv1_100",
    "timm/mobilenetv2_050",
    "timm/mobilenetv4_conv_small",
    "timm/mobilenetv4_conv_medium",
    "timm/tf_mobilenetv3_small_minimal_100",
    "timm/efficientnet_lite0",
    "timm/tinynet_a",
    "timm/tinynet_e",
    "timm/lcnet_050",
    "timm/lcnet_100",
    "timm/ghostnet_100",
    "timm/repghostnet_100",
    "timm/mobileone_s0",
    "timm/repvgg_a0",
    "timm/hardcorenas_a",
    "timm/mixnet_s",
    "timm/rexnet_100",
    "timm/starnet_s1",
    "timm/fbnetc_100",
    "timm/spnasnet_100",
    "timm/semnasnet_100",
    "timm/resnet10t",
    "timm/resnet14t",
    "timm/dla46_c",
    "timm/dla34",
    "timm/skresnet18",
    "timm/regnetx_002",
    "timm/regnety_002",
    "timm/fasternet_t0",
    "timm/hrnet_w18_small",
    "timm/cspresnet50",
    "timm/edgenext_xx_small",
    "timm/mobilevit_xxs",
)


def built(name: str) -> Any:
    """The torch module, with random weights, in inference form."""
    import torch  # noqa: PLC0415

    source, _, kind = name.partition("/")
    torch.manual_seed(1)
    # torchvision's own operators are not needed here, and its wheel may not fit torch's build
    library = torch.library.Library("torchvision", "DEF")
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor a, Tensor b, float c) -> Tensor")
    if source == "torchvision":
        import torchvision  # noqa: PLC0415

        options = {"init_weights": False} if kind == "googlenet" else {}
        model = torchvision.models.get_model(kind, weights=None, **options)
        if kind == "googlenet":
            model.aux_logits = False
    else:
        import timm  # noqa: PLC0415

        model = timm.create_model(kind, pretrained=False, exportable=True)
        from timm.utils.model import reparameterize_model  # noqa: PLC0415

        model = reparameterize_model(model)
    return settled(model.eval())


def settled(model: Any) -> Any:
    """The module with statistics of its batch norms taken from drawn images, so that its drawn
    weights neither explode nor vanish."""
    import torch  # noqa: PLC0415

    model.train()
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.momentum = 0.5
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    with torch.no_grad():
        for _ in range(8):
            model(torch.randn(8, 3, RESOLUTION, RESOLUTION))
    return model.eval()


def exported(name: str, exporter: str, folder: Path) -> Path:
    import torch  # noqa: PLC0415

    path = folder / f"{name.replace('/', '_')}.onnx"
    sample = torch.randn(1, 3, RESOLUTION, RESOLUTION)
    if exporter == "dynamo":
        torch.onnx.export(built(name), (sample,), str(path), dynamo=True, verbose=False)
    else:
        torch.onnx.export(built(name), (sample,), str(path), dynamo=False, opset_version=17)
    return path


def measured(name: str, exporter: str, board: str) -> dict[str, Any]:
    """One network, in this process."""
    import mbn  # noqa: PLC0415
    from mbn.core.errors import MbnError  # noqa: PLC0415
    from mbn.jobs import agreement  # noqa: PLC0415

    found: dict[str, Any] = {"network": name, "exporter": exporter}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        try:
            path = exported(name, exporter, folder)
        except Exception as error:  # whatever the exporter raises: it is no fault of the compiler
            return {**found, "outcome": "not exported", "reason": str(error).splitlines()[0][:200]}
        images = np.random.default_rng(5).normal(size=(CALIBRATION, 3, RESOLUTION, RESOLUTION))
        np.save(folder / "images.npy", images.astype(np.float32))
        try:
            made = mbn.compile(
                path,
                board=board,
                calibrate=folder / "images.npy",
                images=folder / "images.npy",
                samples=SAMPLES,
                output=folder / "out",
                accept_loss=True,
            )
            report = made.check()
            quantised = next(made.folder.rglob("*.onnx"))
            codes = np.load(made.folder / "samples.npz")
            near = agreement.compare(quantised, codes["images"][:SAMPLES])
        except MbnError as error:
            return {**found, "outcome": "refused", "reason": str(error)[:300]}
    check = report.check
    return {
        **found,
        "outcome": "exact" if check.exact_samples == check.samples else "differs",
        "macs": report.network.macs,
        "params": report.network.params,
        "flash_bytes": report.memory.flash_bytes,
        "arena_bytes": report.memory.arena_bytes,
        "modelled_cycles": check.modelled_cycles,
        "layers": len(near.layers),
        "layers_exact": sum(one.largest == 0 for one in near.layers),
        "largest": max(one.largest for one in near.layers),
        "agrees": near.layers_hold,
    }


def isolated(name: str, exporter: str, board: str) -> dict[str, Any]:
    """One network in a process of its own, as `measured` says, or that it crashed."""
    command = [sys.executable, __file__, "--one", name, "--exporter", exporter, "--board", board]
    start = time.monotonic()
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        last = done.stdout.strip().splitlines()[-1:] or [""]
        found = json.loads(last[0])
    except subprocess.TimeoutExpired:
        found = {"network": name, "outcome": "timed out", "reason": f"{LIMIT_S} s"}
    except json.JSONDecodeError:
        reason = (done.stderr.strip().splitlines() or ["no word"])[-1]
        found = {"network": name, "outcome": "crashed", "reason": reason[:300]}
    print(line(found, time.monotonic() - start), flush=True)
    return {"exporter": exporter, **found}


def line(one: dict[str, Any], seconds: float) -> str:
    """One network in a line."""
    what = f"{one['network']:<38} {one['outcome']:<12}"
    if "macs" in one:
        what += f" {one['macs'] / 1e6:8.1f} M {one['modelled_cycles'] / 1e6:8.1f} M cycles"
        what += f" {one['arena_bytes']:>9,} B arena"
    return f"{what} {one.get('reason', '')} ({seconds:.0f} s)"


def page(found: list[dict[str, Any]]) -> str:
    """docs/coverage.md: the networks as TorchScript's exporter writes them, and in a column what
    became of the dynamo exporter's graphs."""
    of = {kind: [one for one in found if one["exporter"] == kind] for kind in EXPORTERS}
    dynamo = {one["network"]: one for one in of["dynamo"]}
    counts = {kind: sum(one["outcome"] == "exact" for one in of[kind]) for kind in EXPORTERS}
    lines = [
        "# Public networks",
        "",
        f"{counts['torchscript']} of {len(of['torchscript'])} networks of torchvision and timm "
        "whose parameters fit 16 MB compile, and are exact in every",
        "bit on the emulated Cortex-M4F. Of the graphs that torch's newer exporter (dynamo) "
        f"writes {counts['dynamo']} of {len(of['dynamo'])}",
        "are: the last column. "
        f"Random weights, {RESOLUTION} x {RESOLUTION} pixels, 1,000 classes. `./dev python "
        "benchmarks/coverage.py --write` makes this page.",
        "",
        "| network | MACs (M) | parameters (M) | flash (KB) | arena (KB) | cycles (M) | per MAC | "
        "layers equal to ONNX Runtime, most apart | dynamo, cycles (M) |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    reasons = []
    for one in of["torchscript"]:
        other = short(dynamo.get(one["network"]))
        if "macs" not in one:
            reason = one.get("reason", "").replace("|", "/")
            reasons.append(f"| {one['network']} | {reason} |")
            lines.append(f"| {one['network']} | {one['outcome']} | | | | | | | {other} |")
            continue
        lines.append(
            f"| {one['network']} | {one['macs'] / 1e6:.1f} | {one['params'] / 1e6:.2f} "
            f"| {one['flash_bytes'] / 1024:,.0f} | {one['arena_bytes'] / 1024:,.0f} "
            f"| {one['modelled_cycles'] / 1e6:.1f} | {one['modelled_cycles'] / one['macs']:.2f} "
            f"| {one['layers_exact']} of {one['layers']}, {one['largest']} | {other} |"
        )
    if reasons:
        lines += ["", "## What is refused", "", "| network | why |", "|---|---|", *reasons]
    return "\n".join(lines) + "\n"


def short(one: dict[str, Any] | None) -> str:
    """What became of a network, in a word or its cycles."""
    if one is None:
        return "not run"
    exact = one["outcome"] == "exact"
    return f"{one['modelled_cycles'] / 1e6:.1f}" if exact else str(one["outcome"])


def main() -> int:
    """Runs the networks; 1 where one differs or crashes."""
    own = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    own.add_argument("networks", nargs="*", default=NETWORKS, metavar="SOURCE/NAME")
    own.add_argument("--exporter", choices=EXPORTERS, default="torchscript")
    own.add_argument("--board", default="qemu")
    own.add_argument("--one", help=argparse.SUPPRESS)
    own.add_argument("--scheduler", metavar="ADDRESS", help=HELP)
    own.add_argument("--write", action="store_true", help="renew docs/coverage.json and .md")
    asked = own.parse_args()
    if asked.one:
        print(json.dumps(measured(asked.one, asked.exporter, asked.board)))
        return 0
    worst = 0
    for found in found_of(asked):
        if found["outcome"] in ("differs", "crashed"):
            worst = 1
        if asked.write:  # after each: a run of hours may be cut short
            renew(found)
    return worst


def found_of(asked: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Each network's line, as they come: one after the other here, or from a scheduler's workers,
    which have this repository at this place."""
    if asked.scheduler is None:
        for name in asked.networks:
            yield isolated(name, asked.exporter, asked.board)
        return
    with executor(asked.scheduler) as pool:
        waiting = [
            pool.submit(isolated, name, asked.exporter, asked.board) for name in asked.networks
        ]
        for future in as_completed(waiting):
            yield future.result()


def known() -> list[dict[str, Any]]:
    """What was found before: docs/coverage.json."""
    found: list[dict[str, Any]] = json.loads(DATA.read_text(encoding="utf-8"))
    return found


def renew(found: dict[str, Any]) -> None:
    """The page with one network's new line; the others' stay."""
    by_name = {(one["exporter"], one["network"]): one for one in [*known(), found]}
    keys = [(kind, name) for kind in EXPORTERS for name in NETWORKS]
    ordered = [by_name[key] for key in keys if key in by_name]
    DATA.write_text(json.dumps(ordered, indent=1) + "\n", encoding="utf-8")
    (ROOT / "docs" / "coverage.md").write_text(page(ordered), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
