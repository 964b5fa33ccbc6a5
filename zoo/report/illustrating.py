"""Figures of runs as the parts of a report, each with the seeds and images that it rests on.

What evaluations have left, rates and pictures, is drawn without TensorFlow.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.experiments import pictures
from zoo.experiments.run_directory import RunDirectory, RunError
from zoo.report.content import Illustration

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# By the name of a row, its runs, one a seed.
RowRuns = Mapping[str, Sequence[RunDirectory]]
Announce = Callable[[str], None]
# Of more rows or runs than these a figure shows the first, and says so: among more nobody would find a row.
MOST_ROWS, MOST_RUNS = 12, 60


def first_of(rows: RowRuns, runs: int | None = MOST_RUNS) -> RowRuns:
    """The rows, and of each the seeds, that a figure shows.

    Args:
        rows: all of them.
        runs: at most so many; None for a figure that puts seeds together.
    """
    shown = dict(list(rows.items())[:MOST_ROWS])
    return {name: group[: None if runs is None else max(1, runs // len(shown))] for name, group in shown.items()}


def seed_labels(rows: RowRuns) -> dict[str, RunDirectory]:
    """All runs, labelled by row and, where a row has several, by seed."""
    return {
        name if len(runs) == 1 else f"{name}, seed {run.experiment().train.seed}": run
        for name, runs in rows.items()
        for run in runs
    }


def rests_on(rows: RowRuns, images: str = "", of: RowRuns | None = None) -> str:
    """The sentence behind a caption: how many rows, seeds and images a figure rests on.

    Args:
        rows: that are drawn.
        images: in words.
        of: all rows with all seeds, where not all are drawn.
    """
    counts, all_of = sorted({len(runs) for runs in rows.values()}), of or rows
    seeds = "one seed" if counts == [1] else f"{_listed(counts)} seeds"
    if any(len(runs) < len(all_of[name]) for name, runs in rows.items()):
        seeds = f"the first {_listed(counts)} of {_listed({len(all_of[name]) for name in rows})} seeds"
    whose = f"the first {len(rows)} of {len(all_of):,} rows" if len(all_of) > len(rows) else f"{len(rows)} rows"
    each = "" if len(all_of) == 1 else f" of each of {whose}" if len(counts) == 1 else f" a row, of {whose}"
    return f"{seeds}{each}{f'; {images}' if images else ''}"


def illustration(
    name: str, figure: str, runs: Mapping[str, RunDirectory], caption: str, announce: Announce, **options: Any
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
    from zoo.report.gallery.plot import plot

    try:
        return [_drawn(name, caption, plot(figure, runs, **options))]
    except (ValueError, RuntimeError, OSError) as error:
        announce(f"no figure {figure} ({caption}): {error}")
        return []


def watched_images(rows: RowRuns) -> str:
    """On how many images information was measured while training, in words."""
    counts = {run.experiment().watch.images for runs in rows.values() for run in runs}
    return f"at most {_listed(counts)} validation images"


def images_of(figure: str, options: Mapping[str, Any]) -> str:
    """How many images a figure of `zoo plot` draws on, in words; empty for a history."""
    from zoo.report.gallery.plot import defaults

    given = defaults(figure) | dict(options)
    if "images" not in given:
        return ""
    if "split" not in given:
        return f"{given['images']:,} images of each"
    return f"at most {given['images']:,} images of the {given['split']} split, the same for all"


def rate_per_unit(rows: RowRuns, announce: Announce) -> list[Illustration]:
    """The rate of each unit in every run, as its evaluation has it."""
    from zoo.report import figures

    shown = first_of(rows)
    found, images = {}, set()
    for label, run in seed_labels(shown).items():
        figure = run.figures("test").get("rate_per_unit", {})
        if figure.get("values"):
            found[label] = np.array(figure["values"])
            images.add(figure["examples"])
    lacking = [label for label in seed_labels(shown) if label not in found]
    if lacking:
        announce(f"no rate per unit of {', '.join(lacking)}: zoo evaluate RUN --metrics information measures it")
    if not found:
        return []
    of = rests_on(shown, f"{_listed(images)} test images", rows)
    return [_drawn("rate-per-unit", f"Rate of each latent unit, a line a seed: {of}.", figures.rate_per_unit(found))]


def drawn_images(name: str, rows: RowRuns, announce: Announce) -> list[Illustration]:
    """Reconstructions and samples of every run, as its evaluation has left them; data that are no images have none.

    Args:
        name: of the files beside the report.
        rows: of one data set.
        announce: is told of runs whose pictures are missing.
    """
    from zoo.report.figures.strips import strips

    shown = first_of(rows)
    found: dict[str, pictures.Pictures] = {}
    for label, run in seed_labels(shown).items():
        try:
            one = pictures.read(run)
        except RunError as error:
            announce(str(error))
            continue
        # Of other images, such as those of an older data set, nobody could compare them.
        first = next(iter(found.values()), one)
        if one is not None and first is not None and np.array_equal(one.originals, first.originals):
            found[label] = one
        elif run.experiment().data.kind == "images":
            announce(f"no pictures of {label}: zoo evaluate {run.path} --metrics terms draws them")
    if not found:
        return []
    first = next(iter(found.values()))
    drawn = strips(first.originals, {label: one[1:3] for label, one in found.items()}, first.classes)
    whole = len(found) == len(seed_labels(shown))
    on = f"{len(first.originals)} test images, and as many samples"
    of = rests_on(shown, on, rows) if whole else f"{len(found)} runs, for the others left no pictures; {on}"
    return [_drawn(name, f"What the models make of test images, and samples of their priors: {of}.", drawn)]


def portrait(run: RunDirectory) -> bytes | None:
    """What an evaluation has left of a run as one picture, a PNG: images and the rates of its units.

    None where it left no images, or no rates.

    Raises:
        RunError: the images are damaged.
    """
    from PIL import Image

    from zoo.report import figures

    found, rates = pictures.read(run), run.figures("test").get("rate_per_unit", {}).get("values")
    if found is None or not rates:
        return None
    rows = {
        "test images": found.originals,
        "their reconstructions": found.reconstructions,
        "samples of the prior": found.samples,
    }
    # In 256 colours it takes a third of the space, and looks the same.
    few, written = Image.open(io.BytesIO(_png(figures.portrait(rows, np.array(rates))))).quantize(256), io.BytesIO()
    few.save(written, "PNG", optimize=True)
    return written.getvalue()


def _listed(numbers: Iterable[int]) -> str:
    return " or ".join(f"{number:,}" for number in sorted({*numbers}))


def _drawn(name: str, caption: str, figure: Figure) -> Illustration:
    from zoo.report.figures import svg

    return Illustration(name, caption, _png(figure), svg(figure))


def _png(figure: Figure) -> bytes:
    pixels = io.BytesIO()
    figure.savefig(pixels, format="png", dpi=120)
    return pixels.getvalue()
