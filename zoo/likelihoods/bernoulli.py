"""Independent pixels that are on or off."""

from __future__ import annotations

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from zoo.likelihoods.likelihood import Likelihood, Support, counted
from zoo.randomness import Draws


@keras.saving.register_keras_serializable("zoo")
class Bernoulli(Likelihood):
    """Independent entries in [0, 1]; the decoder gives their logits.

    A grey pixel counts as the probability of a bright one (cross-entropy), as is common; only for binary images is
    that a true likelihood.
    """

    support: Support = "unit_interval"

    def log_prob(self, parameters: tf.Tensor, x: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor:
        """Σ x log p + (1 − x) log(1 − p); see the base class."""
        return counted(tfd.Bernoulli(logits=parameters).log_prob(x), x, mask)

    def mean(self, parameters: tf.Tensor) -> tf.Tensor:
        """The probabilities."""
        return tf.sigmoid(parameters)

    def sample(self, parameters: tf.Tensor, draws: Draws, stream: str) -> tf.Tensor:
        """Entries that are 0 or 1, with the gradient of their probability (straight through); see the base class."""
        mean = self.mean(parameters)
        uniform = tf.ensure_shape(draws.uniform(stream, tf.shape(mean)), mean.shape)
        drawn = tf.cast(uniform < mean, mean.dtype)
        # Adds an exact zero: the entries stay 0 or 1 to the last bit.
        return drawn + (mean - tf.stop_gradient(mean))
