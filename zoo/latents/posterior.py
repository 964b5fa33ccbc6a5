"""q(z|x) as an object: found first, sampled afterwards, evaluated along each sample's own path."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from zoo.latents.prior import Prior, log_density

# q(z of a group | x, z of the groups above): [..., sum of the sizes above] (None for the first) → [..., batch, size].
Conditional = Callable[[tf.Tensor | None], tfd.Normal]


class Path:
    """Codes with the conditionals of q(z|x) and p(z) evaluated along them: each group's, given their own groups above.

    Attributes:
        z: the codes, all groups in one vector: [..., batch, dim].
        posteriors: q of each group, `tfd.Normal` of shape [..., batch, size].
        priors: p of each group.
        values: z of each group, [..., batch, size].
    """

    def __init__(
        self, values: Sequence[tf.Tensor], posteriors: Sequence[tfd.Normal], priors: Sequence[tfd.Distribution]
    ) -> None:
        self.values = list(values)
        self.posteriors = list(posteriors)
        self.priors = list(priors)
        self.z = self.values[0] if len(self.values) == 1 else tf.concat(self.values, axis=-1)

    def log_posterior(self) -> tf.Tensor:
        """Log q(z|x) in nats: [..., batch]."""
        return tf.add_n([log_density(q, z) for q, z in zip(self.posteriors, self.values, strict=True)])

    def log_prior(self) -> tf.Tensor:
        """Log p(z) in nats: [..., batch]."""
        return tf.add_n([log_density(p, z) for p, z in zip(self.priors, self.values, strict=True)])

    def log_ratio(self) -> tf.Tensor:
        """Log q(z|x) − log p(z) in nats, on average over q the rate: [..., batch]."""
        triples = zip(self.posteriors, self.priors, self.values, strict=True)
        return tf.add_n([log_density(q, z) - log_density(p, z) for q, p, z in triples])

    def rate_per_group(self) -> list[tf.Tensor]:
        """KL(q ‖ p) of each group given the groups above: [..., batch, size], unit by unit.

        Of a prior that does not factorise, the log-ratio at this sample for the whole group: [..., batch, 1].
        """
        return [_divergence(q, p, z) for q, p, z in zip(self.posteriors, self.priors, self.values, strict=True)]

    def rate(self) -> tf.Tensor:
        """KL(q(z|x) ‖ p(z)) in nats, summed over groups and units: [..., batch].

        In closed form for one group; for more, the closed form of each group given the sample of those above it.
        """
        return tf.add_n([tf.reduce_sum(one, axis=-1) for one in self.rate_per_group()])

    def divergence(self, other: Posterior) -> tf.Tensor:
        """KL(q ‖ other) in nats, each group given the codes of this path above it: [..., batch]."""
        pairs = zip(self.posteriors, other.along(self.z).posteriors, self.values, strict=True)
        return tf.add_n([tf.reduce_sum(_divergence(mine, theirs, z), axis=-1) for mine, theirs, z in pairs])


class Posterior:
    """q(z|x) of a batch under its prior.

    Args:
        conditionals: of each group, the first nearest to the prior's top; see `Conditional`.
        sizes: of the groups.
        prior: p(z), with as many groups.
    """

    def __init__(self, conditionals: Sequence[Conditional], sizes: Sequence[int], prior: Prior) -> None:
        if len(conditionals) != len(sizes):
            raise ValueError(f"Posterior: {len(conditionals)} conditionals, but {len(sizes)} sizes")
        self.conditionals = list(conditionals)
        self.sizes = list(sizes)
        self.prior = prior

    @classmethod
    def flat(cls, loc: tf.Tensor, scale: tf.Tensor, prior: Prior) -> Posterior:
        """One group: N(loc, diag(scale²)), both [batch, dim]."""
        found = tfd.Normal(loc, scale)
        return cls([lambda above: found], [loc.shape[-1]], prior)

    def _walk(self, choose: Callable[[int, tfd.Normal], tf.Tensor], prior: Prior | None = None) -> Path:
        """Goes from the first group to the last, each given what was chosen above."""
        values: list[tf.Tensor] = []
        posteriors, priors = [], []
        for i, (conditional, size) in enumerate(zip(self.conditionals, self.sizes, strict=True)):
            above = tf.concat(values, axis=-1) if values else None
            posteriors.append(conditional(above))
            priors.append((prior or self.prior).conditional(i, above, size))
            values.append(choose(i, posteriors[-1]))
        return Path(values, posteriors, priors)

    def sample(self, noise: tf.Tensor) -> Path:
        """Reparameterised samples from standard normal noise, [..., batch, dim] as z."""
        parts = tf.split(noise, self.sizes, axis=-1)
        return self._walk(lambda i, q: q.loc + q.scale * parts[i])

    def along(self, z: tf.Tensor, prior: Prior | None = None) -> Path:
        """Given codes [..., batch, dim], with q and p along them; under another prior if one is given."""
        parts = tf.split(z, self.sizes, axis=-1)
        return self._walk(lambda i, q: parts[i], prior)

    def mean(self) -> Path:
        """The mean of each group given the means above: what a code is."""
        return self._walk(lambda i, q: q.loc)


class Latents:
    """What an encoder says of a batch: its posterior and one sample of it. All that a regulariser sees.

    Attributes:
        posterior: q(z|x).
        path: a reparameterised sample, with q and p along it.
        z: that sample's codes, [batch, dim].
        features: the encoder's early features of the same examples, where a method has asked for them.
    """

    def __init__(self, posterior: Posterior, noise: tf.Tensor, features: Any = None) -> None:
        self.posterior = posterior
        self.path = posterior.sample(noise)
        self.z = self.path.z
        self.features = features

    def rate(self, prior: Prior | None = None) -> tf.Tensor:
        """KL(q(z|x) ‖ p(z)) in nats: [batch]; under another prior if one is given. See `Path.rate`."""
        return self.path.rate() if prior is None else self.posterior.along(self.z, prior).rate()

    def divergence(self, other: Latents) -> tf.Tensor:
        """KL(self ‖ other) in nats: [batch]; of several groups each along this sample's path."""
        return self.path.divergence(other.posterior)

    def code(self) -> tf.Tensor:
        """The posterior means: [batch, dim]."""
        return self.posterior.mean().z

    def scale(self) -> tf.Tensor:
        """The posterior standard deviations, of each group given the means above: [batch, dim]."""
        return tf.concat([q.stddev() for q in self.posterior.mean().posteriors], axis=-1)

    def natural_parameters(self) -> tf.Tensor:
        """η(x) of each posterior, as a Gaussian's exponential family has it: [batch, 2·dim + 1].

        Squared distances over variances come out as differences of numbers up to (loc / scale)², of which single
        precision leaves nothing where posteriors are narrow: hence float64.

        Raises:
            ValueError: more than one group, whose density is no inner product of x's and z's numbers.
        """
        if len(self.posterior.sizes) > 1:
            groups = len(self.posterior.sizes)
            raise ValueError(f"natural parameters: q(z|x) has {groups} groups; only a flat posterior has these")
        loc, scale = tf.cast(self.code(), tf.float64), tf.cast(self.scale(), tf.float64)
        precision = 1.0 / tf.square(scale)
        normaliser = tf.reduce_sum(
            0.5 * tf.square(loc) * precision + tf.math.log(scale) + 0.5 * math.log(2.0 * math.pi), 1, keepdims=True
        )
        return tf.concat([-0.5 * precision, loc * precision, -normaliser], axis=1)


def sufficient_statistics(z: tf.Tensor) -> tf.Tensor:
    """T(z) = (z², z, 1), whose inner product with `Latents.natural_parameters` is log q(z|x): [rows, 2·dim + 1]."""
    z = tf.cast(z, tf.float64)
    return tf.concat([tf.square(z), z, tf.ones_like(z[:, :1])], axis=1)


def _divergence(q: tfd.Normal, p: tfd.Distribution, z: tf.Tensor) -> tf.Tensor:
    """KL(q ‖ p) unit by unit where both factorise, else log q − log p at z: [..., size] or [..., 1]."""
    if isinstance(p, tfd.Normal):
        return tfd.kl_divergence(q, p)
    return (log_density(q, z) - log_density(p, z))[..., None]
