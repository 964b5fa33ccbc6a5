"""Entries that are one of several categories: words, levels of a pixel."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from zoo.likelihoods.likelihood import Likelihood, Support, counted
from zoo.parameters import Count, checked
from zoo.randomness import Draws


@keras.saving.register_keras_serializable("zoo")
class Categorical(Likelihood):
    """Independent entries, whole numbers from 0 to `categories` − 1; the decoder gives the logits of each.

    Args:
        categories: how many there are: the size of a vocabulary.

    Raises:
        ValueError: a value out of range.
    """

    support: Support = "categories"

    @checked
    def __init__(self, categories: Count, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.categories = categories

    def parameter_shape(self, example_shape: tuple) -> tuple:
        """The example's own, with an axis of logits behind it."""
        return (*example_shape, self.categories)

    def log_prob(self, parameters: tf.Tensor, x: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor:
        """Σ log softmax of the true category; see the base class."""
        everywhere = tf.broadcast_to(tf.cast(x, tf.int32), tf.shape(parameters)[:-1])
        found = -tf.nn.sparse_softmax_cross_entropy_with_logits(everywhere, parameters)
        return counted(found, x, mask)

    def mean(self, parameters: tf.Tensor) -> tf.Tensor:
        """The likeliest category of each entry, as categories have no mean: float32."""
        return tf.cast(tf.argmax(parameters, axis=-1), tf.float32)

    def sample(self, parameters: tf.Tensor, draws: Draws, stream: str) -> tf.Tensor:
        """A category for each entry, by the largest of logits plus Gumbel noise; without gradient."""
        uniform = draws.uniform(stream, tf.shape(parameters), 1e-20, 1.0)
        return tf.cast(tf.argmax(parameters - tf.math.log(-tf.math.log(uniform)), axis=-1), tf.float32)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "categories": self.categories}
