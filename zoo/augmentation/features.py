"""Random views of features: rows of a table, time series, spectra."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from zoo.augmentation.view import View, per_example
from zoo.parameters import Fraction, NonNegative, checked
from zoo.randomness import Draws


@keras.saving.register_keras_serializable("zoo")
class AddNoise(View):
    """Adds normal noise to every entry.

    Args:
        strength: its standard deviation, in the units of the prepared features.
        probability: of applying it to an example.
    """

    @checked
    def __init__(self, strength: NonNegative = 0.1, probability: Fraction = 1.0, **kwargs: Any) -> None:
        super().__init__(probability=probability, **kwargs)
        self.strength = strength

    def transform(self, x: tf.Tensor, draws: Draws, stream: str) -> tf.Tensor:
        """The noisy examples."""
        return x + self.strength * tf.ensure_shape(draws.normal(stream, tf.shape(x)), x.shape)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "strength": self.strength}


@keras.saving.register_keras_serializable("zoo")
class MaskEntries(View):
    """Puts 0, the mean of standardised features, in the place of entries; of a series whole steps are hidden.

    Args:
        share: of the entries or steps, each hidden by its own throw of a coin.
        probability: of applying it to an example.
    """

    @checked
    def __init__(self, share: Fraction = 0.2, probability: Fraction = 1.0, **kwargs: Any) -> None:
        super().__init__(probability=probability, **kwargs)
        self.share = share

    def transform(self, x: tf.Tensor, draws: Draws, stream: str) -> tf.Tensor:
        """The examples with holes."""
        kept = draws.uniform(stream, tf.shape(x)[:2]) >= self.share
        kept = tf.reshape(kept, tf.concat([tf.shape(x)[:2], tf.ones([x.shape.rank - 2], tf.int32)], 0))
        return tf.where(kept, x, tf.zeros_like(x))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "share": self.share}


@keras.saving.register_keras_serializable("zoo")
class Rescale(View):
    """Multiplies each example by a factor, uniform in [1 − strength, 1 + strength].

    Args:
        strength: below 1.
        probability: of applying it to an example.
    """

    @checked
    def __init__(self, strength: Fraction = 0.1, probability: Fraction = 1.0, **kwargs: Any) -> None:
        super().__init__(probability=probability, **kwargs)
        self.strength = strength

    def transform(self, x: tf.Tensor, draws: Draws, stream: str) -> tf.Tensor:
        """The louder or softer examples."""
        factor = 1.0 + self.strength * draws.uniform(stream, tf.shape(x)[:1], -1.0, 1.0)
        return x * per_example(factor, x)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "strength": self.strength}
