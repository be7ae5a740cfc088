"""The software bill of materials of an image, in CycloneDX 1.6.

The JSON is valid by the library's own schema. The same facts give the same text: the serial number
is a hash of them, and there is no time.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from mbn.core.errors import ReleaseError, ToolError
from mbn.core.installing import advice

_SPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")  # RFC 9562: of URLs
_RUNTIME, _TVM = "mbn-runtime", "apache-tvm"


def to_json(
    name: str,
    version: str,
    elf_sha256: str,
    network: tuple[str, str],
    tools: Mapping[str, str],
    linked: Mapping[str, Sequence[str]],
) -> str:
    """The SBOM of an image. network: its name and model hash; tools: versions by name; linked:
    members by archive. Raises `ToolError` where the library is not installed."""
    try:
        from cyclonedx.model import HashAlgorithm, HashType  # noqa: PLC0415 - an extra
        from cyclonedx.model.bom import Bom  # noqa: PLC0415
        from cyclonedx.model.component import Component, ComponentType  # noqa: PLC0415
        from cyclonedx.output.json import JsonV1Dot6  # noqa: PLC0415
    except ImportError as error:
        raise ToolError(
            "cyclonedx-python-lib is not installed", advice=advice("release")
        ) from error

    def sha256(value: str) -> list[Any]:
        return [HashType(alg=HashAlgorithm.SHA_256, content=value)]

    firmware = Component(
        name=name,
        version=version,
        type=ComponentType.FIRMWARE,
        bom_ref="firmware",
        hashes=sha256(elf_sha256),
    )
    model = Component(
        name=network[0],
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref="network",
        hashes=sha256(network[1]),
        description="int8 network; the hash is of its arrays and integers",
    )
    parts = [model, *_libraries(tools, linked)]
    bom = Bom(serial_number=uuid.uuid5(_SPACE, f"mbn:{name}:{elf_sha256}"), components=parts)
    bom.metadata.component = firmware
    for tool in sorted(tools):
        bom.metadata.tools.components.add(
            Component(
                name=tool,
                version=tools[tool],
                type=ComponentType.APPLICATION,
                bom_ref=f"tool:{tool}",
            )
        )
    bom.register_dependency(firmware, parts)
    return _text(JsonV1Dot6(bom).output_as_string())


def _text(output: str) -> str:
    """The library's output without its time, if it is valid."""
    data = json.loads(output)
    data["metadata"].pop("timestamp", None)
    text = json.dumps(data, indent=1, sort_keys=True) + "\n"
    wrong = invalid(text)
    if wrong:
        raise ReleaseError(f"the SBOM is not valid CycloneDX: {wrong}")
    return text


def _libraries(tools: Mapping[str, str], linked: Mapping[str, Sequence[str]]) -> list[Any]:
    """Components for the runtime, TVM's generated code, and what is linked of the toolchain."""
    from cyclonedx.model import Property  # noqa: PLC0415
    from cyclonedx.model.component import Component, ComponentType  # noqa: PLC0415
    from cyclonedx.model.license import DisjunctiveLicense, LicenseExpression  # noqa: PLC0415
    from packageurl import PackageURL  # noqa: PLC0415

    apache = DisjunctiveLicense(id="Apache-2.0")
    rows: list[tuple[str, str, Any, str, Any, Sequence[str]]] = [
        (_RUNTIME, tools["mbn"], apache, "runtime, kernels and firmware", None, ()),
        (
            _TVM,
            tools[_TVM],
            apache,
            "the network's C is its code generator's",
            PackageURL("pypi", None, _TVM, tools[_TVM]),
            (),
        ),
    ]
    if "libc" in linked:
        licence = DisjunctiveLicense(name="newlib")
        rows.append(("newlib", tools["newlib"], licence, "C library", None, linked["libc"]))
    if "libgcc" in linked:
        expression = LicenseExpression("GPL-3.0-or-later WITH GCC-exception-3.1")
        version = tools["arm-none-eabi-gcc"]
        rows.append(("libgcc", version, expression, "GCC's runtime", None, linked["libgcc"]))
    return [
        Component(
            name=name,
            version=version,
            type=ComponentType.LIBRARY,
            bom_ref=name,
            licenses=[licence],
            description=words,
            purl=purl,
            properties=[Property(name="mbn:member", value=member) for member in members],
        )
        for name, version, licence, words, purl, members in rows
    ]


def invalid(text: str) -> str:
    """What CycloneDX's schema has against it; empty: nothing."""
    from cyclonedx.schema import SchemaVersion  # noqa: PLC0415 - an extra
    from cyclonedx.validation.json import JsonStrictValidator  # noqa: PLC0415

    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    return "" if error is None else str(error).splitlines()[0]
