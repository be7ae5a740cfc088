"""Trains a network of the paper's family.

What enters: a size, data, settings. What leaves: an ONNX file, a checkpoint and, for the bundled
digits, their pictures. torch is imported only here, once everything else makes sense.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mbn.core.errors import UsageError
from mbn.core.family import check, network_name
from mbn.core.installing import advice
from mbn.core.telling import Teller
from mbn.train.bundled import write_digits
from mbn.train.data import load

if TYPE_CHECKING:
    from mbn.train.training import Settings, Trained


def train(
    alpha: float,
    data: str,
    *,
    tell: Teller,
    output: Path | None = None,
    resume: bool = False,
    threads: int = 1,
    **numbers: Any,
) -> Trained:
    """Trains and exports. `data`: digits, folder:PATH or split:PATH. `numbers`: resolution, epochs,
    batch, rate, seed, device, as in `Settings`. Raises UsageError, ModelError."""
    check(alpha, numbers["resolution"], classes=2, channels=3)
    for name, value in (("threads", threads), *numbers.items()):
        if name in ("epochs", "batch", "rate", "threads") and not value > 0:
            raise UsageError(f"--{name} {value}", wanted="above 0")
    if numbers["seed"] < 0:
        raise UsageError(f"--seed {numbers['seed']}", wanted="0 or more")
    if numbers["batch"] < 2:
        raise UsageError("--batch 1", wanted="at least 2: batch norm needs more than one image")
    settings = _settings(threads, alpha=alpha, data=data, **numbers)
    with tell.task(f"reading {data}"):
        images = load(data, settings.resolution)
    name = network_name(alpha, settings.resolution, images.name)
    folder = output or Path("out") / "train" / name
    tell.say(f"Training {name} on {images.train_count} images of {len(images.classes)} classes")
    trained = _with_progress(settings, images, folder, resume, tell)
    if images.name == "digits" and data == "digits":
        write_digits(folder / "digits.npz")
    return trained


def _settings(threads: int, **given: Any) -> Settings:
    """The first use of torch."""
    try:
        import torch  # noqa: PLC0415 - an extra, which the arguments' mistakes must not need

        from mbn.train.training import Settings  # noqa: PLC0415
    except ImportError as error:
        raise UsageError(
            "torch, which trains networks, is not installed", advice=advice("train")
        ) from error
    torch.set_num_threads(threads)
    return Settings(**given)


def _with_progress(
    settings: Settings, images: Any, folder: Path, resume: bool, tell: Teller
) -> Trained:
    """Tells steps, and after each epoch a running mean of the loss."""
    from mbn.train.training import train  # noqa: PLC0415

    steps = images.train_count // settings.batch
    with tell.task("training", settings.epochs * steps) as told:
        mean = 0.0

        def progress(epoch: int, step: int, loss: float) -> None:
            nonlocal mean
            mean = loss if mean == 0.0 else 0.95 * mean + 0.05 * loss
            what = f"epoch {epoch + 1} of {settings.epochs}, loss {mean:.3f}"
            told(epoch * steps + step, doing=what)

        return train(settings, images, folder, resume=resume, progress=progress)
