"""p(x|z): what a decoder's output means.

A likelihood turns the decoder's output into a TFP distribution over images, so that distortion is a true negative
log-likelihood in nats, with its constant.
"""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from zoo.parameters import Positive, checked, nearest
from zoo.randomness import Draws


class Likelihood(keras.layers.Layer):
    """Base of the likelihoods.

    Attributes:
        output_activation: what a network of the zoo puts behind its last layer.
        unit_interval: whether pixels must lie in [0, 1].
    """

    output_activation = "linear"
    unit_interval = False

    def distribution(self, parameters: tf.Tensor, event_ndims: int) -> tfd.Distribution:
        """p(x|z) from the decoder's output.

        Args:
            parameters: [..., *image], the decoder's output.
            event_ndims: how many of the last axes make one example.
        """
        raise NotImplementedError

    def sample(self, distribution: tfd.Distribution, draws: Draws, stream: str) -> tf.Tensor:
        """A sample of p(x|z) for each example, through which gradients reach the decoder's output.

        Args:
            distribution: what `distribution` gave, with batch shape [batch].
            draws: the step's random numbers; a replica's rows are those of the global batch.
            stream: names the draw.

        Returns:
            Images [batch, *image].
        """
        raise NotImplementedError


@keras.saving.register_keras_serializable("zoo")
class Bernoulli(Likelihood):
    """Independent pixels in [0, 1]; the decoder gives their logits.

    A grey pixel counts as the probability of a bright one (cross-entropy), as is common; only for binary images is
    that a true likelihood.
    """

    unit_interval = True

    def distribution(self, parameters: tf.Tensor, event_ndims: int) -> tfd.Distribution:
        """Bernoulli pixels with the given logits; see the base class."""
        return tfd.Independent(tfd.Bernoulli(logits=parameters), event_ndims)

    def sample(self, distribution: tfd.Distribution, draws: Draws, stream: str) -> tf.Tensor:
        """Pixels that are 0 or 1, with the gradient of their probability (straight through); see the base class."""
        mean = distribution.mean()
        uniform = tf.ensure_shape(draws.uniform(stream, tf.shape(mean)), mean.shape)
        drawn = tf.cast(uniform < mean, mean.dtype)
        # Adds an exact zero: the pixels stay 0 or 1 to the last bit.
        return drawn + (mean - tf.stop_gradient(mean))


class _Isotropic(tfd.Independent):
    """Independent normal pixels of one standard deviation, whose density is a sum of squares.

    Scaling the sum instead of each pixel halves the passes over memory that many images at once are bound by.
    """

    def _log_prob(self, value: tf.Tensor, **kwargs: Any) -> tf.Tensor:
        mean, scale = self.distribution.loc, self.distribution.scale
        axes = list(range(-self.parameters["reinterpreted_batch_ndims"], 0))
        squares = tf.reduce_sum(tf.math.squared_difference(value, mean), axes)
        pixels = tf.cast(tf.reduce_prod(tf.shape(mean)[axes[0] :]), squares.dtype)
        return -0.5 * squares / tf.square(scale) - pixels * (tf.math.log(scale) + 0.5 * math.log(2 * math.pi))


@keras.saving.register_keras_serializable("zoo")
class Gaussian(Likelihood):
    """N(decoder's output, variance · I).

    With `variance=0.5` the distortion is the sum of squares ‖x − mean‖² (the contrastive paper's reconstruction
    error) plus the constant ½·D·log(2π·½) for D pixels.

    Args:
        variance: σ², one number for all pixels; where it is learned, its first value.
        learned: train log σ² along with the networks.

    Raises:
        ValueError: a variance that is not positive.
    """

    output_activation = "sigmoid"

    @checked
    def __init__(self, variance: Positive = 1.0, learned: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.variance = variance
        self.learned = learned
        self.log_variance = self.add_weight(
            shape=(),
            initializer=keras.initializers.Constant(math.log(variance)),
            trainable=learned,
            name="log_variance",
        )
        self.built = True

    def distribution(self, parameters: tf.Tensor, event_ndims: int) -> tfd.Distribution:
        """Gaussian pixels around the given means; see the base class."""
        if self.learned:
            scale = tf.exp(0.5 * tf.convert_to_tensor(self.log_variance))
        else:
            scale = tf.constant(math.sqrt(self.variance), parameters.dtype)
        return _Isotropic(tfd.Normal(parameters, scale), event_ndims)

    def sample(self, distribution: tfd.Distribution, draws: Draws, stream: str) -> tf.Tensor:
        """Mean plus noise, so not confined to the unit interval; reparameterised. See the base class."""
        mean = distribution.mean()
        noise = tf.ensure_shape(draws.normal(stream, tf.shape(mean)), mean.shape)
        return mean + distribution.stddev() * noise

    def get_config(self) -> dict[str, Any]:
        """Variance and whether it is learned."""
        return {**super().get_config(), "variance": self.variance, "learned": self.learned}


LIKELIHOODS = {"bernoulli": Bernoulli, "gaussian": Gaussian}


def get(likelihood: str | dict[str, Any] | Likelihood) -> Likelihood:
    """A likelihood by name, by `{"name": …, **parameters}`, from a Keras configuration, or as it is.

    Raises:
        ValueError: an unknown name or parameter.
    """
    if isinstance(likelihood, Likelihood):
        return likelihood
    if isinstance(likelihood, dict) and "class_name" in likelihood:
        return keras.saving.deserialize_keras_object(likelihood)
    arguments: dict[str, Any] = dict(likelihood) if isinstance(likelihood, dict) else {"name": likelihood}
    name = arguments.pop("name", None)
    if name not in LIKELIHOODS:
        raise ValueError(f"likelihood: no {name!r}; {nearest(name, LIKELIHOODS)}")
    return LIKELIHOODS[name](**arguments)
