"""The embedded data set: scikit-learn's handwritten digits, enlarged to 28x28. Nothing is downloaded."""

from __future__ import annotations

from functools import cache

import numpy as np

from zoo.data.examples import Examples
from zoo.data.resizing import resize
from zoo.data.splits import resolve

_SIZES = {"train": 1197, "validation": 300, "test": 300}
# Part of what the data set is, so it is no option: every machine and every run has the same three splits.
_SPLIT_SEED = 0


@cache
def _digits() -> dict[str, Examples]:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)[..., np.newaxis]
    images, labels = resize(images, 28), digits.target.astype(np.int64)
    rest, test = train_test_split(
        np.arange(len(labels)), test_size=_SIZES["test"], stratify=labels, random_state=_SPLIT_SEED
    )
    train, validation = train_test_split(
        rest, test_size=_SIZES["validation"], stratify=labels[rest], random_state=_SPLIT_SEED
    )
    rows = {"train": train, "validation": validation, "test": test}
    return {name: Examples(images[each], labels[each]) for name, each in rows.items()}


def load_embedded(split: str) -> Examples:
    """Reads the digits: 1,197 for training, 300 for validation, 300 for tests, each class in its share.

    Args:
        split: `train`, `validation`, `test`, a slice of one, or a sum.

    Returns:
        Images [n, 28, 28, 1], uint8 with bright strokes, and the digits as labels.

    Raises:
        ValueError: If the split does not exist or is empty.
    """
    parts = resolve(split, _SIZES, "digits")
    chosen = [_digits()[part.name].take(np.arange(part.start, part.stop)) for part in parts]
    return Examples.concatenate(chosen, "digits")
