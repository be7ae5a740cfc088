"""What an inference costs by stage: instructions, counted exactly, and cycles, modelled.

What is not known is None with a note that says why, never 0.
"""

from mbn.harness.cost.count import bench_defines, show
from mbn.harness.cost.measurement import FunctionCost, functions, measure
from mbn.harness.cost.result import Cost, CostResult

__all__ = ["Cost", "CostResult", "FunctionCost", "bench_defines", "functions", "measure", "show"]
