"""What the network's input means.

What enters: images as people keep them: uint8, N x height x width x channel, RGB.
What leaves: the network's input: float32, N x channel x height x width.
Always holds: real = (x - 128) / 128, so the range is [-1, 127/128] and int8 quantisation with
scale 1/128 and zero point 0 is exactly q = x - 128: no rounding between a camera and the network.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

UInt8 = NDArray[np.uint8]
Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]

# The least and the largest real value of the input.
INPUT_RANGE = (-1.0, 127.0 / 128.0)


def normalise(images: UInt8) -> Float32:
    """uint8 N x H x W x C to float32 N x C x H x W in [-1, 127/128]; exact."""
    planes = np.ascontiguousarray(images.transpose(0, 3, 1, 2)).astype(np.float32)
    return (planes - np.float32(128)) / np.float32(128)
