"""Trains a network of the paper's family.

What enters: a size, data, settings. What leaves: an ONNX file, a checkpoint and, for the bundled
digits, their pictures. torch is imported only here, once everything else makes sense.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mbn.core.errors import ModelError, UsageError
from mbn.core.family import check, network_name
from mbn.core.installing import advice
from mbn.core.telling import Teller
from mbn.train.bundled import find, write_digits
from mbn.train.data import kind_of, load

if TYPE_CHECKING:
    from mbn.train.training import Settings, Trained


# From bundled weights a short training does; the numbers come from trainings of 160 pictures
EPOCHS, RATE, MOST_BATCH = 100, 4e-3, 32
EPOCHS_ON, RATE_ON, STEPS_ON = 30, 1e-3, 10


def train(
    alpha: float,
    data: str,
    *,
    tell: Teller,
    output: Path | None = None,
    resume: bool = False,
    threads: int = 1,
    from_scratch: bool = False,
    **numbers: Any,
) -> Trained:
    """Trains and exports. `data`: digits, or a path as `load` takes it. `numbers`: resolution,
    epochs, batch, rate, seed, device, as in `Settings`; None for what suits the data, and, as
    device, for a GPU where torch has one. Pictures begin with the bundled weights of that alpha
    where there are any, unless `from_scratch`. Raises UsageError, ModelError."""
    check(alpha, numbers["resolution"], classes=2, channels=3)
    for name, value in (("threads", threads), *numbers.items()):
        if name in ("epochs", "batch", "rate", "threads") and value is not None and not value > 0:
            raise UsageError(f"--{name} {value}", wanted="above 0")
    if numbers["seed"] < 0:
        raise UsageError(f"--seed {numbers['seed']}", wanted="0 or more")
    if numbers["batch"] == 1:
        raise UsageError("--batch 1", wanted="at least 2: batch norm needs more than one image")
    start = None if from_scratch else start_of(alpha, data)
    needs_torch()
    with tell.task(f"reading {data}"):
        images = load(data, numbers["resolution"])
    chosen = _chosen(numbers, images.train_count, start)
    settings = _settings(threads, alpha=alpha, data=data, **chosen)
    name = network_name(alpha, settings.resolution, images.name)
    folder = output or Path("out") / "train" / name
    tell.say(
        f"Training {name} on {images.train_count:,} images of {len(images.classes)} classes, "
        f"{settings.epochs} epochs on {settings.device}, "
        + ("from scratch" if start is None else f"from the weights of {start.stem}")
    )
    trained = _with_progress(settings, images, folder, resume, start, tell)
    if images.name == "digits" and data == "digits":
        write_digits(folder / "digits.npz")
    return trained


def start_of(alpha: float, data: str) -> Path | None:
    """The bundled file whose weights a training of these data begins with. None for digits, whose
    network is made anew, and where no network of this width is bundled."""
    if kind_of(data)[0] == "digits":
        return None
    try:
        return find(alpha)
    except ModelError:
        return None


def _chosen(given: dict[str, Any], count: int, start: Path | None) -> dict[str, Any]:
    """The numbers, with what suits so many images where none was given."""
    usual: dict[str, Any] = {"epochs": EPOCHS, "rate": RATE, "batch": MOST_BATCH}
    if start is not None:
        batch = min(MOST_BATCH, max(2, count // STEPS_ON))
        usual = {"epochs": EPOCHS_ON, "rate": RATE_ON, "batch": batch}
    known = {name: value for name, value in given.items() if value is not None}
    return usual | known | {"start": "" if start is None else start.stem}


def needs_torch() -> None:
    """Raises UsageError without torch, before anything is read that takes long."""
    try:
        import torch  # noqa: F401, PLC0415 - an extra, which arguments' mistakes must not need
    except ImportError as error:
        raise UsageError(
            "torch, which trains networks, is not installed", advice=advice("train")
        ) from error


def _settings(threads: int, **given: Any) -> Settings:
    """The first use of torch."""
    import torch  # noqa: PLC0415

    from mbn.train.training import Settings, best_device  # noqa: PLC0415

    torch.set_num_threads(threads)
    return Settings(**{"device": best_device()} | given)


def _with_progress(
    settings: Settings, images: Any, folder: Path, resume: bool, start: Path | None, tell: Teller
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

        return train(settings, images, folder, resume=resume, progress=progress, start=start)
