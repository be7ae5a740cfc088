"""Stages and the bytes of their rows in, `Plan` out."""

from mbn.passes.plan.checker import check_plan
from mbn.passes.plan.heights import plan_bands
from mbn.passes.plan.planner import make_plan

__all__ = ["check_plan", "make_plan", "plan_bands"]
