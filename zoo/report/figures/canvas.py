"""What all figures share: their paper, their marks, and how they reach a file or a page."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zoo.domains.pictures import figure_ending
from zoo.files import replacing

MARKERS = "os^DvPX*<>"
_DASHES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (6, 1)), (0, (3, 1, 1, 1, 1, 1)), (0, (8, 3)), (0, (1, 2)))
# Text stays text, and what is drawn twice is written alike; the last stops of the map would vanish on white.
_STYLE: Any = {"svg.fonttype": "none", "svg.hashsalt": "zoo", "pdf.fonttype": 42}
_LIGHTEST = 0.82
# More dots than these are written as pixels in SVG and PDF.
DENSE = 300


def colours(count: int) -> np.ndarray:
    """So many colours from dark to light, also in grey: RGBA [count, 4]."""
    return mpl.colormaps["viridis"](np.linspace(0, _LIGHTEST, max(count, 2))[:count])


def line_marks(count: int) -> Iterator[dict[str, Any]]:
    """Colour, dashes and marker of each of so many lines, which tell them apart in grey too."""
    for i, colour in enumerate(colours(count)):
        yield {"color": colour, "linestyle": _DASHES[i % len(_DASHES)], "marker": MARKERS[i % len(MARKERS)]}


def panels(count: int, width: float, height: float, columns: int = 3, **arguments: Any) -> tuple[Figure, list[Axes]]:
    """A figure of `count` axes in rows.

    Args:
        count: of axes.
        width: of each, in inches.
        height: of each, in inches.
        columns: at most so many in a row.
        **arguments: those of `Figure.subplots`.
    """
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    # Not by pyplot, which keeps every figure until it is closed.
    figure = Figure(figsize=(width * columns, height * rows + 0.3), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **arguments).ravel()
    for spare in axes[count:]:
        spare.remove()
    return figure, list(axes[:count])


def bare(axis: Axes) -> None:
    """Takes away the two sides of the frame that carry no scale."""
    axis.spines[["top", "right"]].set_visible(False)


def save(figure: Figure, path: Path, dpi: int = 120) -> Path:
    """Writes a figure, whole or not at all, the same bytes for the same figure.

    Args:
        figure: to write.
        path: of a PNG, SVG or PDF file.
        dpi: pixels an inch, of PNGs and of what is pixels in the other two.

    Raises:
        ValueError: another ending.
    """
    path = Path(path)
    ending = figure_ending(path)
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(ending)
    with replacing(path) as sibling, mpl.rc_context(_STYLE):
        figure.savefig(sibling, format=ending, dpi=dpi, metadata=undated)
    return path


def svg(figure: Figure, dpi: int = 120) -> str:
    """A figure as the `<svg>` element of a page; nothing in it points elsewhere."""
    text = io.StringIO()
    with mpl.rc_context(_STYLE):
        figure.savefig(text, format="svg", dpi=dpi, metadata={"Date": None})
    written = text.getvalue()
    return written[written.index("<svg") :].rstrip()
