"""`report.json`: the contract for scripts.

What enters: figures. What leaves: JSON that the schema beside this file accepts. Always holds:
an unknown figure is null, never 0; the same run gives the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema

from mbn.core.errors import FileError, ModelError
from mbn.core.files import read_text

FILE_NAME = "report.json"


@dataclass(frozen=True)
class ResultFacts:
    """A result: real = scale * (q - zero_point)."""

    name: str
    shape: str  # height x width x channel
    scale: float
    zero_point: int


@dataclass(frozen=True)
class NetworkFacts:
    name: str
    alpha: float | None
    resolution: int
    classes: int
    macs: int
    macs_computed: int  # without constant channels
    params: int
    model_sha256: str
    # of several results what each is, in order; empty: one vector of `classes` values
    results: tuple[ResultFacts, ...] = ()


@dataclass(frozen=True)
class Memory:
    """Bytes. `stack_bytes_painted` is measured by a check; null before."""

    flash_bytes: int
    weights_bytes: int
    code_bytes: int
    arena_bytes: int
    stack_bytes_planned: int
    stack_bytes_painted: int | None
    static_ram_bytes: int


@dataclass(frozen=True)
class Accuracy:
    """Top-1 in percent on labelled samples; int8 is the exact reference's. Top-5 where there are
    more than ten classes."""

    samples: int
    float_percent: float | None
    int8_percent: float
    float_top5_percent: float | None = None
    int8_top5_percent: float | None = None


@dataclass(frozen=True)
class Check:
    """What a device did. Cycles are of one inference; null where nothing counts them."""

    samples: int
    exact_samples: int
    top1_agreement: float
    instructions: int | None
    modelled_cycles: int | None
    measured_cycles: int | None
    mismatch: str | None
    where: str
    unaligned_cycles: int | None = None  # of unaligned accesses, not in the modelled ones
    build_id: str = ""  # of what was checked; empty in reports of older versions
    image_sha256: str = ""  # of its check.elf
    boxes: int | None = None  # of all samples, each compared; None: there is no detector

    @property
    def is_exact(self) -> bool:
        """Whether every bit of every sample was right."""
        return self.exact_samples == self.samples > 0


@dataclass(frozen=True)
class StageFacts:
    name: str
    kind: str
    input: str  # height x width x channel
    output: str
    macs: int
    instructions: int | None = None
    modelled_cycles: int | None = None
    measured_cycles: int | None = None
    unaligned_cycles: int | None = None


@dataclass(frozen=True)
class Report:
    network: NetworkFacts
    board: str
    core: str
    rounding: str
    input_mode: str
    kernel_set: str
    build_id: str
    memory: Memory
    accuracy: Accuracy | None
    check: Check | None
    stages: tuple[StageFacts, ...]
    # of another build of this network, where this one was not checked
    earlier_check: Check | None = None

    def with_check(self, check: Check, memory: Memory, stages: tuple[StageFacts, ...]) -> Report:
        return replace(self, check=check, memory=memory, stages=stages, earlier_check=None)

    def after(self, before: Report, image_sha256: str) -> Report:
        """This report, not checked yet, with the check that one on the same network and board held.

        Where that check was of this very image its figures hold, and are taken whole. Else it is
        kept apart, as a check of another build."""
        last = before.check or before.earlier_check
        same = (before.network.name, before.board) == (self.network.name, self.board)
        if last is None or not same:
            return self
        if before.check is None or not image_sha256 or last.image_sha256 != image_sha256:
            return replace(self, earlier_check=last)
        painted = before.memory.stack_bytes_painted
        memory = replace(self.memory, stack_bytes_painted=painted)
        return self.with_check(last, memory, before.stages)


def to_json(report: Report) -> dict[str, Any]:
    """The report as plain data; `in` and `out` are the stages' published names."""
    data = asdict(report)
    for stage in data["stages"]:
        stage["in"] = stage.pop("input")
        stage["out"] = stage.pop("output")
    data["stages"] = list(data["stages"])
    for name in ("check", "earlier_check"):
        if data[name]:
            data[name] = {
                key: value
                for key, value in data[name].items()
                if value != "" and (key, value) != ("boxes", None)
            }
    if data["earlier_check"] is None:
        del data["earlier_check"]
    if data["accuracy"]:
        data["accuracy"] = {
            key: value
            for key, value in data["accuracy"].items()
            if value is not None or not key.endswith("top5_percent")
        }
    results = data["network"].pop("results")
    if results:
        data["network"]["results"] = list(results)
    return data


def schema() -> dict[str, Any]:
    text = resources.files("mbn.report").joinpath("report.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def save(report: Report, folder: Path) -> Path:
    """Writes folder/report.json; what it writes fits the schema."""
    data = to_json(report)
    jsonschema.validate(data, schema())
    path = folder / FILE_NAME
    path.write_text(json.dumps(data, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return path


def load_report(folder: Path) -> Report:
    """Reads folder/report.json; ModelError if it is missing or not one."""
    path = folder / FILE_NAME
    try:
        data = json.loads(read_text(path))
        jsonschema.validate(data, schema())
    except FileNotFoundError as error:
        raise ModelError(
            f"no {FILE_NAME} in {folder}",
            wanted="a folder that mbn-compile wrote",
            advice="compile first, or name the folder with --output",
        ) from error
    except (ValueError, FileError, RecursionError, jsonschema.ValidationError) as error:
        raise ModelError(
            f"{path} is not a report ({str(error).splitlines()[0]})", advice="compile again"
        ) from error
    return of_json(data)


def of_json(data: Mapping[str, Any]) -> Report:
    """What `to_json` made a report to; data that fits the schema."""
    stages = tuple(
        StageFacts(
            input=stage["in"],
            output=stage["out"],
            **{k: v for k, v in stage.items() if k not in ("in", "out")},
        )
        for stage in data["stages"]
    )
    return Report(
        network=_network_facts(data["network"]),
        memory=Memory(**data["memory"]),
        accuracy=Accuracy(**data["accuracy"]) if data["accuracy"] else None,
        check=Check(**data["check"]) if data["check"] else None,
        earlier_check=Check(**data["earlier_check"]) if data.get("earlier_check") else None,
        stages=stages,
        **{
            key: data[key]
            for key in ("board", "core", "rounding", "input_mode", "kernel_set", "build_id")
        },
    )


def _network_facts(data: dict[str, Any]) -> NetworkFacts:
    results = tuple(ResultFacts(**one) for one in data.get("results", ()))
    return NetworkFacts(**{**data, "results": results})
