"""Pixels: what arrays are accepted, how they become float32 in [0, 1], and how they are binarised."""

from __future__ import annotations

import warnings
import zlib
from typing import TYPE_CHECKING

import numpy as np

from zoo.data.values import BLOCK, as_float32, check_finite

if TYPE_CHECKING:
    import tensorflow as tf


def check_pixels(images: np.ndarray, *, where: str, unit_interval: bool, first_row: int = 0) -> None:
    """Checks that an array can be trained on or encoded.

    Args:
        images: Supposed to be [n, h, w, c], of integers in 0..255, booleans, or finite floats.
        where: What holds the images, for messages: a file, a data set, an argument.
        unit_interval: Whether floats must lie in [0, 1], as the Bernoulli likelihood needs it.
        first_row: The row of the whole that the array begins with, where it is a part.

    Raises:
        ValueError: In one line, if they are not.
    """
    check_form(images.shape, images.dtype, where)
    kind = images.dtype.kind
    if kind == "b" or images.dtype == np.uint8:
        return
    if kind == "f":
        check_finite(images, where, "pixels", first_row=first_row)
    blocks = [images[start : start + BLOCK] for start in range(0, len(images), BLOCK)]
    low, high = min(block.min() for block in blocks), max(block.max() for block in blocks)
    if kind != "f" and (low < 0 or high > 255):
        raise ValueError(f"{where}: integer pixels must lie in 0..255, found {low}..{high}")
    if kind == "f" and unit_interval and (low < 0 or high > 1):
        raise ValueError(
            f"{where}: float pixels must lie in [0, 1], found [{low:g}, {high:g}]; use uint8, or divide by 255"
        )


def check_form(shape: tuple[int, ...], dtype: np.dtype, where: str) -> None:
    """The part of `check_pixels` that needs no values: the rank, the size and the type."""
    if len(shape) != 4:
        hint = "; add a channel axis" if len(shape) == 3 else ""
        raise ValueError(f"{where}: images must have rank 4, [n, height, width, channels], got shape {shape}{hint}")
    if 0 in shape:
        raise ValueError(f"{where}: no images (shape {shape})")
    if dtype.kind not in "buif":
        raise ValueError(f"{where}: pixels of type {dtype} are not supported; use uint8, bool or a float type")


def as_pixels(images: np.ndarray, *, where: str, first_row: int = 0) -> np.ndarray:
    """Brings a user's array into the form that the zoo works on.

    Args:
        images: [n, h, w] or [n, h, w, c], of booleans, integers in 0..255 or finite floats.
        where: What holds the images, for messages.
        first_row: The row of the whole that the array begins with, where it is a part.

    Returns:
        [n, h, w, c], uint8 for booleans (0 and 255) and integers, float32 for floats.

    Raises:
        ValueError: If `check_pixels` refuses the array.
    """
    images = np.asarray(images)
    if images.ndim == 3:
        images = images[..., np.newaxis]
    check_pixels(images, where=where, unit_interval=False, first_row=first_row)
    if images.dtype.kind == "f":
        _warn_beyond_unit_interval(images, where)
        return as_float32(images, where, "pixels", first_row=first_row)
    if images.dtype.kind == "b":
        return images.astype(np.uint8) * np.uint8(255)
    if images.max() == 1:
        warnings.warn(
            f"{where}: integer pixels are all 0 or 1, nearly black on the scale 0..255; save them as bool, or as"
            " 0 and 255, if they are black and white",
            stacklevel=2,
        )
    return np.ascontiguousarray(images.astype(np.uint8, copy=False))


def _warn_beyond_unit_interval(images: np.ndarray, where: str) -> None:
    """Warns of floats that are on another scale than from 0, black, to 1, white."""
    blocks = [images[start : start + BLOCK] for start in range(0, len(images), BLOCK)]
    low, high = min(block.min() for block in blocks), max(block.max() for block in blocks)
    if low >= 0 and high <= 1:
        return
    cure = "use uint8, or divide by 255" if low >= 0 and 2 < high <= 255 else "scale them to it"
    warnings.warn(
        f"{where}: float pixels lie in [{low:g}, {high:g}], not in [0, 1], and the networks' output does; {cure}, or"
        " give kind: features if they are no pixels",
        stacklevel=3,
    )


def to_unit_interval(x: tf.Tensor) -> tf.Tensor:
    """Scales a batch inside the step, on the device: integers are divided by 255, booleans become 0 and 1.

    Args:
        x: A tensor of any shape.

    Returns:
        float32 of the same shape. Floats keep their values.
    """
    import tensorflow as tf

    scaled = tf.cast(x, tf.float32)
    return scaled / 255.0 if x.dtype.is_integer else scaled


def binarize_once(images: np.ndarray, *, seed: int, split: str, where: str = "images") -> np.ndarray:
    """Draws every pixel once from a Bernoulli distribution with its intensity as mean.

    Args:
        images: [n, h, w, c], uint8, or floats in [0, 1].
        seed: Any whole number. The same seed and split always give the same pixels.
        split: The split string, so that two splits do not share their noise.
        where: What holds the images, for messages.

    Returns:
        uint8 of the same shape, every pixel 0 or 255.

    Raises:
        ValueError: If there are floats outside [0, 1].
    """
    check_pixels(images, where=where, unit_interval=True)
    generator = np.random.default_rng([seed % 2**64, zlib.crc32(split.replace(" ", "").encode())])
    binary = np.empty(images.shape, np.uint8)
    for start in range(0, len(images), BLOCK):
        block = images[start : start + BLOCK]
        if images.dtype == np.uint8:
            # A uniform draw from 0..254 lies below p with probability p / 255, exactly.
            on = generator.integers(0, 255, block.shape, dtype=np.uint8) < block
        else:
            on = generator.random(block.shape, dtype=np.float32) < block
        binary[start : start + BLOCK] = on * np.uint8(255)
    return binary
