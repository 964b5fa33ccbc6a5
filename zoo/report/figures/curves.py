"""Figures of numbers: metrics against epoch, rate against unit, information against the number of samples."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from zoo.report.figures.canvas import bare, line_marks, panels

Series = tuple[np.ndarray, np.ndarray]


def history(
    curves: Mapping[str, Mapping[str, Sequence[Series]]],
    units: Mapping[str, str] | None = None,
    bounds: Mapping[str, tuple[str, float]] | None = None,
) -> Figure:
    """Metrics against epoch, a panel for each metric and a line for each configuration.

    A line is the mean of the configuration's seeds, over the epochs that all of them have; with several seeds a band
    reaches from the least to the greatest.

    Args:
        curves: metric → label of a configuration → (epochs [e], values [e]) of each of its seeds.
        units: metric → unit; nats where it is missing.
        bounds: metric → (name, value) of a level that it cannot exceed, drawn as a dotted line.

    Raises:
        ValueError: nothing to draw.
    """
    labels = list(dict.fromkeys(label for of_metric in curves.values() for label in of_metric))
    if not labels:
        raise ValueError("history: no curve to draw")
    marks = dict(zip(labels, line_marks(len(labels)), strict=True))
    figure, axes = panels(len(curves), 4.4 if len(curves) > 1 else 6.4, 3.4)
    for axis, (metric, of_metric) in zip(axes, curves.items(), strict=True):
        for label, seeds in of_metric.items():
            epochs, values = _common(seeds)
            _line(axis, epochs, values, label, marks[label])
        if bounds and metric in bounds:
            name, level = bounds[metric]
            axis.axhline(level, color="black", linestyle=":", linewidth=1)
            axis.annotate(name, (0, level), (3, 3), ("axes fraction", "data"), "offset points", fontsize=8)
        unit = (units or {}).get(metric, "nats")
        axis.set(xlabel="epoch", ylabel=f"{metric.replace('_', ' ')}{f' / {unit}' if unit else ''}")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        bare(axis)
    _legend(figure, axes)
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


def _legend(figure: Figure, axes: Sequence[Axes]) -> None:
    """One for all panels, below them."""
    handles: dict[str, Any] = {
        label: handle for axis in axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    if any(axis.collections for axis in axes):
        handles["from least to greatest"] = Patch(color="0.5", alpha=0.3, linewidth=0)
    if not handles:
        return
    width, height = figure.get_size_inches()
    # A line's sample and the gap behind it, and so much for a letter, in inches.
    columns = min(len(handles), max(1, int(width / (0.8 + 0.07 * max(map(len, handles))))))
    # The axes keep their height.
    figure.set_size_inches(width, height + 0.2 * math.ceil(len(handles) / columns))
    style: dict[str, Any] = {"loc": "outside lower center", "frameon": False, "handlelength": 3.5, "fontsize": 9}
    figure.legend(handles.values(), handles.keys(), ncols=columns, **style)


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
    figure, axes = panels(2, 4.8, 3.6)
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
