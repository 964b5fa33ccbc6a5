"""What models make of the same images: a strip of reconstructions and one of samples for each run."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from zoo.domains.pictures import as_uint8, grid

# Inches of an image's width and of a label, and letters in a line of one.
_WIDE, _LABEL, _LETTERS = 0.44, 2.0, 26
_PAPER = 255


def strips(originals: np.ndarray, found: Mapping[str, tuple[np.ndarray, np.ndarray]], names: Sequence[str]) -> Figure:
    """Images on top, and below them, a line for each run, its reconstructions and samples of its prior.

    Args:
        originals: [n, h, w, c], uint8, or floats in the unit interval.
        found: label → reconstructions and samples, both likewise.
        names: of the images' classes, [n]; empty where they have none.
    """
    n, height, width = originals.shape[:3]
    left, right = (
        grid(np.concatenate([as_uint8(first), *(as_uint8(pair[side]) for pair in found.values())]), n)
        for side, first in ((0, originals), (1, np.zeros_like(originals)))
    )
    # Beside the originals there are no samples.
    right[: height + 1] = _PAPER
    tall = _WIDE * height / width * (1 + len(found))
    long = max((len(name) for name in names), default=0) > _WIDE * 12
    figure = Figure(figsize=(_LABEL + 2 * n * _WIDE, tall + (1.0 if long else 0.5)), layout="constrained")
    axes = figure.subplots(1, 2)
    middles = (np.arange(1 + len(found)) + 0.5) * (height + 1)
    for axis, picture, title in zip(axes, (left, right), ("reconstructions", "samples of the prior"), strict=True):
        axis.imshow(picture.squeeze(), cmap="gray", vmin=0, vmax=255, interpolation="none")
        axis.tick_params(length=0, labelsize=8)
        axis.spines[:].set_visible(False)
        axis.set_xlabel(title, fontsize=9)
        axis.set_xticks([])
        axis.set_yticks([])
    axes[0].set_yticks(middles, ["originals", *map(_wrapped, found)])
    axes[0].xaxis.tick_top()
    if names:
        turned = {"rotation": 45, "ha": "left"} if long else {}
        axes[0].set_xticks((np.arange(n) + 0.5) * (width + 1), names, **turned)
    return figure


def _wrapped(label: str) -> str:
    """A label in lines of so many letters."""
    return "\n".join(textwrap.wrap(label, _LETTERS))
