"""The order of flashing steps, their time limits and retries.

A step that failed is tried once more after connecting again, unless that can't help. Nothing is
written before it was erased, or started before it was verified. A `FlashError` names the step.
"""

from __future__ import annotations

from collections.abc import Callable

from mbn.core.errors import FlashError
from mbn.harness.flash.interface import Deadline, Flasher, Tick
from mbn.harness.flash.payload import Payload

STEPS = ("connect", "erase", "write", "verify", "reset")
# What is done for a step that failed. Half a write may have left anything: flash must be erased.
_AGAIN = {
    "connect": ("connect",),
    "erase": ("connect", "erase"),
    "write": ("connect", "erase", "write"),
    "verify": ("connect", "erase", "write", "verify"),
    "reset": ("connect", "reset"),
}
Show = Callable[[str, int, int], None]  # step, bytes done, of


def flash(flasher: Flasher, payload: Payload, show: Show, say: Callable[[str], None]) -> None:
    """Runs all steps. `show` is called as bytes are done, `say` with a line about a retry."""
    limits = flasher.limits(payload.size_bytes)
    for step in STEPS:

        def tick(done: int, of: int, step: str = step) -> None:
            show(step, done, of)

        show(step, 0, payload.size_bytes)
        try:
            _run(flasher, step, payload, tick, limits)
        except FlashError as error:
            if error.final:
                raise _of(step, flasher, error) from error
            say(f"{step}: {error} Trying once more")
            try:
                for again in _AGAIN[step]:
                    _run(flasher, again, payload, tick, limits)
            except FlashError as second:
                raise _of(step, flasher, second) from second
        show(step, 1, 1)


def _run(
    flasher: Flasher, step: str, payload: Payload, tick: Tick, limits: dict[str, float]
) -> None:
    deadline = Deadline(limits[step], step)
    parts = list(payload.parts)
    if step == "connect":
        flasher.connect(deadline)
    elif step == "erase":
        flasher.erase(parts, tick, deadline)
    elif step == "write":
        flasher.write(parts, tick, deadline)
    elif step == "verify":
        flasher.verify(parts, tick, deadline)
    else:
        flasher.reset(deadline)


def _of(step: str, flasher: Flasher, error: FlashError) -> FlashError:
    """The same error, with the step and the flasher in front."""
    return FlashError(
        f"{step} by {flasher.name} failed: {error.found}",
        wanted=error.wanted,
        advice=error.advice,
        node=error.node or flasher.describe(),
        final=error.final,
    )
