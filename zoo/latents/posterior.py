"""What an encoder says of an example: its posteriors, their priors and one reparameterised sample of each.

A flat VAE has one latent group, a hierarchical one has several. Regularisers speak to `Latents` only, so they
run on either.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import tensorflow as tf
from tensorflow_probability import distributions as tfd


class Group(NamedTuple):
    """One latent group: q(z|x), p(z) (both with event shape [...] and batch shape [batch]) and z ~ q."""

    posterior: tfd.Distribution
    prior: tfd.Distribution
    value: tf.Tensor


def gaussian(loc: tf.Tensor, scale: tf.Tensor) -> tfd.Distribution:
    """N(loc, diag(scale²)) with all axes but the first as the event: [batch, ...]."""
    return tfd.Independent(tfd.Normal(loc, scale), reinterpreted_batch_ndims=loc.shape.rank - 1)


def widened(distribution: tfd.Distribution, factor: float) -> tfd.Distribution:
    """A Gaussian of `gaussian` with the same mean and `factor` times its standard deviation."""
    return gaussian(distribution.mean(), factor * distribution.stddev())


def sufficient_statistics(z: tf.Tensor) -> tf.Tensor:
    """T(z) = (z², z, 1), whose inner product with `Latents.natural_parameters` is log q(z|x): [rows, 2·dim + 1]."""
    z = tf.cast(z, tf.float64)
    return tf.concat([tf.square(z), z, tf.ones_like(z[:, :1])], axis=1)


def _flat(x: tf.Tensor) -> tf.Tensor:
    return x if x.shape.rank == 2 else tf.reshape(x, [tf.shape(x)[0], -1])


class Latents:
    """The posterior over all latent groups of a batch.

    Args:
        *groups: from the first (nearest to the prior) to the last.
    """

    def __init__(self, *groups: Group) -> None:
        self.groups = groups
        # The encoder's early features of the same examples, where a method has asked for them.
        self.features: Any = None

    @classmethod
    def standard(cls, loc: tf.Tensor, scale: tf.Tensor, noise: tf.Tensor) -> Latents:
        """One group with prior N(0, I): loc, scale and standard normal noise are [batch, dim]."""
        prior = gaussian(tf.zeros_like(loc), tf.ones_like(scale))
        return cls(Group(gaussian(loc, scale), prior, loc + scale * noise))

    def rate(self, prior_scale: float = 1.0) -> tf.Tensor:
        """KL(q(z|x) ‖ p(z)) in nats, summed over groups and dimensions: [batch].

        Args:
            prior_scale: K makes each group's prior K times as wide about its mean: N(0, I) becomes N(0, K²I).
        """
        priors = [g.prior if prior_scale == 1.0 else widened(g.prior, prior_scale) for g in self.groups]
        return tf.add_n([tfd.kl_divergence(g.posterior, p) for g, p in zip(self.groups, priors, strict=True)])

    def divergence(self, other: Latents) -> tf.Tensor:
        """KL(self ‖ other) in nats, summed over groups and dimensions: [batch]."""
        pairs = zip(self.groups, other.groups, strict=True)
        return tf.add_n([tfd.kl_divergence(mine.posterior, theirs.posterior) for mine, theirs in pairs])

    def sample(self) -> tf.Tensor:
        """The reparameterised samples of all groups, flattened: [batch, dim]."""
        return tf.concat([_flat(g.value) for g in self.groups], axis=-1)

    def draw(self, noise: tf.Tensor) -> tf.Tensor:
        """Further samples of q(z|x) from standard normal noise: both [samples, batch, dim].

        Each group's posterior is taken as it is, given the sample of the groups before it.
        """
        return self.code() + self.scale() * noise

    def log_ratio(self, z: tf.Tensor) -> tf.Tensor:
        """Log q(z|x) − log p(z) in nats for samples [..., batch, dim]: [..., batch]; on average the rate."""
        ratios, start = [], 0
        for group in self.groups:
            shape = group.value.shape[1:]
            end = start + shape.num_elements()
            value = tf.reshape(z[..., start:end], tf.concat([tf.shape(z)[:-1], shape], 0))
            ratios.append(group.posterior.log_prob(value) - group.prior.log_prob(value))
            start = end
        return tf.add_n(ratios)

    def natural_parameters(self) -> tf.Tensor:
        """η(x) of each posterior, as a Gaussian's exponential family has it: [batch, 2·dim + 1].

        Squared distances over variances come out as differences of numbers up to (loc / scale)², of which single
        precision leaves nothing where posteriors are narrow: hence float64.
        """
        loc, scale = tf.cast(self.code(), tf.float64), tf.cast(self.scale(), tf.float64)
        precision = 1.0 / tf.square(scale)
        normaliser = tf.reduce_sum(
            0.5 * tf.square(loc) * precision + tf.math.log(scale) + 0.5 * math.log(2.0 * math.pi), 1, keepdims=True
        )
        return tf.concat([-0.5 * precision, loc * precision, -normaliser], axis=1)

    def code(self) -> tf.Tensor:
        """The posterior means of all groups, flattened: [batch, dim]."""
        return tf.concat([_flat(g.posterior.mean()) for g in self.groups], axis=-1)

    def scale(self) -> tf.Tensor:
        """The posterior standard deviations of all groups, flattened: [batch, dim]."""
        return tf.concat([_flat(g.posterior.stddev()) for g in self.groups], axis=-1)
