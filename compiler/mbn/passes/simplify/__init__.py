"""Passes over the integer stages that change no bit of what remains."""

from mbn.passes.simplify.remove import Simplified, remove_constants

__all__ = ["Simplified", "remove_constants"]
