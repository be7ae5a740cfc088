"""The MobileNets paper (arXiv 1704.04861): its tables, counted from our own definitions of the
networks, and what was trained and measured of its claims.

Only `networks`, `counting` and `tables` need torch.
"""
