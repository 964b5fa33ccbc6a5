"""Checks on what a user hands to a metric: each error is one line that names the argument."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

# What labels may be, by the kind of their dtype.
_LABELS = {**dict.fromkeys("biuf", "numbers"), **dict.fromkeys("UT", "strings"), "S": "bytes"}


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
    return as_array(name, values, ("n", "d")).astype(np.float64, copy=False)


def as_array(name: str, values: Any, axes: tuple[str, ...]) -> np.ndarray:
    """Checks values and returns them as floats; single precision stays single, and no copy is made of it.

    Args:
        name: the argument's name, for the error.
        values: anything `np.asarray` accepts, not empty, all finite.
        axes: what the axes are, for the error.

    Raises:
        ValueError: if the values are not numbers, have another rank, are empty, NaN or infinite.
    """
    shape = f"[{', '.join(axes)}]"
    try:
        array = np.asarray(values)
        if array.dtype not in (np.float32, np.float64):
            array = array.astype(np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be an array of real numbers {shape}") from None
    if array.ndim != len(axes):
        raise ValueError(f"{name} must be {shape}, got shape {list(array.shape)}")
    if array.size == 0:
        raise ValueError(f"{name} is empty: its shape is {list(array.shape)}")
    # NaN spreads to both; an array of truth values would be an eighth to a quarter of a large array again.
    if not (np.isfinite(array.min()) and np.isfinite(array.max())):
        unusable = ~np.isfinite(array)
        first = ", ".join(str(int(i)) for i in np.argwhere(unusable)[0])
        raise ValueError(
            f"{name} must be finite, but {int(unusable.sum())} of its {array.size} values are NaN or "
            f"infinite, the first at [{first}]"
        )
    return array


def as_posteriors(loc: Any, scale: Any) -> tuple[np.ndarray, np.ndarray]:
    """Checks the means and standard deviations [n, d] of diagonal Gaussians; single precision stays single.

    Raises:
        ValueError: as `as_matrix`; if the shapes differ; if a scale is zero or negative.
    """
    loc, scale = as_array("loc", loc, ("n", "d")), as_array("scale", scale, ("n", "d"))
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


def as_probe(
    train_codes: Any, train_labels: Any, test_codes: Any, test_labels: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Checks what a classifier learns from and is tested on: codes as float64 [n, d] and [m, d], labels [n] and [m].

    Raises:
        ValueError: as `as_matrix`; labels that are no whole numbers or strings, of two kinds, of one class, or do not
            fit the codes; codes that are constant.
    """
    train_codes, test_codes = as_matrix("train_codes", train_codes), as_matrix("test_codes", test_codes)
    if train_codes.shape[1] != test_codes.shape[1]:
        raise ValueError(
            "train_codes and test_codes must have as many dimensions, "
            f"got {train_codes.shape[1]} and {test_codes.shape[1]}"
        )
    train_labels = _labels("train_labels", train_labels, "train_codes", len(train_codes))
    test_labels = _labels("test_labels", test_labels, "test_codes", len(test_codes))
    kinds = [_LABELS[labels.dtype.kind] for labels in (train_labels, test_labels)]
    if kinds[0] != kinds[1]:
        raise ValueError(f"train_labels and test_labels must be of one kind, got {kinds[0]} and {kinds[1]}")
    if len(np.unique(train_labels)) < 2:
        raise ValueError(
            f"train_labels must hold two classes or more, but all {len(train_labels)} are {train_labels[0]}"
        )
    if is_constant(train_codes):
        raise ValueError("train_codes are constant (a collapsed posterior?): no probe can tell them apart")
    return train_codes, train_labels, test_codes, test_labels


def _labels(name: str, labels: Any, codes_name: str, count: int) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.shape != (count,):
        raise ValueError(
            f"{name} must hold one label for each of the {count} {codes_name}, got shape {list(labels.shape)}"
        )
    if labels.dtype.kind == "O":
        # Strings and numbers come as objects too, but a mixture of both stays one.
        kinds = {(isinstance(label, str), isinstance(label, bytes)) for label in labels}
        labels = np.asarray(labels.tolist()) if len(kinds) == 1 else labels
    if labels.dtype.kind not in _LABELS:
        what = {type(label).__name__: None for label in labels.tolist()}
        raise ValueError(f"{name} must be whole numbers or strings, got {', '.join(what)}")
    if labels.dtype.kind == "f" and not np.array_equal(labels, np.round(labels)):
        raise ValueError(f"{name} must be whole numbers or strings, got fractions or NaN")
    return labels


def is_constant(codes: np.ndarray) -> bool:
    """Whether no column of [n, d] varies by more than the rounding of float32, in which networks compute."""
    rounding = 4 * np.finfo(np.float32).eps * np.abs(codes).max(axis=0)
    return bool(np.all(np.ptp(codes, axis=0) <= rounding))
