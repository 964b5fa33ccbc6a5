"""Checks on what a user hands to a metric: each error is one line that names the argument."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np


def as_matrix(name: str, values: Any) -> np.ndarray:
    """Checks values and returns them as float64.

    Args:
        name: the argument's name, for the error.
        values: anything `np.asarray` accepts, [n, d], not empty, all finite.

    Returns:
        The values as a float64 array [n, d].

    Raises:
        ValueError: if the values are not numbers, not 2-D, empty, NaN or infinite.
    """
    try:
        matrix = np.asarray(values).astype(np.float64, copy=False)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be an array of real numbers [n, d]") from None
    if matrix.ndim != 2:
        raise ValueError(f"{name} must be [n, d], got shape {list(matrix.shape)}")
    if matrix.size == 0:
        raise ValueError(f"{name} is empty: its shape is {list(matrix.shape)}")
    unusable = ~np.isfinite(matrix)
    if unusable.any():
        row, column = (int(i) for i in np.argwhere(unusable)[0])
        raise ValueError(
            f"{name} must be finite, but {int(unusable.sum())} of its {matrix.size} values are NaN or "
            f"infinite, the first at [{row}, {column}]"
        )
    return matrix


def as_posteriors(loc: Any, scale: Any) -> tuple[np.ndarray, np.ndarray]:
    """Checks the means and standard deviations [n, d] of diagonal Gaussians and returns them as float64.

    Raises:
        ValueError: as `as_matrix`; if the shapes differ; if a scale is zero or negative.
    """
    loc, scale = as_matrix("loc", loc), as_matrix("scale", scale)
    if loc.shape != scale.shape:
        raise ValueError(f"loc and scale must have the same shape, got {list(loc.shape)} and {list(scale.shape)}")
    if scale.min() <= 0:
        raise ValueError(f"scale must be positive (standard deviations), but its smallest is {scale.min():g}")
    return loc, scale


def as_count(name: str, value: Any) -> int:
    """Checks that value is a whole number of at least 1 and returns it as an int.

    Raises:
        ValueError: if it is not.
    """
    try:
        count = operator.index(value)
    except TypeError:
        count = 0
    if count < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
    return count
