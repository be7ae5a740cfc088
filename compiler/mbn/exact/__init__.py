"""The exact host reference: integers only, written straight from the definition."""

from mbn.exact.integer import Reference

__all__ = ["Reference"]
