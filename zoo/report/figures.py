"""Figures of results, drawn with matplotlib: a function each, on arrays."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from zoo.report.pictures import as_uint8, grid


def image_rows(rows: Mapping[str, np.ndarray], title: str = "", lines: int = 1) -> Figure:
    """Rows of images, each under its label.

    Args:
        rows: label → images [n, h, w, c], uint8, or floats in the unit interval; the same n in every row.
        title: above all rows.
        lines: break each row into so many lines.
    """
    pictures = {label: grid(as_uint8(images), -(-len(images) // lines)) for label, images in rows.items()}
    height, width = next(iter(pictures.values())).shape[:2]
    inches = 9.0
    each = inches * height / width
    figure, axes = plt.subplots(
        len(rows), 1, figsize=(inches, (each + 0.3) * len(rows) + 0.4), layout="constrained", squeeze=False
    )
    for axis, (label, picture) in zip(axes[:, 0], pictures.items(), strict=True):
        axis.imshow(picture.squeeze(), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        axis.set_title(label, loc="left", fontsize=10)
        axis.set_axis_off()
    if title:
        figure.suptitle(title, fontsize=12)
    return figure


def save(figure: Figure, path: Path, dpi: int = 120) -> Path:
    """Writes a figure (PNG, SVG or PDF by the path's ending) and frees it."""
    figure.savefig(path, dpi=dpi)
    plt.close(figure)
    return path
