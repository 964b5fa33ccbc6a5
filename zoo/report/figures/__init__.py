"""Figures of results, drawn with matplotlib: a function each, on arrays.

Each returns a `matplotlib.figure.Figure`, which `save` writes and `svg` puts into a page. All can be read in grey:
lines differ in dashes and markers, classes in markers and by their names, training and validation in dashes.
"""

from zoo.report.figures.canvas import noted, save, svg
from zoo.report.figures.codes import arrows, data_and_noise, plane, tsne
from zoo.report.figures.curves import history, information_by_samples, rate_distortion, rate_per_unit
from zoo.report.figures.images import (
    cells,
    image_map,
    image_rows,
    interpolation,
    portrait,
    reconstructions,
    samples,
    traversal,
)

__all__ = [
    "arrows",
    "cells",
    "data_and_noise",
    "history",
    "image_map",
    "image_rows",
    "information_by_samples",
    "interpolation",
    "noted",
    "plane",
    "portrait",
    "rate_distortion",
    "rate_per_unit",
    "reconstructions",
    "samples",
    "save",
    "svg",
    "traversal",
    "tsne",
]
