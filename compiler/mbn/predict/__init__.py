"""Cycles of a network without running it: a fitted model, floors, wait states."""

from mbn.predict.family import family_network
from mbn.predict.model import Prediction, StagePrediction, load, predict
from mbn.predict.waits import Times, milliseconds

__all__ = [
    "Prediction",
    "StagePrediction",
    "Times",
    "family_network",
    "load",
    "milliseconds",
    "predict",
]
