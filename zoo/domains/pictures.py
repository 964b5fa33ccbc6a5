"""Grids of images, as arrays and as PNG files."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from PIL import Image


def grid(images: np.ndarray, columns: int | None = None, margin: int = 1) -> np.ndarray:
    """Lays images out in rows.

    Args:
        images: [n, h, w, c], uint8, or floats in the unit interval.
        columns: how many a row; as many as make a square where it is not given.
        margin: dark pixels between images.

    Returns:
        uint8 [H, W, c].

    Raises:
        ValueError: no images, or an array of another rank.
    """
    if images.ndim != 4 or not len(images):
        raise ValueError(f"grid: needs images [n, h, w, c], got an array of shape {images.shape}")
    images = as_uint8(images)
    columns = columns or math.ceil(math.sqrt(len(images)))
    missing = -len(images) % columns
    # A little lighter than black, so that the borders of dark images show.
    padding = [(0, missing), (margin, 0), (margin, 0), (0, 0)]
    images = np.pad(images, padding, constant_values=48)
    rows = images.reshape(-1, columns, *images.shape[1:]).transpose(0, 2, 1, 3, 4)
    whole = rows.reshape(rows.shape[0] * rows.shape[1], -1, images.shape[-1])
    return np.pad(whole, [(0, margin), (0, margin), (0, 0)], constant_values=48)


def pairs(above: np.ndarray, below: np.ndarray, columns: int = 16) -> np.ndarray:
    """A grid of two images over each other, such as originals and reconstructions: [n, h, w, c] each."""
    both = np.concatenate([as_uint8(above), as_uint8(below)], axis=1)
    return grid(both, columns)


def as_uint8(images: np.ndarray) -> np.ndarray:
    """Pixels as bytes; floats are taken as brightness in the unit interval."""
    return images if images.dtype == np.uint8 else np.round(255 * np.clip(images, 0, 1)).astype(np.uint8)


def save_png(image: np.ndarray, path: Path, scale: int = 2) -> None:
    """Writes uint8 [h, w, c] as a PNG, each pixel `scale` wide."""
    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST).save(path)
