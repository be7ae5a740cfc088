"""What every training here shares: RMSprop as the paper uses it, its rate, its checkpoints.

What enters: a module, a step. What leaves: an optimiser, a rate, a file. Always holds: a checkpoint
is written in one step, so that an interruption leaves the one before it whole; it is taken up only
by the training that made it.

The paper: RMSprop "similar to Inception V3", "very little or no weight decay on the depthwise
filters". Inception V3 (arXiv 1512.00567, section 8): decay 0.9; momentum is of its published code.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor, nn

from mbn.core.errors import FileError, ModelError, UsageError
from mbn.core.files import open_regular

DECAY = 0.9
MOMENTUM = 0.9
EPSILON = 1e-3
WEIGHT_DECAY = 4e-5
WARM_UP_STEPS = 40


def rmsprop(network: nn.Module, rate: float) -> torch.optim.RMSprop:
    """Weight decay for full convolutions and dense layers; none for depthwise, norms, biases."""
    decayed: list[Tensor] = [
        module.weight
        for module in network.modules()
        if isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and module.groups == 1)
    ]
    chosen = {id(parameter) for parameter in decayed}
    others = [parameter for parameter in network.parameters() if id(parameter) not in chosen]
    groups = [
        {"params": decayed, "weight_decay": WEIGHT_DECAY},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.RMSprop(groups, lr=rate, alpha=DECAY, momentum=MOMENTUM, eps=EPSILON)


def set_rate(optimiser: torch.optim.Optimizer, rate: float, step: int, steps: int) -> None:
    """Of a step (from 0): linear warm-up, then half a cosine from `rate` down to nothing."""
    warm = min(1.0, (step + 1) / WARM_UP_STEPS)
    for group in optimiser.param_groups:
        group["lr"] = rate * warm * 0.5 * (1.0 + math.cos(math.pi * step / steps))


def save(
    path: Path, settings: str, network: nn.Module, optimiser: torch.optim.Optimizer, done: int
) -> None:
    """Writes a checkpoint after `done` epochs or steps. settings: what the training depends on."""
    part = path.with_suffix(".part")
    state = {
        "settings": settings,
        "network": network.state_dict(),
        "optimiser": optimiser.state_dict(),
        "done": done,
    }
    torch.save(state, part)
    part.replace(path)


def restore(
    path: Path,
    settings: str,
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    *,
    otherwise: str,
) -> int:
    """Loads a checkpoint; returns what was done (0 if there is none). Raises ModelError where it
    can't be read, UsageError where it is another training's; otherwise: what else one can do."""
    if not path.exists():
        return 0
    try:
        with open_regular(path) as file:
            state = torch.load(file, map_location="cpu", weights_only=True)
        found, done = state["settings"], int(state["done"])
    except FileError:
        raise
    except Exception as error:  # unpickling a damaged file raises nearly anything
        raise ModelError(
            f"no readable checkpoint ({type(error).__name__})",
            node=str(path),
            advice=f"Delete it, or {otherwise}",
        ) from error
    if found != settings:
        raise UsageError(
            f"the checkpoint was made with {found}",
            node=str(path),
            wanted=settings,
            advice=f"Give the same options, or {otherwise}",
        )
    network.load_state_dict(state["network"])
    optimiser.load_state_dict(state["optimiser"])
    return done
