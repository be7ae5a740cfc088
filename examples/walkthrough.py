"""From a network to checked bits, step by step. Each block is a notebook cell.

Run it with `./dev python examples/walkthrough.py [BOARD]`; BOARD is an emulated one (default qemu).
"""

# %% What there is
import sys
import tempfile
from pathlib import Path

import numpy as np

import mbn

board = mbn.find_board(sys.argv[1] if len(sys.argv) > 1 else "qemu")
print(len(mbn.boards()), "boards; this one is", board.title)

# %% Which size of the paper's family fits an STM32F405 and takes at most 100 ms?
for one in mbn.suggest("stm32", max_ms=100, classes=2)[:3]:
    print(f"alpha {one.alpha:g}, {one.resolution} pixels: {one.times.zero_wait_ms:.1f} ms")

# %% Compile the bundled network; `made` shows itself as a table in a notebook
folder = Path(tempfile.mkdtemp(prefix="mbn-walkthrough-"))


def progress(what: str, done: int, of: int) -> None:
    """Called while something takes long."""
    if of and done == of:
        print(f"  {what}: {of} of {of}")


made = mbn.compile(board=board, alpha=0.25, samples=2, output=folder, progress=progress)
print(made)
print("C:", ", ".join(name for name in made.files if name.startswith("c/")))
print(f"{made.plan.streamed_stages} stages run while the rows of the image arrive")

# %% Prove it: every bit of every sample, and what it costs
report = made.check()
assert report.check is not None
print(f"{report.check.exact_samples} of {report.check.samples} outputs equal in every bit")
if report.check.modelled_cycles:
    print(f"{report.check.modelled_cycles:,} modelled cycles")

# %% One picture of your own, on the emulated board and on the host
picture = np.full((96, 96, 3), 128, np.uint8)
on_the_board = made.run(picture)
on_the_host = mbn.reference(made.network)(picture)
print("logits", on_the_board.ravel().tolist(), "on the board")
assert (on_the_board == on_the_host).all()

# %% A mistake says what was found, what was wanted, and what to do
try:
    mbn.compile(board="stm33", alpha=0.25)
except mbn.MbnError as error:
    print("mistake:", error)
