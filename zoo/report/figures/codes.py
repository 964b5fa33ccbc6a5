"""Figures of codes in the plane: classes, pairs of an image and its transformation, data beside noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from matplotlib.patheffects import withStroke

from zoo.parameters import nearest
from zoo.report.figures.canvas import DENSE, MARKERS, colours, legend, panels, same_scale, titled

PROJECTIONS = ("tsne", "pca")
# More names of classes would cover the page, longer ones the dots: those stand in the legend alone.
_NAMED = 62
_SHORT = 6
_SIDE = 4.6
_LAYERS = 8
_PRIOR_DASHES: tuple[Any, Any] = ("-", "--")


def plane(codes: np.ndarray, projection: str = "tsne", seed: int = 0) -> np.ndarray:
    """Places codes in the plane; those of one or two dimensions stay where they are.

    Args:
        codes: [n, d].
        projection: `tsne` (scikit-learn's: perplexity 30, less where there are fewer than 91 codes; keeps neighbours
            together, lengths mean nothing), or `pca` (the two directions of greatest variance; lengths are true or
            shortened).
        seed: of t-SNE.

    Returns:
        [n, 2]; the origin everywhere where all codes are equal.

    Raises:
        ValueError: another projection, codes that are not [n, d] or not finite, or fewer than three.
    """
    if projection not in PROJECTIONS:
        raise ValueError(f"projection: no {projection!r}; {nearest(projection, PROJECTIONS)}")
    codes = np.asarray(codes, np.float64)
    if codes.ndim != 2 or len(codes) < 3:
        raise ValueError(f"codes: must be [n, d] of at least 3 images, got an array of shape {codes.shape}")
    if not np.isfinite(codes).all():
        raise ValueError(f"codes: {int((~np.isfinite(codes)).any(axis=1).sum())} of {len(codes)} are not finite")
    if codes.shape[1] <= 2:
        return np.pad(codes, [(0, 0), (0, 2 - codes.shape[1])])
    if (codes == codes[0]).all():
        return np.zeros((len(codes), 2))
    centred = codes - codes.mean(axis=0)
    if projection == "pca":
        directions = np.linalg.svd(centred, full_matrices=False)[2][:2]
        return centred @ directions.T
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    perplexity = min(30.0, (len(codes) - 1) / 3)
    # On a busy machine OpenMP's threads wait for each other: one thread was 12 times as fast as two.
    with threadpool_limits(limits=1):
        # In units of their spread, as a collapsed encoder's codes differ by less than t-SNE's thresholds.
        scaled = centred / centred.std()
        placed = TSNE(perplexity=perplexity, random_state=seed, init="pca").fit_transform(scaled)
    return np.asarray(placed, np.float64)


def tsne(found: Mapping[str, tuple[np.ndarray, np.ndarray | None]], projection: str = "tsne", seed: int = 0) -> Figure:
    """Codes by class in the plane of t-SNE, side by side for several models (Lygerakis & Rueckert 2023, Fig. 3).

    Args:
        found: label → (codes [n, d], class numbers or names [n] or None).
        projection: see `plane`.
        seed: of t-SNE.

    Raises:
        ValueError: as `plane`; labels of another length.
    """
    known = [(label, len(codes), classes) for label, (codes, classes) in found.items() if classes is not None]
    for label, count, of_codes in known:
        if len(of_codes) != count:
            raise ValueError(f"labels: {len(of_codes)} of them for {count} codes ({label})")
    names = np.unique(np.concatenate([of_codes for *_, of_codes in known])) if known else np.zeros(0)
    marks = {
        name: {"color": colour, "marker": MARKERS[i % len(MARKERS)]}
        for i, (name, colour) in enumerate(zip(names, colours(len(names)), strict=True))
    }
    figure, axes = panels(len(found), _SIDE, _SIDE)
    with_scale = []
    for axis, (label, (codes, classes)) in zip(axes, found.items(), strict=True):
        points = plane(codes, projection, seed)
        _classes(axis, points, classes, marks)
        titled(axis, label, _SIDE)
        kind = projection if np.shape(codes)[1] > 2 else "codes"
        _frame(axis, kind)
        if kind != "tsne":
            with_scale.append((axis, points))
    if with_scale:
        same_scale(*map(list, zip(*with_scale, strict=True)))
    if len(marks) <= _NAMED:
        dots = {str(name): Line2D([], [], linestyle="", **mark) for name, mark in marks.items()}
        legend(figure, dots, 0.45, handletextpad=0.2)
    return figure


def _classes(axis: Axes, points: np.ndarray, labels: np.ndarray | None, marks: Mapping[Any, dict[str, Any]]) -> None:
    """Dots, of a colour and a marker for each class, and the class's name, if all are short, in their middle."""
    style: dict[str, Any] = {"s": _area(points), "linewidths": 0, "alpha": 0.75, "rasterized": len(points) > DENSE}
    if labels is None:
        axis.scatter(*points.T, color=colours(1), **style)
        return
    # Some named and others not would say that the others are not there.
    named = len(marks) <= _NAMED and all(len(str(name)) <= _SHORT for name in marks)
    for name, mark in marks.items():
        of_class = points[labels == name]
        if not len(of_class):
            continue
        axis.scatter(*of_class.T, **mark, **style)
        if named:
            # The dot nearest to the middle of most, for the mean of two clusters lies in neither.
            middle = of_class[np.abs(of_class - np.median(of_class, axis=0)).sum(axis=1).argmin()]
            text = axis.text(middle[0], middle[1], str(name), ha="center", va="center", fontsize=10, weight="bold")
            text.set_path_effects([withStroke(linewidth=3, foreground="white")])


