"""The site: it builds without a warning, loads nothing from elsewhere, and says what the code says.

What enters: the documents and docs/hooks. What leaves: the site in a temporary folder; failures.
Always holds: TVM and torch are not imported for it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from mbn.core.boards import boards

ROOT = Path(__file__).parents[1]
MOST_WORDS = 600  # of a page without a picture or a table that carries it
MOST_CARRIED = 1200
# What a browser loads by itself, by tag: the attributes with the address
LOADED = {
    "script": ("src",),
    "img": ("src", "srcset"),
    "iframe": ("src",),
    "source": ("src", "srcset"),
    "video": ("src", "poster"),
    "object": ("data",),
    "embed": ("src",),
}
LINKS = ("stylesheet", "icon", "preload", "preconnect", "dns-prefetch", "modulepreload", "manifest")


class Page(HTMLParser):
    """What of a page is loaded, and its words in <article>: all, and those outside of code and
    tables."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.words = self.pictures = self.tables = 0
        self._inside: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "link" and set(given.get("rel", "").split()) & set(LINKS):
            self.loaded.append(given.get("href", ""))
        self.loaded += [given[name] for name in LOADED.get(tag, ()) if name in given]
        if tag in ("article", "pre", "table", "script", "style", "form"):
            self._inside.append(tag)
        self.tables += tag == "table" and self._inside[:1] == ["article"]
        self.pictures += tag in ("img",) and self._inside[:1] == ["article"]

    def handle_endtag(self, tag: str) -> None:
        if self._inside and self._inside[-1] == tag:
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        if self._inside == ["article"]:
            self.words += len(re.findall(r"\w+", data))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("material", reason="mkdocs-material is not installed (the extra docs)")
    folder = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-X", "importtime", "-m", "mkdocs", "build", "--strict", "-d", folder]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert "mbn.core.errors" in imported and not imported & {"tvm", "torch"}
    return folder


def _pages(site: Path) -> dict[str, Page]:
    found = {str(path.relative_to(site)): Page(path) for path in sorted(site.rglob("*.html"))}
    assert len(found) > 35
    return found


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    elsewhere = re.compile(r"^\s*(?:[a-z]+:)?//", re.I)
    for name, page in _pages(site).items():
        assert page.loaded, name
        assert not [one for one in page.loaded if elsewhere.match(one)], name
    for style in site.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        assert not re.search(r"@import|url\(\s*[\"']?(?:[a-z]+:)?//", text), style
    for picture in site.rglob("*.svg"):
        text = picture.read_text(encoding="utf-8")
        assert not re.search(r"href=\"(?:[a-z]+:)?//|url\(\s*[\"']?http", text), picture


def test_no_page_is_a_wall_of_words(site: Path) -> None:
    pages = _pages(site)
    long = {
        name: page.words
        for name, page in pages.items()
        if page.words > (MOST_CARRIED if page.pictures + page.tables else MOST_WORDS)
        # lists of entries that are looked up, not read
        and name not in ("reference/python.html", "reference/commands.html", "changelog.html")
    }
    assert not long
    assert pages["glossary.html"].tables and pages["comparison.html"].pictures


def test_what_is_generated_is_there(site: Path) -> None:
    def text(name: str) -> str:
        return (site / name).read_text(encoding="utf-8")

    assert all(f"<code>{name}</code>" in text("boards.html") for name in boards())
    assert "--calibrate DIR" in text("reference/commands.html")
    assert "train_for_board" in text("reference/python.html")
    assert "mbn_push_pixels" in text("reference/c.html")
    fields = text("reference/report.html")
    assert all(
        one in fields for one in ("memory.arena_bytes", "check.exact_samples", "stages[].in")
    )
    assert "ConvTranspose" in text("reference/operators.html")
    assert "LayerNormalization" in text("troubleshooting.html")
    assert not [path for path in site.rglob("*.html") if "<!-- generated" in path.read_text()]


def test_readme_is_short() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    recipes = re.findall(r"(?:^    .+\n)+", text, re.MULTILINE)
    assert len(recipes) >= 3 and all(one.count("\n") <= 10 for one in recipes)


def test_messages_that_are_explained_are_the_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the tables by exit code: what is said stands in the sources."""
    text = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    said: list[Any] = []
    for line in text.splitlines():
        if line.startswith("| ") and not line.startswith("| what"):
            said += re.findall(r"`([^`]+)`", line.split("|")[1])
    assert len(said) > 15
    sources = [*(ROOT / "compiler" / "mbn").rglob("*.py")]
    code = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    commands = ("mbn-check", "mbn-verify")
    assert not [one for one in said if one not in code and not one.startswith(commands)]
