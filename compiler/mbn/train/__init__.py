"""The networks: shape, data, training, export, the bundled one, and ones of random weights.

Only `mobilenet.py` and `train.py` import torch, and only `data.py` scikit-learn, when it is
asked for digits; everything else needs NumPy and onnx.
"""
