"""What an inference costs: instructions, exact, and cycles, modelled, by stage.

What enters: an image of the bench app and its board. What leaves: a `CostResult`. Always holds:
what is not known is None with a note that says why, never 0.
"""

from mbn.harness.cost.measurement import measure
from mbn.harness.cost.result import Cost, CostResult

__all__ = ["Cost", "CostResult", "measure"]
