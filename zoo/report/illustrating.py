"""Figures of runs as the parts of a report."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any

from zoo.experiments.run_directory import RunDirectory
from zoo.report.content import Illustration


def illustration(
    name: str,
    figure: str,
    runs: Mapping[str, RunDirectory],
    caption: str,
    announce: Callable[[str], None],
    **options: Any,
) -> list[Illustration]:
    """Draws a figure of `zoo plot` for a report; a figure that cannot be drawn is announced, and missing.

    Args:
        name: of the files beside the report.
        figure: one of `zoo.report.gallery.plot.FIGURES`.
        runs: by label.
        caption: below it.
        announce: is told why there is none.
        **options: of the figure.
    """
    from zoo.report.figures import svg
    from zoo.report.gallery.plot import plot

    try:
        drawn = plot(figure, runs, **options)
    except (ValueError, RuntimeError, OSError) as error:
        announce(f"no figure {figure} ({caption}): {error}")
        return []
    pixels = io.BytesIO()
    drawn.savefig(pixels, format="png", dpi=120)
    return [Illustration(name, caption, pixels.getvalue(), svg(drawn))]
