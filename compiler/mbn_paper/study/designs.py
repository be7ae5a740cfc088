"""What a study compares, and how long each network is trained.

What enters: nothing. What leaves: a `Design` by its name. Always holds: ratios are those of the
paper's tables: thin is 0.75 of what is shallow, resolutions go from 1 down to a half. Small images
get a first stride of 1 (the paper's section 3 has 2), so that the body halves them four times.
Nothing here needs torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from mbn.core.family import Form, Shape, shape


@dataclass(frozen=True)
class Variant:
    """A network of the study."""

    form: Form
    alpha: float
    resolution: int

    def shape(self, classes: int, stem_stride: int) -> Shape:
        size = (self.alpha, self.resolution, classes)
        return shape(*size, form=self.form, stem_stride=stem_stride)

    @property
    def name(self) -> str:
        return f"{self.form}_{self.alpha:g}_{self.resolution}"


@dataclass(frozen=True)
class Design:
    """What is compared. `middle` is the alpha of all comparisons but the sweep over alpha;
    `thin` has about as many multiply-adds as the shallow network at `middle`."""

    name: str
    title: str
    alphas: tuple[float, ...]
    resolutions: tuple[int, ...]
    middle: float
    thin: float
    epochs: int
    batch: int = 64
    rate: float = 2e-3
    stem_stride: int = 1

    def variants(self) -> list[Variant]:
        """Each network once."""
        largest = max(self.resolutions)
        found = [Variant(Form.SEPARABLE, alpha, largest) for alpha in self.alphas]
        found += [Variant(Form.SEPARABLE, self.middle, size) for size in self.resolutions]
        found += [
            Variant(Form.CONV, self.middle, largest),
            Variant(Form.SHALLOW, self.middle, largest),
            Variant(Form.SEPARABLE, self.thin, largest),
        ]
        return list(dict.fromkeys(found))


ALPHAS = (1.0, 0.75, 0.5, 0.25)
RESOLUTIONS = (32, 28, 24, 20, 16)
DESK = Design("desk", "widths for a desk", ALPHAS, RESOLUTIONS, 0.25, 0.1875, epochs=3)
PAPER = Design(
    "paper",
    "the paper's own widths",
    ALPHAS,
    RESOLUTIONS,
    1.0,
    0.75,
    epochs=30,
    batch=128,
    rate=3e-3,
)
QUICK = Design("quick", "a quick look", (0.25, 0.125), (20, 16), 0.125, 0.1, epochs=3, batch=32)
DESIGNS = MappingProxyType({one.name: one for one in (PAPER, DESK, QUICK)})
