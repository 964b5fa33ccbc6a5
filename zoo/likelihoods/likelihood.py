"""What every likelihood declares, and p(x|z) as an object."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import keras
import tensorflow as tf

from zoo.randomness import Draws

Support = Literal["unit_interval", "real", "categories"]


class Likelihood(keras.layers.Layer):
    """Log p(x | parameters): what a decoder's output means.

    A subclass gives `log_prob` and `mean`; `sample` where the model is to draw examples.

    Attributes:
        output_activation: what a network of the zoo puts behind its last layer.
        support: which examples it takes: in the unit interval, any real ones, or numbers of categories.
        normalised: whether exp(log_prob) integrates to 1 over x. If not, the model has no ELBO, no likelihood and no
            bits: they are not reported, and asking for them is an error.
        reported: names of further figures that `figures` gives.
    """

    output_activation = "linear"
    support: Support = "real"
    normalised = True
    reported: tuple[str, ...] = ()

    def parameter_shape(self, example_shape: tuple) -> tuple:
        """What a decoder must give for an example of this shape; by default a number for each entry."""
        return tuple(example_shape)

    def log_prob(self, parameters: tf.Tensor, x: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor:
        """Log p(x | parameters) in nats, summed over an example's entries.

        Args:
            parameters: [..., batch, *parameter_shape], the decoder's output.
            x: [batch, *example].
            mask: [batch, ...], True for the entries that count, with as many of the example's axes as it needs; None
                for all.

        Returns:
            [..., batch].
        """
        raise NotImplementedError

    def mean(self, parameters: tf.Tensor) -> tf.Tensor:
        """E[x | parameters], or the likeliest x where x has no mean: [..., batch, *example]."""
        raise NotImplementedError

    def sample(self, parameters: tf.Tensor, draws: Draws, stream: str) -> tf.Tensor:
        """A sample of x for each example, through which gradients reach the parameters where x is continuous.

        Args:
            parameters: [batch, *parameter_shape].
            draws: the step's random numbers; a replica's rows are those of the global batch.
            stream: names the draw.

        Returns:
            [batch, *example].
        """
        raise NotImplementedError(f"{type(self).__name__}: cannot be sampled")

    def figures(self, parameters: tf.Tensor, x: tf.Tensor, mask: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        """What is reported beside the distortion, by the names in `reported`: [..., batch] each."""
        return {}


def counted(values: tf.Tensor, x: tf.Tensor, mask: tf.Tensor | None) -> tf.Tensor:
    """Sums values [..., batch, *example] over the entries of each example that the mask lets count: [..., batch]."""
    entries = len(x.shape) - 1
    if mask is not None:
        mask = tf.reshape(mask, tf.concat([tf.shape(mask), tf.ones([len(x.shape) - len(mask.shape)], tf.int32)], 0))
        # Not a product: 0 · inf would spoil the sum.
        values = tf.where(tf.cast(mask, tf.bool), values, tf.zeros_like(values))
    return tf.reduce_sum(values, axis=list(range(-entries, 0))) if entries else values


class Conditional:
    """p(x|z) for given codes: what `VAE.generate` returns.

    Args:
        likelihood: what the parameters mean.
        parameters: [..., batch, *parameter_shape]; None where an autoregressive decoder has not been told any x.
        step: an autoregressive decoder: x so far [batch, *example] → parameters.
        count: how many examples it is to generate step by step.
        example_shape: of one of them.
    """

    def __init__(
        self,
        likelihood: Likelihood,
        parameters: tf.Tensor | None,
        step: Callable[[tf.Tensor], tf.Tensor] | None = None,
        count: Any = 0,
        example_shape: tuple = (),
    ) -> None:
        self.likelihood = likelihood
        self.given_parameters = parameters
        self.step = step
        self.count = count
        self.example_shape = tuple(example_shape)

    @property
    def parameters(self) -> tf.Tensor:
        """Of the likelihood.

        Raises:
            ValueError: an autoregressive decoder that has not been told the examples.
        """
        if self.given_parameters is None:
            raise ValueError("generate: this decoder looks at x too; give it the examples, generate(z, given=x)")
        return self.given_parameters

    def log_prob(self, x: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor:
        """Log p(x|z) in nats, [..., batch], of examples x [batch, *example]; see `Likelihood.log_prob`."""
        return self.likelihood.log_prob(self.parameters, x, mask)

    def figures(self, x: tf.Tensor, mask: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        """What the likelihood reports beside log p(x|z), [..., batch] each."""
        return self.likelihood.figures(self.parameters, x, mask)

    def mean(self) -> tf.Tensor:
        """E[x|z]; of an autoregressive decoder the x whose every entry is the mean given those before it."""
        if self.given_parameters is None:
            return self._in_order(lambda parameters, _: self.likelihood.mean(parameters))
        return self.likelihood.mean(self.given_parameters)

    def sample(self, draws: Draws, stream: str) -> tf.Tensor:
        """A sample for each example; of an autoregressive decoder entry by entry, one pass of the decoder each."""
        if self.given_parameters is None:
            return self._in_order(lambda parameters, i: self.likelihood.sample(parameters, draws.at(i), stream))
        return self.likelihood.sample(self.given_parameters, draws, stream)

    def _in_order(self, next_x: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]) -> tf.Tensor:
        """Fills x along the first axis of an example, for images along its first two, row by row."""
        assert self.step is not None
        step, places = self.step, list(self.example_shape)
        if None in places:
            raise ValueError("sample: the examples have no fixed size, which an autoregressive decoder needs to start")
        ordered = places[:2] if len(places) == 3 else places[:1]
        total = math.prod(ordered)

        def fill(i: tf.Tensor, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            here = tf.reshape(tf.one_hot(i, total, on_value=True, off_value=False), [1, *ordered])
            here = tf.reshape(here, [1, *ordered, *[1] * (len(places) - len(ordered))])
            return i + 1, tf.where(here, tf.cast(next_x(step(x), i), x.dtype), x)

        start = tf.ensure_shape(tf.zeros(tf.stack([self.count, *places])), [None, *places])
        shapes = [tf.TensorShape([]), start.shape]
        return tf.while_loop(lambda i, _: i < total, fill, [tf.constant(0), start], shape_invariants=shapes)[1]
