"""Builds an image from generated C, a board and an app of firmware/.

The same input gives the same bytes, in whatever folder it is built.
"""

from mbn.image.build.image import build_image

__all__ = ["build_image"]
