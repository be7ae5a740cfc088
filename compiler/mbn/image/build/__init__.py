"""From generated C to an image.

What enters: a folder of generated C, a board, an app of firmware/. What leaves: an `Image`.
Always holds: same input, same bytes, in whatever folder it is built.
"""

from mbn.image.build.image import build_image

__all__ = ["build_image"]
