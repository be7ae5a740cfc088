"""What a lowered network's input and results mean, from the file and the user's words.

What enters: a network as the frontend read it, its source, a request. What leaves: the network with
mean and deviation of its pixels, its detector, the names of its classes. Always holds: no layer
changes.
"""

from __future__ import annotations

from dataclasses import replace

from mbn.core.network import Network
from mbn.jobs.lower import detecting, naming, sources


def with_meaning(network: Network, source: sources.Source, request: sources.Request) -> Network:
    """The network that says what it means. Raises UsageError for words that do not fit it."""
    mean, std = sources.normalisation(request, network.input.channels, source.normalisation)
    detector = detecting.of_network(network, source.detector, request.detect)
    network = replace(network, mean=mean, std=std, detector=detector)
    return replace(network, classes=naming.of_network(network, source.classes, request.labels))
