"""Stages and the bytes of their rows in, `ir.Plan` out."""

from mbn.plan.check import check_plan
from mbn.plan.heights import plan_bands
from mbn.plan.planner import make_plan

__all__ = ["check_plan", "make_plan", "plan_bands"]
