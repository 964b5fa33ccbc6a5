"""A random view of a batch, and how several follow on each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from zoo.randomness import Draws


def per_example(values: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """[batch] → [batch, 1, 1, …], as many axes as `like`."""
    return tf.reshape(values, [-1] + [1] * (like.shape.rank - 1))


class View(keras.layers.Layer):
    """Base of the random views: a probability with which it applies, and `transform`."""

    def __init__(self, probability: float = 1.0, **kwargs: Any) -> None:
        # Float32 also under mixed precision: these are examples, not activations.
        super().__init__(**{"dtype": "float32", **kwargs})
        self.probability = probability

    def transform(self, x: tf.Tensor, draws: Draws, stream: str) -> tf.Tensor:
        """The view of every example, drawn under the stream's name."""
        raise NotImplementedError

    def check_size(self, shape: tuple) -> None:
        """Raises ValueError for examples of a shape that the view does not take, or can leave nothing of."""

    def applies(self, x: tf.Tensor) -> bool:
        """Whether it can change examples of this shape at all."""
        return self.probability > 0

    def call(self, x: tf.Tensor, draws: Draws, stream: str = "view") -> tf.Tensor:
        """The view of an example with the layer's probability, else the example itself: [batch, ...]."""
        stream = f"{stream}/{type(self).__name__}"
        changed = self.transform(x, draws, stream)
        if self.probability == 1.0:
            return changed
        chosen = draws.uniform(f"{stream}/chosen", tf.shape(x)[:1]) < self.probability
        return tf.where(per_example(chosen, x), changed, x)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "probability": self.probability}


def apply_views(layers: Sequence[keras.layers.Layer], x: tf.Tensor, draws: Draws, stream: str) -> tf.Tensor:
    """Applies views one after the other; layers of Keras's own draw from their own seeds.

    Args:
        layers: of the zoo, or Keras's random layers.
        x: [batch, ...], prepared by the domain.
        draws: the step's.
        stream: the view's name.
    """
    for i, layer in enumerate(layers):
        if not isinstance(layer, View):
            x = layer(x, training=True)
        elif layer.applies(x):
            x = layer(x, draws=draws, stream=f"{stream}/{i}")
    return x