def _area(points: np.ndarray) -> float:
    """Of a dot, in square points: small where there are many."""
    return float(np.clip(8000 / len(points), 5, 25))


def _frame(axis: Axes, projection: str) -> None:
    """Names the axes; those of t-SNE have no scale to be read."""
    kind = {"tsne": "t-SNE", "pca": "principal component", "codes": "latent"}[projection]
    axis.set(xlabel=f"{kind} 1", ylabel=f"{kind} 2")
    if projection == "tsne":
        axis.set(xticks=[], yticks=[])


def arrows(found: Mapping[str, tuple[np.ndarray, np.ndarray]], projection: str = "pca", seed: int = 0) -> Figure:
    """From the code of each image to that of its transformation (Sinha & Dieng 2021, Fig. 1).

    Above each panel stands the mean length of the arrows before projection, as a share of the mean distance between
    the codes of two images: what a short arrow in the plane may hide.

    Args:
        found: label → (loc of the images, loc of their transformations), [n, d] each.
        projection: see `plane`; both sets are placed together.
        seed: of t-SNE.

    Raises:
        ValueError: as `plane`; two sets of different shape.
    """
    figure, axes = panels(len(found), _SIDE, 5.0)
    with_scale = []
    for axis, (label, (loc, transformed)) in zip(axes, found.items(), strict=True):
        if np.shape(loc) != np.shape(transformed):
            raise ValueError(f"arrows: {np.shape(loc)} codes of images, {np.shape(transformed)} of transformations")
        start, end = np.split(plane(np.concatenate([loc, transformed]), projection, seed), 2)
        dark, light = colours(2)
        axis.quiver(
            *start.T, *(end - start).T, angles="xy", scale_units="xy", scale=1, width=0.004, color="0.45", zorder=1
        )
        axis.scatter(*start.T, s=20, color=dark, marker="o", label="image", zorder=2)
        axis.scatter(
            *end.T,
            s=20,
            facecolor="white",
            edgecolor=light,
            linewidth=1.3,
            marker="s",
            label="transformation",
            zorder=2,
        )
        shift = f"mean shift {relative_shift(loc, transformed):.2f} × distance between images"
        titled(axis, f"{label}\n{shift}", _SIDE)
        kind = projection if np.shape(loc)[1] > 2 else "codes"
        _frame(axis, kind)
        if kind != "tsne":
            with_scale.append((axis, np.concatenate([start, end])))
    if with_scale:
        same_scale(*map(list, zip(*with_scale, strict=True)))
    handles, names = axes[0].get_legend_handles_labels()
    legend(figure, dict(zip(names, handles, strict=True)))
    return figure


