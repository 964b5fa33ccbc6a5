"""The names and options of the figures of runs, and one function that draws them: what `zoo plot` does.

Importing this module imports neither TensorFlow nor matplotlib, and `check` finds a user's mistakes without them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from zoo.parameters import nearest
from zoo.report.gallery import codes, curves, images, walks
from zoo.report.gallery.runs import Runs, data_set, labelled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SPLITS = ("train", "validation", "test")
_DRAW: dict[str, Callable[..., Figure]] = {
    function.__name__: function
    for function in (
        codes.tsne,
        curves.history,
        images.grid,
        codes.arrows,
        codes.noise,
        images.reconstructions,
        images.samples,
        walks.interpolation,
        walks.traversal,
        curves.rate_distortion,
        curves.rate_per_unit,
        curves.information,
        images.portrait,
    )
}
OF_ONE = ("portrait",)
"""Those that are drawn of one run alone."""

OF_IMAGES = ("grid", "reconstructions", "samples", "interpolation", "traversal", "portrait")
"""Those that show images, and nothing of other data."""

WITHOUT_MODEL = ("history", "rate_distortion")
"""The figures that need neither a run's model nor TensorFlow."""

# The least value of an option that is a number.
_LEAST = {"images": 1, "units": 1, "unit": 0, "example": 0}

FIGURES: dict[str, str] = {name: inspect.getdoc(function) or "" for name, function in _DRAW.items()}
"""What each figure shows, in a line."""

__all__ = ["FIGURES", "WITHOUT_MODEL", "check", "labelled", "plot"]


def plot(name: str, runs: Runs, **options: Any) -> Figure:
    """Draws a figure from runs.

    Which images are drawn depends on the seed alone, so runs of one data set show the same ones. Models and data that
    a call has read are kept for the next.

    Args:
        name: of `FIGURES`.
        runs: label → run; the labels stand in the figure.
        **options: those of the figure: `split` (train, validation, test; a history has both of the first
            two), `images` (at most so many; traversal: with `unit`), `seed` (of their choice and all draws), `metric`
            (history: names with commas), `units` (traversal: how many, of most rate), `unit` (traversal: this one, by
            its number from 0, in several images), `example` (traversal: the number in the split of the image that is
            changed), `path` (interpolation: linear or spherical), `projection` (arrows: pca or tsne).

    Raises:
        ValueError: an unknown figure, option or value; runs of different data sets, or of data that it cannot show.
        RunError: a run that has no model, or (history) no finished epoch.
    """
    check(name, runs, **options)
    return _DRAW[name](runs, **options)


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """Raises what `plot` would raise for a figure's name and options."""
    if name not in _DRAW:
        raise ValueError(f"plot: no figure {name!r}; {nearest(name, _DRAW)}")
    allowed = dict(list(inspect.signature(_DRAW[name]).parameters.items())[1:])
    for option, value in options.items():
        if option not in allowed:
            raise ValueError(f"plot: {name} does not take {option!r}; {nearest(option, allowed)}")
        wanted = str if allowed[option].annotation == "str" else int
        if not isinstance(value, wanted) or isinstance(value, bool):
            kind = "text" if wanted is str else "a whole number"
            raise ValueError(f"plot: {option} of {name} must be {kind}, got {value!r}")
    split = options.get("split", "test")
    if split not in SPLITS:
        raise ValueError(f"split: no {split!r}; {nearest(split, SPLITS)}")
    if (path := options.get("path", "linear")) not in walks.PATHS:
        raise ValueError(f"path: no {path!r}; {nearest(path, walks.PATHS)}")
    for option, least in _LEAST.items():
        if options.get(option, least) < least:
            raise ValueError(f"{option}: must be at least {least}, got {options[option]}")
    if "unit" in options and "units" in options:
        raise ValueError("plot: unit shows one unit in several images, units several in one image; give one of them")
    if name == "traversal" and "images" in options and "unit" not in options:
        raise ValueError("images: of a traversal go with unit, which is shown in so many; without it, give units")


def check(name: str, runs: Runs, **options: Any) -> None:
    """Raises what `plot` would raise for its arguments, before anything heavy is imported."""
    check_options(name, options)
    if not runs:
        raise ValueError(f"plot: {name} needs the directory of a run")
    if len(runs) > 1 and name in OF_ONE:
        raise ValueError(f"plot: {name} is drawn of one run, got {len(runs)}: {', '.join(runs)}")
    data_sets = {label: data_set(run.experiment().data) for label, run in runs.items()}
    if len({*data_sets.values()}) > 1:
        listed = ", ".join(f"{label} ({data})" for label, data in data_sets.items())
        raise ValueError(f"plot: the runs are of different data sets, to be drawn apart: {listed}")
    for label, run in runs.items() if name in OF_IMAGES else ():
        if (kind := run.experiment().data.kind) != "images":
            others = ", ".join(other for other in _DRAW if other not in OF_IMAGES)
            raise ValueError(
                f"plot: {name} shows images, but {label} has {kind} ({data_sets[label]}); of them: {others}"
            )
    for run in runs.values() if name not in WITHOUT_MODEL else ():
        run.require_model()


def defaults(name: str) -> dict[str, Any]:
    """The options of a figure, each with its default."""
    return {option: one.default for option, one in list(inspect.signature(_DRAW[name]).parameters.items())[1:]}
