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
    _draw_rows(axes, pictures, fontsize=10)
    if title:
        figure.suptitle(title, fontsize=12)
    return figure


def portrait(rows: Mapping[str, np.ndarray], rates: np.ndarray, title: str = "") -> Figure:
    """A trained model at a glance: rows of images, and beside them what each latent unit says.

    Args:
        rows: label → images [n, h, w, c], such as originals, reconstructions and prior samples; the same n in each.
        rates: of each latent unit in nats, [dim], as `zoo.metrics.rate_per_unit` gives them; drawn in falling order.
        title: above all.
    """
    pictures = {label: grid(as_uint8(images), len(images)) for label, images in rows.items()}
    height, width = next(iter(pictures.values())).shape[:2]
    inches = 6.6
    size = (inches + 2.9, (inches * height / width + 0.26) * len(rows) + 0.4)
    figure = plt.figure(figsize=size, layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[inches, 2.9])
    axes = left.subplots(len(rows), 1, squeeze=False)
    _draw_rows(axes, pictures, fontsize=9)
    bars = right.subplots()
    bars.bar(np.arange(1, len(rates) + 1), np.sort(rates)[::-1], width=1.0, color="tab:blue")
    bars.set_title(f"rate per unit, {rates.sum():.1f} nats in all", fontsize=9)
    bars.set_xlabel("latent unit, by rate", fontsize=8)
    bars.tick_params(labelsize=8)
    bars.spines[["top", "right"]].set_visible(False)
    if title:
        figure.suptitle(title, fontsize=11)
    return figure


def _draw_rows(axes: np.ndarray, pictures: Mapping[str, np.ndarray], fontsize: int) -> None:
    """Each picture on an axis of its own, one below the other: axes are [n, 1]."""
    for axis, (label, picture) in zip(axes[:, 0], pictures.items(), strict=True):
        axis.imshow(picture.squeeze(), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        axis.set_title(label, loc="left", fontsize=fontsize)
        axis.set_axis_off()


def save(figure: Figure, path: Path, dpi: int = 120) -> Path:
    """Writes a figure (PNG, SVG or PDF by the path's ending) and frees it."""
    figure.savefig(path, dpi=dpi)
    plt.close(figure)
    return path
