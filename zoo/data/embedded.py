"""The embedded data sets, for which nothing is downloaded.

`digits`: scikit-learn's handwritten digits, enlarged to 28x28. `gaussians`: draws of a spherical Gaussian.
"""

from __future__ import annotations

import zlib
from functools import cache

import numpy as np

from zoo.data.catalogue import source
from zoo.data.examples import Examples
from zoo.data.resizing import resize
from zoo.data.splits import resolve

_SIZES = {
    "digits": {"train": 1197, "validation": 300, "test": 300},
    "gaussians": {"train": 10_000, "validation": 2_000, "test": 2_000},
}
# Part of what the data sets are, so it is no option: every machine and every run has the same three splits.
_SEED = 0
# A decoder's sigmoid starts at this mean, so it costs the networks nothing.
_CENTRE = 0.5


@cache
def _digits() -> dict[str, Examples]:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)[..., np.newaxis]
    images, labels = resize(images, 28), digits.target.astype(np.int64)
    sizes = _SIZES["digits"]
    rest, test = train_test_split(np.arange(len(labels)), test_size=sizes["test"], stratify=labels, random_state=_SEED)
    train, validation = train_test_split(rest, test_size=sizes["validation"], stratify=labels[rest], random_state=_SEED)
    rows = {"train": train, "validation": validation, "test": test}
    return {name: Examples(images[each], labels[each]) for name, each in rows.items()}


@cache
def _gaussians() -> dict[str, Examples]:
    found = {}
    for name, count in _SIZES["gaussians"].items():
        generator = np.random.default_rng([_SEED, zlib.crc32(name.encode())])
        noise = generator.standard_normal((count, *source("gaussians").shape), np.float32)
        found[name] = Examples(np.float32(_CENTRE) + noise, None)
    return found


_READERS = {"digits": _digits, "gaussians": _gaussians}


def load_embedded(name: str, split: str) -> Examples:
    """Reads an embedded data set.

    `digits` has 1,197 images for training, 300 for validation, 300 for tests, each class in its share. `gaussians` has
    10,000, 2,000 and 2,000 draws of N(½, I), the synthetic data of Ganea et al. (2019), section 6.1, of which the paper
    prints neither mean nor variance.

    Args:
        name: `digits` or `gaussians`.
        split: `train`, `validation`, `test`, a slice of one, or a sum.

    Returns:
        `digits`: images [n, 28, 28, 1], uint8 with bright strokes, and the digits as labels. `gaussians`: [n, 10, 10,
        1], float32 of any size, and no labels.

    Raises:
        ValueError: If the split does not exist or is empty.
    """
    parts = resolve(split, _SIZES[name], name)
    chosen = [_READERS[name]()[part.name].take(np.arange(part.start, part.stop)) for part in parts]
    return Examples.concatenate(chosen, name)