def relative_shift(loc: np.ndarray, transformed: np.ndarray) -> float:
    """Mean ‖transformed − loc‖ over mean ‖loc_i − loc_j‖, i ≠ j; NaN where all images have one code."""
    from scipy.spatial.distance import pdist

    between = pdist(np.asarray(loc, np.float64)).mean()
    return float(np.linalg.norm(np.subtract(transformed, loc), axis=1).mean() / between) if between else float("nan")


def data_and_noise(
    found: Mapping[str, tuple[np.ndarray, np.ndarray]], prior_scales: Sequence[float] = (1.0, 5.0)
) -> Figure:
    """Codes of data and of noise, with the circle around 95 % of either's prior (Ganea et al. 2019, Fig. 2).

    Codes of more than two dimensions are projected on the plane of their greatest second moments, in which the priors
    N(0, s²·I) stay circles of the same radius.

    Args:
        found: label → (codes of data [n, d], codes of noise [m, d]).
        prior_scales: s of the data's prior, and of the noise's where it has one.

    Raises:
        ValueError: codes that are not [n, d] of one d, or not finite.
    """
    figure, axes = panels(len(found), _SIDE, _SIDE)
    tints, names, marks = colours(2), ("data", "noise"), ("o", "^")
    radii = [scale * np.sqrt(-2 * np.log(0.05)) for scale in prior_scales]  # ‖z‖² / s² is exponential with mean 2
    limit = 1.1 * max(radii)
    for axis, (label, both) in zip(axes, found.items(), strict=True):
        sets = _second_moments(*both)
        limit = max(limit, 1.05 * max(float(np.quantile(np.abs(points), 0.995)) for points in sets))
        style: dict[str, Any] = {"s": _area(sets[0]), "alpha": 0.6, "linewidths": 0, "rasterized": len(sets[0]) > DENSE}
        # In layers, so that neither kind of dot lies on top of all of the other.
        for layer in range(_LAYERS):
            for points, tint, mark in zip(sets, tints, marks, strict=True):
                axis.scatter(*points[layer::_LAYERS].T, color=tint, marker=mark, **style)
        for radius, dashes in zip(radii, _PRIOR_DASHES, strict=False):
            axis.add_patch(Circle((0, 0), radius, fill=False, linestyle=dashes, color="black"))
        kind = "latent" if np.shape(both[0])[1] == 2 else "direction"
        axis.set(aspect="equal", xlabel=f"{kind} 1", ylabel=f"{kind} 2")
        titled(axis, label, _SIDE)
    for axis in axes:
        axis.set(xlim=(-limit, limit), ylim=(-limit, limit))
    handles = {
        f"codes of {name}": Line2D([], [], color=tint, marker=mark, linestyle="")
        for tint, mark, name in zip(tints, marks, names, strict=True)
    }
    handles |= {
        f"95 % of N(0, {_variance(scale)})": Line2D([], [], color="black", linestyle=dashes)
        for dashes, scale in zip(_PRIOR_DASHES, prior_scales, strict=False)
    }
    legend(figure, handles)
    return figure


def _variance(scale: float) -> str:
    return "I" if scale == 1 else f"{scale**2:g}·I"


def _second_moments(data: np.ndarray, noise: np.ndarray) -> list[np.ndarray]:
    """Both in the plane that keeps most of ‖z‖²: no centring, for the priors' centre is the origin."""
    both = np.concatenate([data, noise]).astype(np.float64)
    if not np.isfinite(both).all():
        raise ValueError(f"codes: {int((~np.isfinite(both)).any(axis=1).sum())} of {len(both)} are not finite")
    if both.shape[1] > 2:
        both = both @ np.linalg.svd(both, full_matrices=False)[2][:2].T
    return [both[: len(data)], both[len(data) :]]
