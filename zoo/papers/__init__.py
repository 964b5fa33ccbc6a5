"""The papers' tables and figures: as data (`table.py`), planned, trained as jobs, and judged against what was printed.

Their results are written by `zoo.report`, which knows nothing of this package.
"""
