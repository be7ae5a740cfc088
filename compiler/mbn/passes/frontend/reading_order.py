"""Puts the nodes of a graph in the order in which Relax has their results.

What enters: a ModelProto, changed in place. What leaves: the same graph, its nodes in the order of
a walk from the outputs back, each node's inputs before it, first input first; nodes that no output
needs are left out. TVM's importer makes its bindings in this order, whatever that of the file is,
and the integer pass tells a graph's QuantizeLinear nodes by their place.
"""

from __future__ import annotations

from typing import Any


def put_in_reading_order(graph: Any) -> None:
    """Changes the graph in place; see the head of this file."""
    made_by = {name: at for at, node in enumerate(graph.node) for name in node.output if name}
    order: list[int] = []
    done: set[int] = set()
    waiting = [made_by[one.name] for one in reversed(graph.output) if one.name in made_by]
    entered: set[int] = set()
    while waiting:  # by hand: a deep graph would be too much for recursion
        at = waiting[-1]
        if at in entered:
            waiting.pop()
            if at not in done:
                done.add(at)
                order.append(at)
            continue
        entered.add(at)
        before = [made_by[name] for name in graph.node[at].input if name in made_by]
        waiting += [one for one in reversed(before) if one not in entered]
    nodes = [graph.node[at] for at in order]
    kept = [type(node)() for node in nodes]
    for copy, node in zip(kept, nodes, strict=True):
        copy.CopyFrom(node)
    del graph.node[:]
    graph.node.extend(kept)
