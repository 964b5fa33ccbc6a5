"""p(z) as an object: one group of latents, or a chain in which each group is drawn given those before it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from zoo.parameters import Positive, checked, nearest


class Prior(keras.layers.Layer):
    """Base of the priors.

    A subclass gives `conditional`, and a flat one nothing else. z is one vector for all groups, nearest to the top
    first. In the factorising case a conditional is a `tfd.Normal` with a mean and a scale for each unit; another
    TFP distribution over the group's vector, such as a mixture, has no rate in closed form, and a sample's is taken.
    """

    def conditional(self, group: int, above: tf.Tensor | None, size: int) -> tfd.Distribution:
        """p(z of this group | z of the groups above).

        Args:
            group: its number, from 0.
            above: [..., sum of the sizes above], or None for the first group.
            size: of the group.

        Returns:
            A `tfd.Normal` of shape [..., size], or a distribution over vectors with event shape [size].
        """
        raise NotImplementedError

    def log_prob(self, z: tf.Tensor, sizes: Sequence[int] | None = None) -> tf.Tensor:
        """Log p(z) in nats: [..., dim] → [...].

        Args:
            z: the codes.
            sizes: of the groups; one group by default.
        """
        parts, found = tf.split(z, list(sizes or [z.shape[-1]]), axis=-1), []
        for i, part in enumerate(parts):
            above = tf.concat(parts[:i], axis=-1) if i else None
            found.append(log_density(self.conditional(i, above, part.shape[-1]), part))
        return tf.add_n(found)

    def sample(self, noise: tf.Tensor, sizes: Sequence[int] | None = None) -> tf.Tensor:
        """Samples from standard normal noise, group by group: [..., dim] → [..., dim].

        Args:
            noise: standard normal numbers.
            sizes: of the groups; one group by default.

        Raises:
            ValueError: a prior whose samples are no function of normal noise, and that has no `sample` of its own.
        """
        z: tf.Tensor | None = None
        for i, part in enumerate(tf.split(noise, list(sizes or [noise.shape[-1]]), axis=-1)):
            found = self.conditional(i, z, part.shape[-1])
            if not isinstance(found, tfd.Normal):
                raise ValueError(f"{type(self).__name__}: has no normal conditionals, and no `sample` of its own")
            value = found.loc + found.scale * part
            z = value if z is None else tf.concat([z, value], axis=-1)
        return z

    def widened(self, factor: float) -> Prior:
        """The prior with conditionals `factor` times as wide about their means."""
        return Widened(self, factor)


@keras.saving.register_keras_serializable("zoo")
class StandardNormal(Prior):
    """N(0, v·I), with v = 1 the standard normal prior.

    Args:
        variance: v.

    Raises:
        ValueError: a variance that is not positive.
    """

    @checked
    def __init__(self, variance: Positive = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.variance = variance

    def conditional(self, group: int, above: tf.Tensor | None, size: int) -> tfd.Distribution:
        """N(0, v) for every unit."""
        return tfd.Normal(tf.zeros([size]), math.sqrt(self.variance) * tf.ones([size]))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "variance": self.variance}


class Widened(Prior):
    """Another prior, made wider about its means."""

    def __init__(self, prior: Prior, factor: float) -> None:
        super().__init__()
        # Past Keras's tracking: the prior belongs to the model.
        self.__dict__["prior"], self.factor = prior, factor

    def conditional(self, group: int, above: tf.Tensor | None, size: int) -> tfd.Distribution:
        """The other one's, with `factor` times its scale."""
        found = self.prior.conditional(group, above, size)
        if not isinstance(found, tfd.Normal):
            raise ValueError(f"{type(self.prior).__name__}: only normal priors can be widened")
        return tfd.Normal(found.loc, self.factor * found.scale)


def log_density(distribution: tfd.Distribution, z: tf.Tensor) -> tf.Tensor:
    """Log-density of a group's vector, whether its units factorise or not: [..., size] → [...]."""
    found = distribution.log_prob(z)
    return tf.reduce_sum(found, axis=-1) if isinstance(distribution, tfd.Normal) else found


PRIORS = {"standard_normal": StandardNormal}


def get(prior: str | dict[str, Any] | Prior) -> Prior:
    """A prior by name, by `{"name": …, **parameters}`, from a Keras configuration, or as it is.

    Raises:
        ValueError: an unknown name.
    """
    if isinstance(prior, Prior):
        return prior
    if isinstance(prior, dict) and "class_name" in prior:
        return keras.saving.deserialize_keras_object(prior)
    arguments: dict[str, Any] = dict(prior) if isinstance(prior, dict) else {"name": prior}
    name = arguments.pop("name", None)
    if name not in PRIORS:
        raise ValueError(f"prior: no {name!r}; {nearest(name, PRIORS)}")
    return PRIORS[name](**arguments)
