"""One self-contained HTML page of tables and plots.

What enters: reports, the paper's tables, studies, the device's figures. What leaves: HTML. Always
holds: nothing is loaded from elsewhere; the same data give the same bytes; every figure says
whether it was counted, measured, modelled or planned. Needs the extra `report`.
"""
