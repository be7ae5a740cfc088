"""A page as HTML.

What enters: a `Page`. What leaves: the text of one file. Always holds: all text is escaped; the
style sheet is in the file.
"""

from __future__ import annotations

from importlib import resources

import jinja2

from mbn.report.page.content import Figure, Page

TEMPLATE, STYLE, PALETTE = "page.html.j2", "page.css", "palette.css"


def render(page: Page) -> str:
    """The HTML of a page; raises jinja2's errors for a template that is wrong."""
    here = resources.files("mbn.report.page")
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.tests["figure"] = lambda block: isinstance(block, Figure)
    template = environment.from_string(here.joinpath(TEMPLATE).read_text(encoding="utf-8"))
    palette = resources.files("mbn.core").joinpath(PALETTE).read_text(encoding="utf-8")
    style = palette + here.joinpath(STYLE).read_text(encoding="utf-8")
    return template.render(page=page, style=style)
