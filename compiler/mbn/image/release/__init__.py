"""Releases: a folder of images, what they are made of, and a signature over all of it.

The same inputs give the same bytes in every file: no time, no path, and Ed25519 signatures, which
are not randomised. Nothing is built here.
"""

from mbn.image.release.folder import Contents, Facts, Files, write_release
from mbn.image.release.verify import Verdict, verify_image, verify_release

__all__ = [
    "Contents",
    "Facts",
    "Files",
    "Verdict",
    "verify_image",
    "verify_release",
    "write_release",
]
