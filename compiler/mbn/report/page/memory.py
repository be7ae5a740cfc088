"""The arena over time, in the page's colours.

What enters: a `MemoryMap`. What leaves: a figure. Always holds: it is the picture that
`mbn-compile --plan-only` writes; the style sheet colours it by its classes.
"""

from __future__ import annotations

from mbn.report.memory_map import MemoryMap, to_svg
from mbn.report.page.content import Figure
from mbn.report.page.plots import themed


def memory_figure(name: str, memory: MemoryMap) -> Figure:
    """Address upwards, time to the right."""
    band, most = memory.peak
    caption = (
        f"Planned: {memory.arena_bytes:,} bytes, of which at most {most:,} are in use (band {band}"
        f" of {memory.bands}). Upwards: address in bytes; to the right: time, in bands of rows."
    )
    return Figure(name, memory.title, themed(to_svg(memory), name, memory.title), caption)
