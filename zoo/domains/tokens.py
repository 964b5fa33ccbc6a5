"""Tokens: sequences of whole numbers, with a mask for what fills the shorter ones up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from zoo.domains.domain import Domain
from zoo.parameters import Count, Size, checked

if TYPE_CHECKING:
    import tensorflow as tf


@keras.saving.register_keras_serializable("zoo")
class Tokens(Domain):
    """Sequences [n, steps] of whole numbers below `vocabulary`, filled up behind their ends with `padding`.

    Args:
        vocabulary: how many different tokens there are.
        padding: the token that fills up; it counts neither in the distortion nor in a likelihood.

    Raises:
        ValueError: a value out of range.
    """

    noun = "sequences"
    types = ("int32", "int64", "float32")

    @checked
    def __init__(self, vocabulary: Count, padding: Size = 0) -> None:
        self.vocabulary = vocabulary
        self.padding = padding

    def check(self, x: np.ndarray, where: str, support: str = "real") -> None:
        """Rank 2, whole numbers from 0 to `vocabulary` − 1."""
        if x.ndim != 2 or x.size == 0 or not np.issubdtype(x.dtype, np.integer):
            found = f"{x.dtype} of shape {x.shape}"
            raise ValueError(f"{where}: must hold sequences of whole numbers, [n, steps], got {found}")
        if x.min() < 0 or x.max() >= self.vocabulary:
            raise ValueError(
                f"{where}: tokens must lie in 0..{self.vocabulary - 1}, the vocabulary, found {x.min()}..{x.max()}"
            )

    def mask(self, x: tf.Tensor) -> tf.Tensor | None:
        """True for tokens that are no padding: [batch, steps]."""
        return x != float(self.padding)

    def invalid(self, x: tf.Tensor, support: str = "real") -> tf.Tensor:
        """How many numbers are no tokens."""
        import tensorflow as tf

        return tf.math.count_nonzero((x < 0) | (x >= self.vocabulary) | (x != tf.round(x)))

    def draw(self, x: np.ndarray, below: np.ndarray | None = None) -> np.ndarray:
        """Rows of tokens as a picture in shades."""
        from zoo.domains import pictures

        parts = [np.asarray(part, np.float32)[:, None, :, None] for part in (x, below) if part is not None]
        return pictures.grid(np.concatenate(parts, axis=1) / self.vocabulary, 1)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"vocabulary": self.vocabulary, "padding": self.padding}
