"""Pictures as people keep them: each kind is read right, each damaged one refused in words.

What enters: files drawn here. What leaves: nothing but failures. Always holds: the right values
stand in the test, and come from the pixels that were written.
"""

from __future__ import annotations

import io
import os
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mbn.core.errors import MbnError, QuantiseError, UsageError
from mbn.train import data
from mbn.train.picture_file import read_picture
from mbn.train.pictures import read_split

RAMP = np.arange(64, dtype=np.uint8)[None, :].repeat(48, 0) * 4
COLOURS = np.dstack([RAMP, RAMP[:, ::-1], np.arange(48, dtype=np.uint8)[:, None].repeat(64, 1)])


def _written(image: Image.Image, path: Path, **options: object) -> Path:
    image.save(path, **options)
    return path


@pytest.mark.parametrize("turn", range(1, 9))
def test_exif_orientation(tmp_path: Path, turn: int) -> None:
    upright = Image.fromarray(COLOURS)
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    exif = Image.Exif()
    exif[0x112] = turn
    stored = upright if turn == 1 else upright.transpose(undo[turn])
    path = _written(stored, tmp_path / "a.png", exif=exif)
    assert np.array_equal(np.asarray(read_picture(path, "a")), COLOURS)


@pytest.mark.parametrize("ending", ["png", "tif", "pgm"])
def test_16_bits(tmp_path: Path, ending: str) -> None:
    for value in (0, 1000, 20000, 40000, 65535):
        path = _written(
            Image.fromarray(np.full((4, 4), value, np.uint16)), tmp_path / f"a.{ending}"
        )
        found = np.asarray(read_picture(path, "a", "L"))
        assert found.min() == found.max() == round(value / 257)


def test_other_modes(tmp_path: Path) -> None:
    upright = Image.fromarray(COLOURS)
    alpha = Image.fromarray(np.dstack([COLOURS, RAMP]))
    few = np.repeat((COLOURS[..., :1] // 128) * 200, 3, axis=2)
    cases = {
        "a.tif": (upright, COLOURS),
        "a.webp": (upright, COLOURS),
        "alpha.png": (alpha, COLOURS),
        "palette.png": (Image.fromarray(few).quantize(4), few),
        "grey.png": (Image.fromarray(RAMP), np.dstack([RAMP] * 3)),
        "float.tiff": (Image.fromarray(RAMP.astype(np.float32) / 255), np.dstack([RAMP] * 3)),
        "cmyk.tif": (upright.convert("CMYK"), COLOURS),
    }
    for name, (image, wanted) in cases.items():
        options = {"lossless": True} if name.endswith("webp") else {}
        path = _written(image, tmp_path / name, **options)
        assert np.array_equal(np.asarray(read_picture(path, name)), wanted), name
    assert np.array_equal(
        np.asarray(read_picture(tmp_path / "alpha.png", "a", "RGBA"))[..., 3], RAMP
    )
    dark = _written(Image.fromarray(RAMP.astype(np.float32)), tmp_path / "wide.tiff")
    with pytest.raises(UsageError, match=r"floats leave 0\.\.1"):
        read_picture(dark, "wide")


def _damaged(folder: Path) -> list[Path]:
    """What people and disks make of picture files, and what is called a picture and is none."""
    kept = io.BytesIO()
    Image.fromarray(COLOURS).save(kept, "PNG")
    png = bytearray(kept.getvalue())
    at = png.index(b"IHDR")
    no_header = png[: at - 4] + struct.pack(">I", 0) + png[at:]
    jpeg = io.BytesIO()
    Image.fromarray(COLOURS).save(jpeg, "JPEG")
    made = {
        "cut.ppm": b"P6\n30 ",
        "header.png": bytes(no_header),
        "half.png": bytes(png[: len(png) // 2]),
        "broken.png": bytes(png[:60]) + bytes(40) + bytes(png[100:]),
        "cut.jpg": jpeg.getvalue()[:400],
        "empty.jpg": b"",
        "page.jpg": b"<html>404</html>",
        "tag.tif": b"II*\0" + struct.pack("<I", 4),
    }
    for name, content in made.items():
        (folder / name).write_bytes(content)
    Image.new("1", (20000, 10000)).save(folder / "bomb.png")
    os.mkfifo(folder / "fifo.png")
    (folder / "zero.png").symlink_to("/dev/zero")
    (folder / "dangling.png").symlink_to("nowhere")
    return sorted(folder.iterdir())


def test_damaged_files_end_in_words(tmp_path: Path) -> None:
    found = _damaged(tmp_path)
    assert len(found) == 12
    for path in found:
        with pytest.raises(MbnError) as caught:
            read_picture(path, str(path))
        assert path.name in str(caught.value)
        assert "0x" not in str(caught.value)  # no object's address


def test_what_is_left_out_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "cat" / "deeper").mkdir(parents=True)
    for name in ("b.tif", "a.jpg", "._a.jpg"):
        Image.fromarray(COLOURS).save(tmp_path / "cat" / name)
    (tmp_path / "labels.csv").write_text("x", encoding="utf-8")
    (tmp_path / "cat" / "Thumbs.db").write_text("x", encoding="utf-8")
    assert len(list(data.folder_images(tmp_path, 32))) == 2
    assert f"{tmp_path}: 2 left out that are no pictures, first cat/deeper/" in caplog.text
    with pytest.raises(QuantiseError, match="there is no folder"):
        next(data.folder_images(tmp_path / "nosuch", 32))
    with pytest.raises(QuantiseError, match=r"a\.jpg is a file"):
        next(data.folder_images(tmp_path / "cat" / "a.jpg", 32))


def test_a_damaged_held_out_picture_is_met_before_training(tmp_path: Path) -> None:
    for label in "ab":
        (tmp_path / label).mkdir()
        for index in range(5):
            Image.fromarray(COLOURS).save(tmp_path / label / f"{index}.png")
    (tmp_path / "a" / "4.png").write_bytes((tmp_path / "a" / "4.png").read_bytes()[:100])
    with pytest.raises(UsageError, match=r"4\.png"):
        data.load(f"folder:{tmp_path}", 32)


def _zip(path: Path, prefix: str = "") -> bytes:
    picture = io.BytesIO()
    Image.fromarray(COLOURS).save(picture, "BMP")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for split in ("train", "test"):
            for label in ("cat", "dog"):
                made.writestr(f"{prefix}{split}/{label}/0.bmp", picture.getvalue())
    return path.read_bytes()


def test_zips_as_people_get_them(tmp_path: Path) -> None:
    whole = _zip(tmp_path / "whole.zip")
    assert read_split(tmp_path / "whole.zip", 32).train_count == 2

    def flagged(local: int, central: int, value: int) -> bytes:
        made = bytearray(whole)
        for mark, offset in ((b"PK\3\4", local), (b"PK\1\2", central)):
            at = -1
            while (at := made.find(mark, at + 1)) >= 0:
                made[at + offset] |= value
        return bytes(made)

    cases = {
        "password": flagged(6, 8, 1),
        "deflate64": flagged(8, 10, 1),
        "damaged": whole[:200] + bytes(60) + whole[260:],
        "cut": whole[: len(whole) // 2],
        "around": _zip(tmp_path / "x.zip", "photos/"),
    }
    for name, content in cases.items():
        path = tmp_path / f"{name}.zip"
        path.write_bytes(content)
        with pytest.raises(UsageError, match=f"{name}.zip"):
            read_split(path, 32)
