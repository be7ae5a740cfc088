"""What mkdocs calls while it builds the site.

What enters: mkdocs' pages. What leaves: the same, with README.md, CONTRIBUTING.md, CHANGELOG.md and
boards/README.md among them, what is generated in place of its mark, and links into the repository
as paths. Always holds: a page's text stands in one file; a mark without a generator is an error.

Marks, each a comment on a line of its own:
    generated: NAME     what GENERATED[NAME] makes (docs/hooks/generated.py)
    not run: REASON     the next block is shown, and tests/test_tutorials.py does not run it
    given: NAMES        files that the reader has already, and that this test makes
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from generated import GENERATED
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
# Pages whose text stands elsewhere in the repository
INCLUDED = {
    "index.md": "README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    "board-folders.md": "boards/README.md",
}
_LINK = re.compile(r"(!?)\[((?:[^\]`]|`[^`]*`)*)\]\(([^)#:\s]+)(#[^)\s]*)?\)")
_MARK = re.compile(r"^<!-- (generated|not run|given): (.+?) -->$", re.MULTILINE)


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages whose text stands elsewhere."""
    for page, source in INCLUDED.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """The page's text with links and marks replaced."""
    uri = page.file.src_uri
    if uri == "index.md":
        page.meta["hide"] = ["navigation"]
    text = _LINK.sub(lambda found: _link(found, uri), markdown)
    return _MARK.sub(lambda found: _mark(found, uri), text)


def _mark(found: re.Match[str], uri: str) -> str:
    kind, words = found.groups()
    if kind == "not run":
        return f"Not run by the tests: {words}\n{{ .aside }}"
    if kind == "given":
        return ""
    if words not in GENERATED:
        raise PluginError(f"{uri}: nothing generates {words}; wanted: {', '.join(GENERATED)}")
    return GENERATED[words]()


def _link(found: re.Match[str], uri: str) -> str:
    """A link between files of the repository, as one between pages; of a file that is no page its
    path."""
    picture, words, target, anchor = found.groups()
    source = INCLUDED.get(uri, f"docs/{uri}")
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
    pages = {file: name for name, file in INCLUDED.items()}
    if path.startswith("docs/"):
        there = path.removeprefix("docs/")
    elif path in pages:
        there = pages[path]
    elif (ROOT / path).exists():
        plain = words.strip("`")
        return f"`{path}`" if "/" in plain or "." in plain else f"{words} (`{path}`)"
    else:
        return found[0]  # mkdocs says that it leads nowhere
    relative = posixpath.relpath(there, posixpath.dirname(uri) or ".")
    return f"{picture}[{words}]({relative}{anchor or ''})"
