"""Crops, sizes and channels of images in memory. Pillow resizes, in integers for uint8: the same on every machine."""

from __future__ import annotations

import numpy as np
from PIL import Image

# Luma weights of ITU-R BT.601, which Pillow uses for its own conversion to gray.
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def centre_crop(images: np.ndarray, side: int) -> np.ndarray:
    """Cuts the middle `side` x `side` pixels out of [n, h, w, c]; an odd margin leaves its extra pixel at the end."""
    height, width = images.shape[1:3]
    top, left = (height - side) // 2, (width - side) // 2
    return images[:, top : top + side, left : left + side]


def resize(images: np.ndarray, size: int) -> np.ndarray:
    """Resizes [n, h, w, c] to [n, size, size, c], uint8 or float32.

    Shrinking averages over all the pixels under a new one and a little beyond (a Hamming window: no weight is
    negative), so that thin strokes grow fainter but never vanish; enlarging is bicubic, clipped to the image's range.
    """
    count, height, width, channels = images.shape
    if (height, width) == (size, size):
        return images
    resampling = Image.Resampling.HAMMING if size <= min(height, width) else Image.Resampling.BICUBIC
    planes = images.dtype != np.uint8 or channels != 3
    resized = np.empty((count, size, size, channels), images.dtype)
    for image, target in zip(images, resized, strict=True):
        if planes:
            for channel in range(channels):
                plane = Image.fromarray(np.ascontiguousarray(image[..., channel]))
                target[..., channel] = np.asarray(plane.resize((size, size), resampling))
        else:
            picture = Image.fromarray(np.ascontiguousarray(image))
            target[...] = np.asarray(picture.resize((size, size), resampling))
        if images.dtype != np.uint8:
            np.clip(target, image.min(), image.max(), out=target)
    return resized


def fit(images: np.ndarray, size: int | None) -> np.ndarray:
    """Cuts [n, h, w, c] to its middle square and resizes that to `size`; `None` leaves the images as they are."""
    if size is None:
        return images
    return resize(centre_crop(images, min(images.shape[1:3])), size)


def with_channels(images: np.ndarray, channels: int | None, *, where: str) -> np.ndarray:
    """Turns gray into colour (three equal channels) or colour into gray (luma); `None` leaves the images as they are.

    Raises:
        ValueError: If the images have neither 1 nor 3 channels.
    """
    present = images.shape[-1]
    if channels is None or channels == present:
        return images
    if present == 1 and channels == 3:
        return np.repeat(images, 3, axis=-1)
    if present == 3 and channels == 1:
        gray = (images @ _LUMA)[..., np.newaxis]
        return np.rint(gray).astype(np.uint8) if images.dtype == np.uint8 else gray
    raise ValueError(f"{where}: images of {present} channels cannot become images of {channels}")
