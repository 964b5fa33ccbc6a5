"""Figures made of images: rows, grids, walks through the latent space, and a map of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zoo.domains.pictures import as_uint8, grid
from zoo.report.figures.canvas import bare, colours, panels, titled, wrapped


def image_rows(rows: Mapping[str, np.ndarray], title: str = "", lines: int = 1) -> Figure:
    """Rows of images, each under its label.

    Args:
        rows: label → images [n, h, w, c], uint8, or floats in the unit interval; the same n in every row.
        title: above all rows.
        lines: break each row into so many lines.
    """
    pictures = {label: grid(as_uint8(images), -(-len(images) // lines)) for label, images in rows.items()}
    height, width = next(iter(pictures.values())).shape[:2]
    figure, axes = panels(len(rows), 9.0, 9.0 * height / width + 0.3, columns=1)
    for axis, (label, picture) in zip(axes, pictures.items(), strict=True):
        _show(axis, picture, label, 9.0)
    if title:
        figure.suptitle(wrapped(title, 9.0, 12), fontsize=12)
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
    figure = Figure(figsize=size, layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[inches, 2.9])
    for axis, (label, picture) in zip(left.subplots(len(rows), 1, squeeze=False)[:, 0], pictures.items(), strict=True):
        _show(axis, picture, label, inches, fontsize=9)
    bars = right.subplots()
    bars.bar(np.arange(1, len(rates) + 1), np.sort(rates)[::-1], width=1.0, color=colours(1)[0])
    bars.set_title(f"rate per unit, {rates.sum():.1f} nats in all", fontsize=9)
    bars.set_xlabel("latent unit, by rate", fontsize=8)
    bars.set_ylabel("nats", fontsize=8)
    bars.tick_params(labelsize=8)
    bare(bars)
    if title:
        figure.suptitle(wrapped(title, size[0], 11), fontsize=11)
    return figure


def reconstructions(originals: np.ndarray, found: Mapping[str, np.ndarray]) -> Figure:
    """Images, and below them what each model makes of them.

    Args:
        originals: [n, h, w, c], uint8, or floats in the unit interval.
        found: label → reconstructions [n, h, w, c], in the same order.
    """
    return image_rows({"original": originals, **found}, lines=-(-len(originals) // 20))


def samples(found: Mapping[str, np.ndarray]) -> Figure:
    """Images from the prior, a square of them for each model.

    Args:
        found: label → images [n, h, w, c], uint8, or floats in the unit interval.
    """
    return _squares({label: grid(images) for label, images in found.items()})


def interpolation(found: Mapping[str, np.ndarray]) -> Figure:
    """Walks from one image's code to another's, a row each, for each model.

    Args:
        found: label → images [walks, steps, h, w, c]; the first and the last of a walk may be the images themselves.
    """
    wide = {label: grid(walks.reshape(-1, *walks.shape[2:]), walks.shape[1]) for label, walks in found.items()}
    height, width = next(iter(wide.values())).shape[:2]
    inches = 9.0 if len(wide) == 1 else 5.5
    figure, axes = panels(len(wide), inches, inches * height / width + 0.3, columns=2)
    for axis, (label, picture) in zip(axes, wide.items(), strict=True):
        _show(axis, picture, label, inches)
    return figure


def traversal(
    found: Mapping[str, np.ndarray],
    values: np.ndarray,
    labels: Mapping[str, Sequence[str]],
    unit: str = "standard deviations of the prior",
) -> Figure:
    """What decoders make of a code of which one unit is changed, a row for each unit or each code; a panel a model.

    Args:
        found: label of a model → images [rows, steps, h, w, c]; as many steps in all.
        values: of the changed unit, [steps].
        labels: label of a model → labels of its rows, such as `3: 0.71` for unit 3 of 0.71 nats.
        unit: of the values.
    """
    rows = max(len(images) for images in found.values())
    steps, height, width = next(iter(found.values())).shape[1:4]
    # Of a step, in inches; beside and above the images stand the labels.
    step = 0.62 if len(found) == 1 else 0.3
    inches = step * steps
    titles = max(wrapped(label, 0.9 * (inches + 0.3), 10).count("\n") + 1 for label in found)
    tall = step * height / width * rows + 0.35 + 0.2 * titles
    figure, axes = panels(len(found), inches + 0.75, tall, columns=4)
    for axis, (label, images) in zip(axes, found.items(), strict=True):
        _show(axis, grid(images.reshape(-1, *images.shape[2:]), steps), "", inches)
        titled(axis, label, inches + 0.3)
        axis.set_axis_on()
        axis.set_xticks(
            (np.arange(steps) + 0.5) * (width + 1),
            [f"{value:+.3g}".replace("-", "−") if value else "0" for value in values],
        )
        axis.set_yticks((np.arange(len(images)) + 0.5) * (height + 1), labels[label])
        axis.tick_params(length=0, labelsize=8, pad=1)
        axis.spines[:].set_visible(False)
    across, down = figure.get_size_inches()
    figure.set_size_inches(across, down + 0.45)
    figure.supxlabel(f"value of the unit / {unit}\nat the left: unit, and its rate / nats", fontsize=9)
    return figure


def cells(positions: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Gives each point of the plane a cell of a grid: the sum of squared distances to the cells' centres is the least.

    Args:
        positions: [n, 2], (right, up), in any unit; stretched to fill the grid.
        rows: of the grid.
        columns: of the grid, with rows · columns ≥ n.

    Returns:
        Numbers of cells, row by row from the top left, each at most once: [n] integers. Takes time with n³: 1 s for
        2,000 points.

    Raises:
        ValueError: more points than cells, or positions that are not [n, 2] or not finite.
    """
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    positions = np.asarray(positions, np.float64)
    if positions.ndim != 2 or positions.shape[1] != 2 or not np.isfinite(positions).all():
        raise ValueError(f"positions: must be finite and [n, 2], got an array of shape {positions.shape}")
    if len(positions) > rows * columns:
        raise ValueError(f"positions: {len(positions)} of them, but {rows}×{columns} cells")
    low = positions.min(axis=0)
    extent = np.ptp(positions, axis=0)
    unit = (positions - low) / np.where(extent > 0, extent, 1.0)
    down, right = np.divmod(np.arange(rows * columns), columns)
    centres = np.stack([(right + 0.5) / columns, 1 - (down + 0.5) / rows], axis=1)
    point, cell = linear_sum_assignment(cdist(unit, centres, "sqeuclidean"))
    return cell[np.argsort(point)]


