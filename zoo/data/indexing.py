"""The number of each example in the training set, which travels with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf

_TAKES = "an array of examples, or a tf.data.Dataset of single examples or tuples that begin with one"


def with_index(data: Any) -> dict[str, Any] | tf.data.Dataset:
    """Numbers examples from 0, for the methods that must tell them apart.

    Number the whole training set once, before it is shuffled, repeated or batched: an example must have the same number
    in every epoch.

    Example:
        >>> model.fit(zoo.data.with_index(images), batch_size=128)
        >>> model.fit(zoo.data.with_index(dataset).shuffle(10_000).batch(128))

    Args:
        data: an array of examples [n, ...]; or a data set of single examples x, or of tuples (x, label, ...).

    Returns:
        `{"x": examples, "index": numbers [n]}`; or the data set with `{"x": x, "index": number}` for x.

    Raises:
        ValueError: anything else, or a data set that is shuffled already.
    """
    import tensorflow as tf

    if isinstance(data, tf.data.Dataset):
        _check_shuffled(data)
        spec = data.element_spec
        first = spec[0] if isinstance(spec, tuple) else spec
        if not isinstance(first, tf.TensorSpec):
            kind = f"keys {', '.join(map(repr, first))}" if isinstance(first, dict) else type(first).__name__
            raise ValueError(f"with_index: takes {_TAKES}; got a data set of {kind}")

        def number(index: tf.Tensor, example: Any) -> Any:
            if isinstance(example, tuple):
                return ({"x": example[0], "index": index}, *example[1:])
            return {"x": example, "index": index}

        return data.enumerate().map(number)
    if not isinstance(data, np.ndarray | tf.Tensor) or not len(data.shape):
        raise ValueError(f"with_index: takes {_TAKES}; got {type(data).__name__}")
    return {"x": data, "index": np.arange(len(data))}


def _check_shuffled(dataset: tf.data.Dataset) -> None:
    """Raises ValueError where an example would get another number in another epoch.

    TensorFlow has no public way from a data set to those that it was made of; where its own does not lead, all pass.
    """
    if "Shuffle" in type(dataset).__name__ and getattr(dataset, "_reshuffle_each_iteration", True):
        raise ValueError(
            "with_index: the data set is shuffled already, so an example would get another number in every epoch; "
            "number it first: with_index(dataset).shuffle(…)"
        )
    for before in getattr(dataset, "_inputs", tuple)():
        _check_shuffled(before)


def check_index(index: Any, images: int, examples: int, *, unique: bool, where: str) -> None:
    """Checks the numbers of images that are in memory.

    Args:
        index: the numbers, or None, which passes.
        images: how many there must be.
        examples: N; numbers lie in 0..N - 1.
        unique: whether none may occur twice.
        where: what holds the numbers, for the message.

    Raises:
        ValueError: numbers that are not so, or no array of whole numbers.
    """
    if index is None:
        return
    if not hasattr(index, "__array__"):
        raise ValueError(f"{where}: index: must be an array of whole numbers, got {type(index).__name__}")
    index = np.asarray(index)
    if index.shape != (images,) or not np.issubdtype(index.dtype, np.integer):
        found = f"{index.dtype} of shape {index.shape}"
        raise ValueError(f"{where}: index: must be one whole number for each of {images} images, got {found}")
    outside = index[(index < 0) | (index >= examples)]
    if outside.size:
        raise ValueError(f"{where}: index: must lie in 0..{examples - 1} for {examples} examples, got {outside[0]}")
    if not unique:
        return
    numbers, counts = np.unique(index, return_counts=True)
    if numbers.size < index.size:
        repeated = f"{numbers[counts > 1][0]} is repeated"
        raise ValueError(f"{where}: index: must differ where each example has a label of its own, but {repeated}")
