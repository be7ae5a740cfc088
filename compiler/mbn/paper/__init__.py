"""The MobileNets paper's tables (arXiv 1704.04861), from our own definitions of the networks."""

from mbn.paper.counting import Count, count
from mbn.paper.tables import TABLES, Figure, Row, Table

__all__ = ["TABLES", "Count", "Figure", "Row", "Table", "count"]
