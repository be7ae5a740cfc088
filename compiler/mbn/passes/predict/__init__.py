"""Cycles of a network without running it: a fitted model, floors, wait states."""

from mbn.passes.predict.family import family_network
from mbn.passes.predict.model import Prediction, StagePrediction, load, predict, prediction_of
from mbn.passes.predict.waits import Times, milliseconds

__all__ = [
    "Prediction",
    "StagePrediction",
    "Times",
    "family_network",
    "load",
    "milliseconds",
    "predict",
    "prediction_of",
]
