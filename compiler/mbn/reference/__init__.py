"""The exact host reference: integers only, written straight from the definition."""

from mbn.reference.integer import Reference

__all__ = ["Reference"]
