"""Figures of numbers: metrics against epoch, rate against unit, information against the number of samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from zoo.report.figures.canvas import bare, legend, line_marks, panels

Series = tuple[np.ndarray, np.ndarray]
# Metric → label of a configuration → a series for each of its seeds.
Curves = Mapping[str, Mapping[str, Sequence[Series]]]
# So many lines have a name in the legend; nobody tells more of them apart.
MOST_NAMED = 40

# What tells held-out examples from training ones, in grey too.
_SPLITS: dict[str, dict[str, Any]] = {
    "validation": {"linestyle": "-"},
    "training": {"linestyle": "--", "markerfacecolor": "white"},
}


def history(
    curves: Curves,
    units: Mapping[str, str] | None = None,
    bounds: Mapping[str, tuple[str, float]] | None = None,
    training: Curves | None = None,
) -> Figure:
    """Metrics against epoch, a panel for each metric, and in it two lines for each configuration.

    A line is the mean of the configuration's seeds, over the epochs that all of them have; with several seeds a band
    reaches from the least to the greatest. Lines of held-out examples are drawn through, those of training are dashed.

    Args:
        curves: on held-out examples: metric → label of a configuration → (epochs [e], values [e]) of each of its seeds.
        units: metric → unit; nats where it is missing.
        bounds: metric → (name, value) of a level that it cannot exceed, drawn as a dotted line.
        training: the same, on the training examples.

    Raises:
        ValueError: nothing to draw.
    """
    splits = {name: given for name, given in (("validation", curves), ("training", training or {})) if given}
    labels = list(dict.fromkeys(label for given in splits.values() for of in given.values() for label in of))
    if not labels:
        raise ValueError("history: no curve to draw")
    marks = dict(zip(labels, line_marks(len(labels)), strict=True))
    metrics = list(dict.fromkeys(metric for given in splits.values() for metric in given))
    figure, axes = panels(len(metrics), 4.4 if len(metrics) > 1 else 6.4, 3.4, columns=2 if len(metrics) == 4 else 3)
    for axis, metric in zip(axes, metrics, strict=True):
        drawn = []
        for split, given in splits.items():
            for label, seeds in given.get(metric, {}).items():
                epochs, values = _common(seeds)
                drawn += [*values.ravel()]
                _line(axis, epochs, values, label, marks[label] | _SPLITS[split])
        if bounds and metric in bounds:
            name, level = bounds[metric]
            axis.axhline(level, color="black", linestyle=":", linewidth=1)
            axis.annotate(name, (0, level), (3, 3), ("axes fraction", "data"), "offset points", fontsize=8)
        unit = (units or {}).get(metric, "nats")
        axis.set(xlabel="epoch", ylabel=f"{metric.replace('_', ' ')}{f' / {unit}' if unit else ''}")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        if all(float(value).is_integer() for value in drawn):
            axis.yaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        bare(axis)
    _legend(figure, axes, {name: Line2D([], [], **{"color": "0.4", "marker": "o"} | _SPLITS[name]) for name in splits})
    return figure


def _common(seeds: Sequence[Series]) -> Series:
    """(epochs that all seeds have [e], their values [seeds, e])."""
    epochs = np.array(sorted(set.intersection(*({*map(int, epochs)} for epochs, _ in seeds))))
    rows = [np.asarray(values, np.float64)[np.searchsorted(at, epochs)] for at, values in seeds]
    return epochs, np.stack(rows)


def _line(axis: Axes, x: np.ndarray, values: np.ndarray, label: str, mark: dict) -> None:
    """The mean of values [repeats, points], and the band between the least and the greatest."""
    every = max(1, len(x) // 50)
    axis.plot(x, values.mean(axis=0), label=label, markevery=every, markersize=5, linewidth=1.5, **mark)
    if len(values) > 1:
        axis.fill_between(x, values.min(axis=0), values.max(axis=0), color=mark["color"], alpha=0.2, linewidth=0)


def _legend(figure: Figure, axes: Sequence[Axes], more: Mapping[str, Any] | None = None) -> None:
    """One for all panels, below them: their lines, each once, as far as they can be told apart; the band; and more."""
    handles: dict[str, Any] = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    if (left := len(handles) - MOST_NAMED) > 0:
        handles = dict(list(handles.items())[:MOST_NAMED]) | {f"and {left:,} more": Line2D([], [], linestyle="")}
    handles |= more or {}
    if any(axis.collections for axis in axes):
        handles["from least to greatest"] = Patch(color="0.5", alpha=0.3, linewidth=0)
    legend(figure, handles, handlelength=3.5)


def rate_per_unit(rates: Mapping[str, np.ndarray]) -> Figure:
    """The rate of each latent dimension in falling order, a line for each model.

    Args:
        rates: label → nats of each unit, [dim], as `zoo.metrics.rate_per_unit` gives them.
    """
    figure, (axis,) = panels(1, 6.4, 3.8)
    for (label, found), mark in zip(rates.items(), line_marks(len(rates)), strict=True):
        falling = np.sort(np.asarray(found, np.float64))[::-1]
        whole = f"{label}: {falling.sum():.2f} nats"
        _line(axis, np.arange(1, len(falling) + 1), falling[None], whole, mark)
    axis.set(xlabel="latent unit, by rate (legend: all units together)", ylabel="rate / nats")
    axis.set_ylim(bottom=0)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    bare(axis)
    _legend(figure, [axis])
    return figure


def rate_distortion(points: Mapping[str, Sequence[tuple[float, float]]]) -> Figure:
    """Distortion against rate, a dot a seed and a larger one for the mean; dashed lines join what has one ELBO.

    Args:
        points: label → (rate, distortion) in nats of each of its seeds.

    Raises:
        ValueError: nothing to draw.
    """
    if not points:
        raise ValueError("rate_distortion: no point to draw")
    figure, (axis,) = panels(1, 7.0, 5.0)
    for (label, seeds), mark in zip(points.items(), line_marks(len(points)), strict=True):
        each = np.asarray(seeds, np.float64)
        style = {"color": mark["color"], "marker": mark["marker"], "linestyle": ""}
        if len(each) > 1:
            axis.plot(*each.T, **style, markersize=4, alpha=0.5)
        axis.plot(*each.mean(axis=0), **style, markersize=9, markeredgecolor="black", label=label)
    axis.margins(0.1)
    (left, right), (bottom, top) = axis.get_xlim(), axis.get_ylim()
    axis.set(xlim=(left, right), ylim=(bottom, top), xlabel="rate / nats", ylabel="distortion / nats")
    for bound in MaxNLocator(10).tick_values(left + bottom, right + top):
        # Where the line of this bound enters the window: at its left or at its upper side.
        x = max(left, bound - top)
        if x >= right or bound - x <= bottom:
            continue
        axis.plot([left, right], [bound - left, bound - right], color="0.8", linestyle="--", linewidth=0.8, zorder=0)
        text = f"{-bound:g}".replace("-", "−")
        # At the very edge the number would stand outside.
        at = min(x, left + 0.95 * (right - left))
        axis.annotate(text, (at, bound - x), (2, -2), textcoords="offset points", fontsize=7, color="0.4", va="top")
    bare(axis)
    _legend(figure, [axis], {"equal ELBO": Line2D([], [], color="0.6", linestyle="--", linewidth=0.8)})
    return figure


def information_by_samples(
    sizes: Sequence[int], information: Mapping[str, np.ndarray], marginal_kl: Mapping[str, np.ndarray]
) -> Figure:
    """Estimates of mutual information and marginal KL against the number of samples (VAE-AS paper, Fig. 2).

    A line is the mean over subsets of that size, its band goes from the least to the greatest. No estimate of the
    mutual information can exceed log N, which is drawn too.

    Args:
        sizes: numbers of posteriors N, [s].
        information: label → mutual information in nats on each subset of each size, [subsets, s].
        marginal_kl: label → marginal KL in nats, likewise.
    """
    # Their sum is the rate, so one scale.
    figure, axes = panels(2, 4.8, 3.6, sharey=True)
    for axis, found, name in zip(axes, (information, marginal_kl), ("mutual information", "marginal KL"), strict=True):
        for (label, values), mark in zip(found.items(), line_marks(len(found)), strict=True):
            _line(axis, np.asarray(sizes), np.asarray(values, np.float64), label, mark)
        axis.set(xscale="log", xlabel="samples N", ylabel=f"{name} / nats")
        axis.set_xticks(sizes, [f"{size:,}" for size in sizes], rotation=45)
        axis.minorticks_off()
        bare(axis)
    fine = np.geomspace(sizes[0], sizes[-1], 50)
    axes[0].plot(fine, np.log(fine), color="black", linestyle=":", linewidth=1, label="log N, the bound")
    for axis in axes:
        axis.set_ylim(bottom=min(0.0, axis.get_ylim()[0]))
    _legend(figure, axes)
    return figure
