"""Normal entries around the decoder's means."""

from __future__ import annotations

import math
from typing import Any, Literal

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from zoo.likelihoods.likelihood import Likelihood, counted
from zoo.parameters import Positive, checked
from zoo.randomness import Draws


def doubled(example_shape: tuple) -> tuple:
    """The shape of two parameters an entry: along the last axis first all of the one, then all of the other."""
    return (*example_shape[:-1], 2 * example_shape[-1])


def loc_and_scale(parameters: tf.Tensor, smallest: float) -> tuple[tf.Tensor, tf.Tensor]:
    """Splits `doubled` parameters: [..., 2·c] → loc and softplus scale, [..., c] each."""
    loc, raw = tf.split(parameters, 2, axis=-1)
    # A scale that reaches 0 on one entry would make the density infinite.
    return loc, smallest + tf.nn.softplus(raw)


@keras.saving.register_keras_serializable("zoo")
class Gaussian(Likelihood):
    """N(decoder's output, variance · I), or N(loc, diag(scale²)) with both from the decoder.

    With `variance=0.5` the distortion is the sum of squares ‖x − mean‖² (the contrastive paper's reconstruction
    error) plus the constant ½·D·log(2π·½) for D entries.

    Args:
        variance: σ², one number for all entries; where it is learned, its first value.
        learned: train log σ² along with the networks.
        scale: `shared`, σ for all entries, or `each`: the decoder gives a scale for every entry too, behind the means
            along the last axis, through a softplus.
        smallest_scale: what is added to each scale of `each`.

    Raises:
        ValueError: a value out of range, or a variance for scales that the decoder gives.
    """

    reported = ("sum_of_squares",)

    @checked
    def __init__(
        self,
        variance: Positive = 1.0,
        learned: bool = False,
        scale: Literal["shared", "each"] = "shared",
        smallest_scale: Positive = 1e-3,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if scale == "each" and (variance != 1.0 or learned):
            raise ValueError("Gaussian: with scale 'each' the decoder gives the scales; leave out variance and learned")
        self.variance = variance
        self.learned = learned
        self.scale = scale
        self.smallest_scale = smallest_scale
        # Means of images lie in the unit interval; where scales come from the same layer, it must be linear.
        self.output_activation = "sigmoid" if scale == "shared" else "linear"
        if scale == "shared":
            self.log_variance = self.add_weight(
                shape=(),
                initializer=keras.initializers.Constant(math.log(variance)),
                trainable=learned,
                name="log_variance",
            )
        self.built = True

    def parameter_shape(self, example_shape: tuple) -> tuple:
        """The example's own, or twice as many along its last axis."""
        return tuple(example_shape) if self.scale == "shared" else doubled(example_shape)

    def _shared_scale(self, dtype: tf.DType) -> tf.Tensor:
        if self.learned:
            return tf.exp(0.5 * tf.convert_to_tensor(self.log_variance))
        return tf.constant(math.sqrt(self.variance), dtype)

    def log_prob(self, parameters: tf.Tensor, x: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor:
        """The normal log-density; see the base class."""
        if self.scale == "each":
            return counted(tfd.Normal(*loc_and_scale(parameters, self.smallest_scale)).log_prob(x), x, mask)
        # Scaling the sum of squares, and not each entry, halves the passes over memory that bind many images at once.
        scale = self._shared_scale(parameters.dtype)
        squares = counted(tf.math.squared_difference(x, parameters), x, mask)
        entries = tf.cast(tf.reduce_prod(tf.shape(x)[1:]), squares.dtype)
        if mask is not None:
            entries = counted(tf.ones_like(x), x, mask)
        return -0.5 * squares / tf.square(scale) - entries * (tf.math.log(scale) + 0.5 * math.log(2 * math.pi))

    def mean(self, parameters: tf.Tensor) -> tf.Tensor:
        """The means."""
        return parameters if self.scale == "shared" else tf.split(parameters, 2, axis=-1)[0]

    def sample(self, parameters: tf.Tensor, draws: Draws, stream: str) -> tf.Tensor:
        """Mean plus noise, so not confined to the unit interval; reparameterised. See the base class."""
        loc, scale = parameters, self._shared_scale(parameters.dtype)
        if self.scale == "each":
            loc, scale = loc_and_scale(parameters, self.smallest_scale)
        noise = tf.ensure_shape(draws.normal(stream, tf.shape(loc)), loc.shape)
        return loc + scale * noise

    def figures(self, parameters: tf.Tensor, x: tf.Tensor, mask: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        """`sum_of_squares`, ‖x − mean‖², which is no nats."""
        return {"sum_of_squares": counted(tf.square(x - self.mean(parameters)), x, mask)}

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own: dict[str, Any] = {"variance": self.variance, "learned": self.learned}
        if self.scale == "each":
            own = {"scale": self.scale, "smallest_scale": self.smallest_scale}
        return {**super().get_config(), **own}
