"""Figures of runs by name, which `zoo plot` draws and reports show: `plot.py` knows their names and options.

The other modules read models, data and histories, and hand arrays to `zoo.report.figures`.
"""
