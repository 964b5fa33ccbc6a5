"""What an encoder says of an example: its posteriors, their priors and one reparameterised sample of each.

A flat VAE has one latent group, a hierarchical one has several. Regularisers speak to `Latents` only, so they
run on either.
"""

from __future__ import annotations

from typing import NamedTuple

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


def _flat(x: tf.Tensor) -> tf.Tensor:
    return x if x.shape.rank == 2 else tf.reshape(x, [tf.shape(x)[0], -1])


class Latents:
    """The posterior over all latent groups of a batch.

    Args:
        *groups: from the first (nearest to the prior) to the last.
    """

    def __init__(self, *groups: Group) -> None:
        self.groups = groups

    @classmethod
    def standard(cls, loc: tf.Tensor, scale: tf.Tensor, noise: tf.Tensor) -> Latents:
        """One group with prior N(0, I): loc, scale and standard normal noise are [batch, dim]."""
        prior = gaussian(tf.zeros_like(loc), tf.ones_like(scale))
        return cls(Group(gaussian(loc, scale), prior, loc + scale * noise))

    def rate(self) -> tf.Tensor:
        """KL(q(z|x) ‖ p(z)) in nats, summed over groups and dimensions: [batch]."""
        return tf.add_n([tfd.kl_divergence(g.posterior, g.prior) for g in self.groups])

    def divergence(self, other: Latents) -> tf.Tensor:
        """KL(self ‖ other) in nats, summed over groups and dimensions: [batch]."""
        pairs = zip(self.groups, other.groups, strict=True)
        return tf.add_n([tfd.kl_divergence(mine.posterior, theirs.posterior) for mine, theirs in pairs])

    def sample(self) -> tf.Tensor:
        """The reparameterised samples of all groups, flattened: [batch, dim]."""
        return tf.concat([_flat(g.value) for g in self.groups], axis=-1)

    def code(self) -> tf.Tensor:
        """The posterior means of all groups, flattened: [batch, dim]."""
        return tf.concat([_flat(g.posterior.mean()) for g in self.groups], axis=-1)

    def scale(self) -> tf.Tensor:
        """The posterior standard deviations of all groups, flattened: [batch, dim]."""
        return tf.concat([_flat(g.posterior.stddev()) for g in self.groups], axis=-1)
