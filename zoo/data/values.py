"""Features: what arrays are accepted, how they become float32, and the statistics that standardise them."""

from __future__ import annotations

import warnings

import numpy as np

# Examples that are looked at together, so that a check of a large array needs little memory of its own.
BLOCK = 4096


def check_finite(x: np.ndarray, where: str, noun: str, *, first_row: int = 0) -> None:
    """Raises ValueError for floats that are NaN or infinite: how many, and where the first one is.

    Args:
        x: [n, ...].
        where: What holds the array, for the message.
        noun: What an entry is called: "pixels", "features".
        first_row: The row of the whole that x begins with, where it is a part.
    """
    count, first = 0, None
    for start in range(0, len(x), BLOCK):
        bad = ~np.isfinite(x[start : start + BLOCK])
        if first is None and bad.any():
            row, *rest = np.unravel_index(int(bad.argmax()), bad.shape)
            first = (first_row + start + int(row), *map(int, rest))
        count += int(bad.sum())
    if first is not None:
        raise ValueError(f"{where}: {count} {noun} are NaN or infinite, the first at index {first}")


def check_features(x: np.ndarray, where: str, *, first_row: int = 0) -> None:
    """Checks that an array can be trained on or encoded as features.

    Args:
        x: Supposed to be [n, ...] of rank 2 or more: finite floats, integers or booleans.
        where: What holds the array, for messages: a file, a data set, an argument.
        first_row: The row of the whole that x begins with, where it is a part.

    Raises:
        ValueError: In one line, if it is not.
    """
    check_form(x.shape, x.dtype, where)
    if x.dtype.kind == "f":
        check_finite(x, where, "features", first_row=first_row)
    warn_of_lost_digits(x, where)


def check_form(shape: tuple[int, ...], dtype: np.dtype, where: str) -> None:
    """The part of `check_features` that needs no values: the rank, the size and the type."""
    if len(shape) < 2:
        hint = "; for one feature an example, x[:, None]" if len(shape) == 1 else ""
        raise ValueError(f"{where}: features must have rank 2 or more, [n, ...], got shape {shape}{hint}")
    if 0 in shape:
        raise ValueError(f"{where}: no features (shape {shape})")
    if dtype.kind not in "buif":
        raise ValueError(f"{where}: features of type {dtype} are not supported; use floats, integers or booleans")


def warn_of_lost_digits(x: np.ndarray, where: str) -> None:
    """Warns of features that differ by less than float32, in which the zoo computes, can tell at their size."""
    if x.dtype.itemsize < 8 or x.dtype.kind not in "iuf" or len(x) < 2:
        return
    axes = tuple(range(x.ndim - 1))
    spread = x.std(axis=axes, dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        lost = np.abs(x - x.astype(np.float32)).max(axis=axes) > 1e-3 * spread
    if (rough := np.flatnonzero(np.atleast_1d(lost & (spread > 0)))).size:
        warnings.warn(
            f"{where}: float32 loses digits of {rough.size} of {x.shape[-1]} features (counted from 0, the first is "
            f"{rough[0]}), which vary by little at a great size; take an offset off before you give them",
            stacklevel=3,
        )


def as_float32(x: np.ndarray, where: str, noun: str, *, first_row: int = 0) -> np.ndarray:
    """Casts finite numbers to float32, contiguous.

    Raises:
        ValueError: If one is too large for it.
    """
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused below
        cast = x.astype(np.float32, copy=False)
    if x.dtype.itemsize > cast.dtype.itemsize:
        check_finite(cast, f"{where} as float32", noun, first_row=first_row)
    return np.ascontiguousarray(cast)


def as_features(x: np.ndarray, where: str, *, first_row: int = 0) -> np.ndarray:
    """Brings a user's array into the form that the zoo works on.

    Args:
        x: [n, ...] of floats, integers or booleans.
        where: What holds the array, for messages.
        first_row: The row of the whole that x begins with, where it is a part.

    Returns:
        float32 of the same shape.

    Raises:
        ValueError: If `check_features` refuses the array.
    """
    x = np.asarray(x)
    check_features(x, where, first_row=first_row)
    return as_float32(x, where, "features", first_row=first_row)


def statistics(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean and the standard deviation of each entry of the last axis, over all other axes.

    An entry that is the same everywhere has no scale: it gets 1, with a warning that names it.

    Args:
        x: The training set [n, ..., d].

    Returns:
        loc and scale, float32 [d] each.
    """
    axes = tuple(range(x.ndim - 1))
    loc, scale = (np.asarray(function(x, axis=axes, dtype=np.float64)) for function in (np.mean, np.std))
    constant = np.flatnonzero(x.min(axis=axes) == x.max(axis=axes))
    if constant.size:
        listed = ", ".join(map(str, constant[:5])) + (", …" if constant.size > 5 else "")
        warnings.warn(
            f"{constant.size} of {len(scale)} features never change in the training set (counted from 0: {listed});"
            " they are not scaled",
            stacklevel=2,
        )
        scale[constant] = 1.0
    return loc.astype(np.float32), scale.astype(np.float32)
