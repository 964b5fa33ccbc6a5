"""Tokens: sequences of whole numbers, with a mask for what fills the shorter ones up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from zoo.domains.categories import Categories
from zoo.parameters import Count, Size, checked

if TYPE_CHECKING:
    import tensorflow as tf


@keras.saving.register_keras_serializable("zoo")
class Tokens(Categories):
    """Sequences [n, steps] of whole numbers below `vocabulary`, filled up behind their ends with `padding`.

    Args:
        vocabulary: how many different tokens there are.
        padding: the token that fills up; it counts neither in the distortion nor in a likelihood. None: every token
            counts.

    Raises:
        ValueError: a value out of range.
    """

    noun = "sequences"
    types = ("int32", "int64", "float32")

    @checked
    def __init__(self, vocabulary: Count, padding: Size | None = None) -> None:
        super().__init__(vocabulary)
        self.vocabulary = vocabulary
        self.padding = padding
        if padding is not None and padding >= vocabulary:
            raise ValueError(f"Tokens: padding {padding} is no token below {vocabulary}, the vocabulary")

    def check(self, x: np.ndarray, where: str, support: str = "real") -> None:
        """Rank 2, whole numbers from 0 to `vocabulary` − 1."""
        if x.ndim != 2:
            raise ValueError(f"{where}: must hold sequences of whole numbers, [n, steps], got shape {x.shape}")
        super().check(x, where, support)

    def limits(self) -> str:
        """What its numbers lie in, for messages."""
        return f"{super().limits()}, the vocabulary"

    def mask(self, x: tf.Tensor) -> tf.Tensor | None:
        """True for tokens that are no padding: [batch, steps]."""
        return None if self.padding is None else x != float(self.padding)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"vocabulary": self.vocabulary, "padding": self.padding}
