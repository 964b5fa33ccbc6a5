"""What all figures share: their paper, their marks and words, and how they reach a file or a page."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zoo.files import replacing
from zoo.report.endings import figure_ending

MARKERS = "os^DvPX*<>"
_DASHES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (6, 1)), (0, (3, 1, 1, 1, 1, 1)), (0, (8, 3)), (0, (1, 2)))
# Text stays text, and what is drawn twice is written alike. A dollar sign in a name is one.
_STYLE: Any = {"svg.fonttype": "none", "svg.hashsalt": "zoo", "pdf.fonttype": 42, "text.parse_math": False}
# More dots than these are written as pixels in SVG and PDF.
DENSE = 300
# Width of a letter as a share of its height, a little more than the font's mean.
_LETTER = 0.6
_GREY = "0.35"


def colours(count: int) -> list[Any]:
    """So many colours that are told apart at sight, none above another; more than twenty repeat."""
    known = mpl.color_sequences["tab10" if count <= 10 else "tab20"]
    return [known[i % len(known)] for i in range(count)]


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


def wrapped(text: str, inches: float, points: float) -> str:
    """Text in lines that are no wider than so many inches, in a font of so many points; its own lines stay."""
    letters = max(8, int(inches * 72 / (points * _LETTER)))
    return "\n".join(textwrap.fill(line, letters) for line in text.splitlines())


def titled(axis: Axes, text: str, inches: float, points: float = 10, **arguments: Any) -> None:
    """A title above a panel of so many inches, in as many lines as it takes: a longer one would be cut off."""
    # A tenth of the panel is the axis's numbers.
    axis.set_title(wrapped(text, 0.9 * inches, points), fontsize=points, **arguments)


def noted(figure: Figure, text: str) -> Figure:
    """Says what a figure was drawn from, with the sample size: above it, or below where a title stands above."""
    width, height = figure.get_size_inches()
    lines = wrapped(text, width - 0.2, 8)
    figure.set_size_inches(width, height + 0.14 * (1 + lines.count("\n")))
    place = figure.supxlabel if figure.get_suptitle() else figure.suptitle
    place(lines, x=0.01, ha="left", fontsize=8, color=_GREY)
    # The layout knows a title's lines, but not how deep they hang.
    figure.set_layout_engine("constrained", h_pad=0.1)
    return figure


def legend(figure: Figure, handles: Mapping[str, Any], sample: float = 0.8, **arguments: Any) -> None:
    """A legend for all panels, below them, in as many columns as the figure's width holds; the axes keep their height.

    Args:
        figure: whose.
        handles: matplotlib's, by label.
        sample: what stands before a label and behind it, in inches: a line, and a gap.
        **arguments: those of `Figure.legend`.
    """
    if not handles:
        return
    width, height = figure.get_size_inches()
    labels = [wrapped(label, width - 0.9, 9) for label in handles]
    longest = max(len(line) for label in labels for line in label.splitlines())
    # So much for a letter, in inches.
    columns = min(len(handles), max(1, int(width / (sample + 0.075 * longest))))
    rows = math.ceil(sum(1 + label.count("\n") for label in labels) / columns)
    figure.set_size_inches(width, height + 0.2 * rows)
    style: dict[str, Any] = {"loc": "outside lower center", "frameon": False, "fontsize": 9, **arguments}
    figure.legend(handles.values(), labels, ncols=columns, **style)


def bare(axis: Axes) -> None:
    """Takes away the two sides of the frame that carry no scale."""
    axis.spines[["top", "right"]].set_visible(False)


def same_scale(axes: list[Axes], points: list[np.ndarray]) -> None:
    """Gives axes one square window on the plane that holds all points [n, 2]: lengths in them can be compared."""
    every = np.concatenate(points)
    low, high = every.min(axis=0), every.max(axis=0)
    half = 0.54 * float((high - low).max()) or 1.0
    (left, right), (bottom, top) = np.stack([(low + high) / 2 - half, (low + high) / 2 + half], axis=1)
    for axis in axes:
        axis.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")


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
