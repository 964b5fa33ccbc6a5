"""One batch as the objective sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tensorflow as tf


@dataclass(frozen=True)
class Batch:
    """What the terms of a loss are computed on.

    Attributes:
        x: the images that the ELBO sees, as `view` gave them: [batch, ...] in the unit interval.
        original: the images before `view`.
        index: the number of each example in the training set, [batch], where the data tell it.
        stream: names the random draws made for x; other views of the same step have names of their own.
    """

    x: tf.Tensor
    original: tf.Tensor
    index: tf.Tensor | None = None
    stream: str = "posterior"


def split_index(x: Any) -> tuple[Any, Any]:
    """Takes `{"x": images, "index": numbers}` apart; anything else is images without numbers.

    Raises:
        ValueError: a mapping with other keys.
    """
    if not isinstance(x, dict):
        return x, None
    if "x" not in x or not set(x) <= {"x", "index"}:
        raise ValueError(f"inputs: a mapping takes the keys 'x' and 'index', got {', '.join(map(repr, x))}")
    return x["x"], x.get("index")


def images_of(x: Any) -> Any:
    """The images, or their specification, in anything that `fit` takes.

    Args:
        x: an array or a tensor, `{"x": …, "index": …}`, or a data set of these, alone or with labels and weights.
    """
    if isinstance(x, tf.data.Dataset):
        x = x.element_spec
        x = x[0] if isinstance(x, tuple) else x
    return split_index(x)[0]
