"""The exact host reference: integers only, written straight from the definition."""

from mbn.exact.detection import BoxReference
from mbn.exact.integer import Reference

__all__ = ["BoxReference", "Reference"]
