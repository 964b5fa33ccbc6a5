"""The importance-weighted auto-encoder of Burda, Grosse & Salakhutdinov (2016), “Importance Weighted Autoencoders”."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

from zoo.latents.posterior import Latents, Path
from zoo.models.batch import Batch
from zoo.models.objective import Term, weighted_sum
from zoo.models.vae import VAE
from zoo.parameters import Count, Width, checked


@keras.saving.register_keras_serializable("zoo")
class IWAE(VAE):
    """The VAE trained on a tighter bound, from k samples of the posterior.

    loss = −log 1/k Σₛ wₛ with wₛ = p(x|zₛ) · (p(zₛ) / q(zₛ|x))^β and zₛ ~ q(z|x)   (paper: Eq. 8, where β = 1)

    The bound grows with k and goes to log p(x) (paper: Theorem 1). With k = 1 the rate is taken in closed form, which
    makes the loss that of `VAE`. Distortion and rate, and with them `elbo`, keep their meaning: the distortion is the
    mean over the k samples. A method that splits the rate splits that of each sample.

    Decoding k samples makes a step about k times as dear as the decoder's share of a VAE's step.

    Example:
        >>> model = IWAE(encoder, decoder, latent_dim=50, samples=5)

    Args:
        encoder: as in `VAE`.
        decoder: as in `VAE`.
        latent_dim: as in `VAE`.
        samples: k, the number of importance samples.
        **kwargs: those of `VAE`.

    Raises:
        ValueError: a value out of range.
    """

    adds: tuple[str, ...] = ("negative_bound",)

    @checked
    def __init__(
        self, encoder: keras.Model, decoder: keras.Model, latent_dim: Width, *, samples: Count = 5, **kwargs: Any
    ) -> None:
        super().__init__(encoder, decoder, latent_dim, **kwargs)
        self.samples = samples

    # ── Hooks ────────────────────────────────────────────────────────────────────────────────────────────────

    def elbo_terms(self, batch: Batch, latents: Latents) -> dict[str, Term]:
        """Adds `negative_bound`, −log 1/k Σ wₛ in nats; it alone is optimised, what it is made of is reported."""
        if self.samples == 1:
            terms = super().elbo_terms(batch, latents)
            inside = {name: terms[name] for name in ("distortion", "rate", *self.rate_parts)}
            bound = weighted_sum(inside, self.step.value)
            return terms | {name: term.reported() for name, term in inside.items()} | {"negative_bound": Term(bound)}
        path = self._importance_samples(batch, latents)
        reconstructions = self.generate(path.z, batch.given, batch.training)
        log_likelihood = reconstructions.log_prob(batch.x, batch.mask)
        rates = self.sampled_rate(batch, latents, path)
        costs = weighted_sum({"distortion": Term(-log_likelihood), **rates}, self.step.value)
        bound = tf.reduce_logsumexp(-costs, axis=0) - math.log(self.samples)
        means = {name: Term(tf.reduce_mean(term.value, 0), 0.0) for name, term in rates.items()}
        figures = reconstructions.figures(batch.x, batch.mask)
        terms = {**self.rate_terms(batch, latents)}
        return {
            **terms,
            # The rate in closed form says more than the mean of its samples.
            **means,
            "rate": terms["rate"].reported(),
            **{name: Term(tf.reduce_mean(value, 0), 0.0) for name, value in figures.items()},
            "distortion": Term(-tf.reduce_mean(log_likelihood, 0), 0.0),
            "negative_bound": Term(-bound),
        }

    def _importance_samples(self, batch: Batch, latents: Latents) -> Path:
        # The first is the sample that the other methods' terms see.
        shape = tf.stack([batch.size, self.samples - 1, self.latent_dim])
        noise = batch.draws.normal(f"{batch.stream}/importance", shape)
        noise = tf.ensure_shape(tf.transpose(noise, [1, 0, 2]), [self.samples - 1, None, self.latent_dim])
        further = latents.posterior.sample(noise)
        return latents.posterior.along(tf.concat([latents.z[None], further.z], axis=0))
