"""The one reader of picture files.

What enters: a file, or its bytes. What leaves: a PIL image in the mode asked for, 8 bits a channel.
Always holds: it stands upright (EXIF), black is 0 and white 255 whatever the file's depth, alpha is
dropped where no alpha is asked for (as torchvision and Keras do); a file that is not a whole
picture is a `UsageError`, whichever way Pillow fails; only regular files are opened.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterable
from functools import cache
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image, ImageOps

from mbn.core.errors import MbnError, UsageError
from mbn.core.files import read_regular

_LOG = logging.getLogger(__name__)
# What Pillow opens but is no picture of pixels, or is handed to another program (EPS: Ghostscript)
_NO_PICTURES = {"BUFR", "EPS", "GRIB", "HDF5", "IPTC", "MPEG", "WMF"}
_MOST_BYTES = 1 << 30
_OF_BROWSERS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
_SIXTEEN_BITS = {"PNG", "PPM"}  # whose mode I is 16 bits and not 32


@cache
def suffixes() -> frozenset[str]:
    """Endings, in small letters, of what Pillow decodes."""
    known = Image.registered_extensions()
    return frozenset(
        ending for ending, kind in known.items() if kind in Image.OPEN and kind not in _NO_PICTURES
    )


def is_picture(name: str) -> bool:
    """By its ending; hidden files (._a.jpg of macOS) are none."""
    path = PurePosixPath(name)
    return path.suffix.lower() in suffixes() and not path.name.startswith(".")


def tell_left_out(place: Path, names: Iterable[str]) -> None:
    """Says how many entries of a place are not taken, and the first of them; hidden ones and what
    file managers leave behind aside."""
    kept = sorted(
        name
        for name in names
        if not any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts)
        and PurePosixPath(name).name.lower() not in ("thumbs.db", "desktop.ini")
    )
    if kept:
        what = "is no picture" if len(kept) == 1 else "are no pictures"
        _LOG.warning("%s: %d left out that %s, first %s", place, len(kept), what, kept[0])


def read_picture(source: Path | bytes, name: str, mode: str = "RGB") -> Image.Image:
    """A file, or the bytes of one, in one of PIL's modes of 8 bits a channel. Raises UsageError."""
    try:
        data = source if isinstance(source, bytes) else read_regular(source, _MOST_BYTES)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of large, odd or half-understood files that decode
            with Image.open(io.BytesIO(data)) as image:
                image.load()
                return _eight_bits(_upright(image), image.format).convert(mode)
    except MbnError:
        raise
    except Exception as error:  # Pillow's parsers fail in any way: SyntaxError, struct.error, ...
        words = getattr(error, "strerror", None) or str(error) or type(error).__name__
        words = words.partition(" <_io.BytesIO")[0]
        raise UsageError(
            f"can't be read as an image ({words})",
            node=name,
            advice="Remove it from the folder or replace it",
        ) from error


def read_stranger(data: bytes, name: str, mode: str, most_pixels: int) -> Image.Image:
    """The bytes of a file from anywhere, of the kinds that browsers show. Only its head is read
    before its pixels are counted. Raises UsageError."""
    too_many = UsageError(
        "it has too many pixels",
        node=name,
        wanted=f"at most {most_pixels:,}",
        advice="Scale it down and try again",
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=_OF_BROWSERS) as head:
                width, height = head.size
    except Image.DecompressionBombError as error:
        raise too_many from error
    except Exception as error:
        raise UsageError(
            "this is no picture that can be read",
            node=name,
            wanted=", ".join(_OF_BROWSERS),
            advice="Save it as one of these and try again",
        ) from error
    if not 0 < width * height <= most_pixels:
        raise too_many
    return read_picture(data, name, mode)


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # damaged EXIF says no orientation: the pixels as they lie, as viewers do
        return image


def _eight_bits(image: Image.Image, kind: str | None) -> Image.Image:
    """16 bits and float in 0..1 scaled; colours of a palette looked up."""
    if image.mode == "F":
        values = np.asarray(image, np.float64)
        if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
            raise ValueError("its floats leave 0..1, so black and white are not known")
        return Image.fromarray(np.round(values * 255).astype(np.uint8))
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        if image.mode == "I" and kind not in _SIXTEEN_BITS:
            raise ValueError("32-bit integers, so black and white are not known")
        return Image.fromarray(((values + 128) // 257).clip(0, 255).astype(np.uint8))
    if image.mode in ("P", "PA"):
        has_alpha = image.mode == "PA" or "transparency" in image.info
        return image.convert("RGBA" if has_alpha else "RGB")
    if image.mode in ("La", "RGBa"):
        return image.convert({"La": "LA", "RGBa": "RGBA"}[image.mode])
    return image
