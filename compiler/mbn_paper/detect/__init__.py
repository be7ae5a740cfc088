"""SSD in integers: default boxes, decoding of int8 results, suppression (arXiv 1512.02325)."""

from mbn_paper.detect.boxes import Anchors, anchors
from mbn_paper.detect.decode import Detection, Detector, MapCode

__all__ = ["Anchors", "Detection", "Detector", "MapCode", "anchors"]
