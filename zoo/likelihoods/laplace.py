"""Laplace entries around the decoder's medians: Gaussian's counterpart for data with outliers."""

from __future__ import annotations

from typing import Any, Literal

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from zoo.likelihoods.gaussian import doubled, loc_and_scale
from zoo.likelihoods.likelihood import Likelihood, counted
from zoo.parameters import Positive, checked
from zoo.randomness import Draws


@keras.saving.register_keras_serializable("zoo")
class Laplace(Likelihood):
    """Independent entries with the density exp(−|x − loc| / b) / 2b.

    Args:
        b: the scale of all entries.
        scale: `shared`, b for all entries, or `each`: the decoder gives a scale for every entry too, behind the
            locations along the last axis, through a softplus.
        smallest_scale: what is added to each scale of `each`.

    Raises:
        ValueError: a value out of range, or a scale b for scales that the decoder gives.
    """

    @checked
    def __init__(
        self,
        b: Positive = 1.0,
        scale: Literal["shared", "each"] = "shared",
        smallest_scale: Positive = 1e-3,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if scale == "each" and b != 1.0:
            raise ValueError("Laplace: with scale 'each' the decoder gives the scales; leave out b")
        self.b = b
        self.scale = scale
        self.smallest_scale = smallest_scale

    def parameter_shape(self, example_shape: tuple) -> tuple:
        """The example's own, or twice as many along its last axis."""
        return tuple(example_shape) if self.scale == "shared" else doubled(example_shape)

    def _loc_and_scale(self, parameters: tf.Tensor) -> tuple[tf.Tensor, Any]:
        return (parameters, self.b) if self.scale == "shared" else loc_and_scale(parameters, self.smallest_scale)

    def log_prob(self, parameters: tf.Tensor, x: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor:
        """The Laplace log-density; see the base class."""
        return counted(tfd.Laplace(*self._loc_and_scale(parameters)).log_prob(x), x, mask)

    def mean(self, parameters: tf.Tensor) -> tf.Tensor:
        """The locations."""
        return self._loc_and_scale(parameters)[0]

    def sample(self, parameters: tf.Tensor, draws: Draws, stream: str) -> tf.Tensor:
        """By the inverse of the distribution function; reparameterised. See the base class."""
        loc, scale = self._loc_and_scale(parameters)
        # In (−½, ½): a uniform number of exactly 0 would be minus infinity.
        limit = 0.5 - 2.0**-25
        centred = tf.clip_by_value(draws.uniform(stream, tf.shape(loc)) - 0.5, -limit, limit)
        return loc - scale * tf.sign(centred) * tf.math.log1p(-2.0 * tf.abs(centred))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {"b": self.b, "scale": self.scale, "smallest_scale": self.smallest_scale}
        return {**super().get_config(), **own}
