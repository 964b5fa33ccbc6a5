"""The embedded data sets, for which nothing is downloaded.

`digits`: scikit-learn's handwritten digits, enlarged to 28x28. `gaussians`: draws of a spherical Gaussian. `noise`:
random pixels. `wine`: scikit-learn's table. `waves`: noisy sines.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import numpy as np

from zoo.data.catalogue import source
from zoo.data.examples import Examples
from zoo.data.resizing import resize
from zoo.data.splits import resolve

# Part of what the data sets are, so it is no option: every machine and every run has the same three splits.
_SEED = 0
# A decoder's sigmoid starts at this mean, so it costs the networks nothing.
_CENTRE = 0.5
# Standard deviation of what the three factors of `waves` do not explain.
_NOISE = 0.1


@cache
def _digits() -> dict[str, Examples]:
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)[..., np.newaxis]
    return _stratified(Examples(resize(images, 28), digits.target.astype(np.int64)), source("digits").sizes)


def _stratified(whole: Examples, sizes: Mapping[str, int]) -> dict[str, Examples]:
    """Three splits with each class in its share."""
    from sklearn.model_selection import train_test_split

    labels = whole.labels
    assert labels is not None
    rest, test = train_test_split(np.arange(len(labels)), test_size=sizes["test"], stratify=labels, random_state=_SEED)
    train, validation = train_test_split(rest, test_size=sizes["validation"], stratify=labels[rest], random_state=_SEED)
    return {name: whole.take(rows) for name, rows in (("train", train), ("validation", validation), ("test", test))}


@cache
def _gaussians() -> dict[str, Examples]:
    found = {}
    for name, count in source("gaussians").sizes.items():
        noise = _generator(name).standard_normal((count, *source("gaussians").shape), np.float32)
        found[name] = Examples(np.float32(_CENTRE) + noise, None)
    return found


@cache
def _noise() -> dict[str, Examples]:
    shape, sizes = source("noise").shape, source("noise").sizes
    drawn = {name: _generator(name).integers(0, 256, (count, *shape), np.uint8) for name, count in sizes.items()}
    return {name: Examples(images, None) for name, images in drawn.items()}


def _generator(split: str) -> np.random.Generator:
    """Of a split's own random numbers."""
    return np.random.default_rng([_SEED, zlib.crc32(split.encode())])


@cache
def _wine() -> dict[str, Examples]:
    from sklearn.datasets import load_wine

    wine = load_wine()
    return _stratified(Examples(wine.data.astype(np.float32), wine.target.astype(np.int64)), source("wine").sizes)


@cache
def _waves() -> dict[str, Examples]:
    steps, channels = source("waves").shape
    found = {}
    for name, count in source("waves").sizes.items():
        generator = _generator(name)
        amplitude, periods, delay = generator.uniform([0.5, 1.0, 0.0], [1.5, 3.0, 0.1], (count, 3)).T
        time = np.arange(steps)[:, None] / steps - delay[:, None, None] * np.arange(channels)
        clean = amplitude[:, None, None] * np.sin(2 * np.pi * periods[:, None, None] * time)
        noisy = clean + _NOISE * generator.standard_normal(clean.shape)
        found[name] = Examples(noisy.astype(np.float32), np.floor(1.5 * (periods - 1)).astype(np.int64))
    return found


_READERS = {"digits": _digits, "gaussians": _gaussians, "noise": _noise, "wine": _wine, "waves": _waves}


def load_embedded(name: str, split: str) -> Examples:
    """Reads an embedded data set.

    `digits` has 1,197 images for training, 300 for validation, 300 for tests, each class in its share. `gaussians` has
    10,000, 2,000 and 2,000 draws of N(½, I), the synthetic data of Ganea et al. (2019), section 6.1, of which the paper
    prints neither mean nor variance. `noise` has as many images of independent pixels, uniform from 0 to 255. `wine`
    has 118, 30 and 30 rows, each class in its share. `waves` has 2,000, 500 and 500 series x[t, c] = a · sin(2π f
    (t/50 − c·d)) plus noise of standard deviation 0.1: its three factors are the amplitude a in [0.5, 1.5], the periods
    f in [1, 3] and the delay d in [0, 0.1] from channel to channel, all uniform.

    Args:
        name: Of `digits`, `gaussians`, `noise`, `wine` and `waves`.
        split: `train`, `validation`, `test`, a slice of one, or a sum.

    Returns:
        `digits`: images [n, 28, 28, 1], uint8 with bright strokes, and the digits as labels. `gaussians`: [n, 10, 10,
        1], float32 of any size, and no labels. `noise`: [n, 28, 28, 1], uint8, and no labels. `wine`: [n, 13], float32
        in their own units, and the growers. `waves`: [n, 50, 3], float32, and the third of [1, 3] in which f lies.

    Raises:
        ValueError: If the split does not exist or is empty.
    """
    parts = resolve(split, source(name).sizes, name)
    chosen = [_READERS[name]()[part.name].take(np.arange(part.start, part.stop)) for part in parts]
    return replace(Examples.concatenate(chosen, name), parts=tuple(parts))