def image_map(images: np.ndarray, positions: Mapping[str, np.ndarray]) -> Figure:
    """Images laid out by where their codes lie, snapped to a grid (Lygerakis & Rueckert 2023, Fig. 5).

    Args:
        images: [n, h, w, c], uint8, or floats in the unit interval.
        positions: label → [n, 2] of the images' codes in the plane, such as `plane` gives; a map for each.

    Raises:
        ValueError: as `cells`.
    """
    side = math.ceil(math.sqrt(len(images)))
    maps = {}
    for label, points in positions.items():
        # Cells that no image takes are as dark as the lines between images.
        laid = np.full((side * side, *images.shape[1:]), 48, np.uint8)
        laid[cells(points, side, side)] = as_uint8(images)
        maps[label] = grid(laid, side)
    return _squares(maps, inches=6.0)


def _squares(pictures: Mapping[str, np.ndarray], inches: float = 4.0) -> Figure:
    height, width = next(iter(pictures.values())).shape[:2]
    figure, axes = panels(len(pictures), inches, inches * height / width + 0.2)
    for axis, (label, picture) in zip(axes, pictures.items(), strict=True):
        _show(axis, picture, label, inches)
    return figure


def _show(axis: Axes, picture: np.ndarray, label: str, inches: float, fontsize: int = 10) -> None:
    """A picture of so many inches under its label; pixels stay pixels, also where an SVG is enlarged."""
    if picture.shape[-1] not in (1, 3):
        raise ValueError(f"a figure shows images of 1 or 3 channels, these have {picture.shape[-1]}")
    axis.imshow(picture.squeeze(), cmap="gray", vmin=0, vmax=255, interpolation="none")
    titled(axis, label, inches, fontsize, loc="left")
    axis.set_axis_off()
