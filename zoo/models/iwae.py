"""The importance-weighted auto-encoder of Burda, Grosse & Salakhutdinov (2016), “Importance Weighted Autoencoders”."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

from zoo.latents.posterior import Latents
from zoo.models.batch import Batch
from zoo.models.objective import Weight, weighted_sum
from zoo.models.vae import VAE
from zoo.parameters import Count, checked


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
        self, encoder: keras.Model, decoder: keras.Model, latent_dim: Count, *, samples: Count = 5, **kwargs: Any
    ) -> None:
        super().__init__(encoder, decoder, latent_dim, **kwargs)
        self.samples = samples

    # ── Hooks ────────────────────────────────────────────────────────────────────────────────────────────────

    def elbo_terms(self, batch: Batch, latents: Latents, training: bool) -> dict[str, tf.Tensor]:
        """Adds `negative_bound`, −log 1/k Σ wₛ in nats."""
        weights = {"distortion": 1.0, **self.rate_weights(training)}
        if self.samples == 1:
            terms = super().elbo_terms(batch, latents, training)
            return {**terms, "negative_bound": weighted_sum(terms, weights)}
        terms = self.rate_terms(batch, latents, training)
        z = self._importance_samples(batch, latents, training)
        reconstructions = self.generate(z, training)
        log_likelihood = reconstructions.log_prob(batch.x)
        rates = self.sampled_rate(batch, latents, z, training)
        costs = weighted_sum({"distortion": -log_likelihood, **rates}, weights)
        bound = tf.reduce_logsumexp(-costs, axis=0) - math.log(self.samples)
        terms |= {name: tf.reduce_mean(rate, 0) for name, rate in rates.items() if name != "rate"}
        terms |= {"distortion": -tf.reduce_mean(log_likelihood, 0), "negative_bound": -bound}
        if "sum_of_squares" in self.elbo_weights():
            squares = tf.square(batch.x - reconstructions.mean())
            terms["sum_of_squares"] = tf.reduce_mean(tf.reduce_sum(squares, list(range(2, squares.shape.rank))), 0)
        return terms

    def elbo_weights(self, training: bool = False) -> dict[str, Weight]:
        """The bound alone is optimised; what it is made of is reported."""
        inside = dict.fromkeys(("distortion", *self.rate_weights()), 0.0)
        return {**super().elbo_weights(training), **inside, "negative_bound": 1.0}

    def _importance_samples(self, batch: Batch, latents: Latents, training: bool) -> tf.Tensor:
        # The first is the sample that the other methods' terms see.
        first = latents.sample()
        shape = [tf.shape(first)[0], self.samples - 1, first.shape[1]]
        noise = self.draws(training).normal(f"{batch.stream}/importance", shape)
        further = latents.draw(tf.transpose(noise, [1, 0, 2]))
        return tf.concat([first[None], further], axis=0)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "samples": self.samples}
