"""The documents: their links lead somewhere, the glossary is in order, the house is the tree.

What enters: the repository's Markdown files. What leaves: nothing but failures.
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
DOCUMENTS += sorted((ROOT / "boards").glob("*.md"))


def test_links_lead_to_files() -> None:
    lost = [
        f"{document.relative_to(ROOT)}: {link}"
        for document in DOCUMENTS
        for link in re.findall(r"\]\(([^)#:\s]+)[^):]*\)", document.read_text(encoding="utf-8"))
        if not (document.parent / link).exists()
    ]
    assert not lost, "\n".join(lost)


def test_paths_that_are_named_exist() -> None:
    folders = "compiler|runtime|boards|firmware|tests|benchmarks|docs|cmake"
    lost = [
        f"{document.relative_to(ROOT)}: {path}"
        for document in DOCUMENTS
        for path in re.findall(rf"`((?:{folders})/[\w./-]+)`", document.read_text(encoding="utf-8"))
        if not (ROOT / path).exists() and not re.search(r"NAME|BOARD|SET", path)
    ]
    assert not lost, "\n".join(lost)


def test_the_glossary_is_in_order() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    words = [word.lower() for word in re.findall(r"^\| \*\*(.+?)\*\*", text, re.MULTILINE)]
    assert len(words) > 40
    assert words == sorted(words)


def test_every_floor_is_in_the_architecture() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    text = text.split("## The house")[1].split("\n## ")[0]
    folders = (ROOT / "compiler" / "mbn").iterdir()
    floors = {path.name for path in folders if path.is_dir() and (path / "__init__.py").exists()}
    assert floors == set(re.findall(r"^\| `(\w+)/` \|", text, re.MULTILINE)), "the floors' table"
