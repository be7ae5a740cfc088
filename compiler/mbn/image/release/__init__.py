"""What is shipped: a folder of images, what they are made of, and a signature over all of it.

What enters: built images and what is known of them. What leaves: a release folder, or the checks of
one. Always holds: the same inputs give the same bytes of every file (no time, no path, Ed25519
signatures, which are not randomised); nothing here builds anything.
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
