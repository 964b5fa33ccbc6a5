"""The NC-VAE of Ganea, Annadani & Bécigneul (2019), “Noise Contrastive Variational Autoencoders”."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from zoo.latents.posterior import Latents
from zoo.models.batch import Batch
from zoo.models.codec import Codes
from zoo.models.objective import Term
from zoo.models.vae import VAE
from zoo.networks.normalization import moving_averages_kept
from zoo.parameters import NonNegative, Positive, Strength, Width, checked
from zoo.training.live import Live


@checked
def optimal_prior_variance(K: Positive, beta: NonNegative, delta: NonNegative) -> float:
    """f(K, β, δ) = (β + δ) K² / (β K² + δ), the variance of the prior that the objective amounts to   (paper: Eq. 17).

    Where noise cannot be told from data, β · KL(q ‖ N(0, I)) + δ · KL(q ‖ N(0, K²I)) is (β + δ) · KL(q ‖ N(0, f·I)) but
    for a constant: f's precision is the mean of the two priors' precisions, weighted by β and δ. The paper proves it
    (Theorem 7) for β > 1 and data that equal the noise, and evaluates with it throughout.

    Args:
        K: standard deviation of the noise's prior.
        beta: β, weight of the rate.
        delta: δ, weight of the noise's rate.

    Returns:
        A variance between 1 (δ = 0) and K² (β = 0).

    Raises:
        ValueError: a value out of range, or both weights 0: then no prior is in the objective.
    """
    if beta == 0 and delta == 0:
        raise ValueError("optimal_prior_variance: beta and delta are both 0, one must be greater")
    share = beta / (beta + delta)
    return 1.0 / (share + (1.0 - share) / K / K)


def tuned_prior_variance(posteriors: Codes, bound: float) -> float:
    """The v between 1 and `bound` whose prior N(0, v·I) gives the highest ELBO   (paper: section 6.2).

    v moves the rate alone, whose mean falls until v is the mean of loc² + scale² over examples and dimensions, and
    grows from there: the best v of the interval is that mean, or the end nearest to it.

    Args:
        posteriors: of the validation split, loc and scale [n, dim].
        bound: the other end of the interval, the paper's f.
    """
    loc, scale = (np.asarray(part, np.float64) for part in posteriors)
    return float(np.clip(np.mean(loc**2 + scale**2), min(1.0, bound), max(1.0, bound)))


@keras.saving.register_keras_serializable("zoo")
class NoiseContrastiveVAE(VAE):
    """The VAE whose encoder tells data from noise, for which a second, wider prior is set aside.

    loss = distortion + β · KL(q(z|x) ‖ N(0, I)) + δ · E KL(q(z|x_n) ‖ N(0, K²I))   (paper: Eq. 12, x_n: section 5.1)

    The noise x_n is either x plus Gaussian noise, or a sample of the current decoder at samples of the prior, through
    which no gradient reaches the decoder. It is encoded, but never decoded: a step costs a pass through the encoder
    more than a VAE's, with `noise="decoder"` also one through the decoder, forward only. Batch
    normalisation takes the noise as a batch of its own; its moving averages, by which held-out examples are encoded,
    are those of the data. With δ = 0 the loss, and all that it leaves behind, is the β-VAE's.

    Example:
        >>> model = NoiseContrastiveVAE(encoder, decoder, latent_dim=32, delta=0.1, K=5.0)

    Args:
        encoder: as in `VAE`.
        decoder: as in `VAE`.
        latent_dim: as in `VAE`.
        delta: δ, the weight of the noise's rate. The paper tunes it on validation for mutual information and prints no
            value; the default is a choice of ours.
        K: standard deviation of the noise's prior, that of the paper's synthetic experiment by default.
        noise: `gaussian` or `decoder`.
        noise_scale: standard deviation of the Gaussian noise, on pixels in the unit interval, which it may leave.
        **kwargs: those of `VAE`.

    Raises:
        ValueError: a value out of range.
    """

    adds: tuple[str, ...] = ("noise_rate",)
    delta = Live()

    @checked
    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        latent_dim: Width,
        *,
        delta: Strength = 0.1,
        K: Positive = 5.0,
        noise: Literal["gaussian", "decoder"] = "gaussian",
        noise_scale: Positive = 0.01,
        **kwargs: Any,
    ) -> None:
        super().__init__(encoder, decoder, latent_dim, **kwargs)
        self.delta = delta
        self.K = K
        self.noise = noise
        self.noise_scale = noise_scale

    def build(self, input_shape: tuple) -> None:
        """As in `VAE`.

        Raises:
            ValueError: Gaussian noise on examples that are categories.
        """
        super().build(input_shape)
        if self.noise == "gaussian" and self.likelihood.support == "categories":
            raise ValueError("noise: categories cannot take Gaussian noise; give noise='decoder'")

    # ── Hooks ────────────────────────────────────────────────────────────────────────────────────────────────

    def loss_terms(self, batch: Batch, latents: Latents) -> dict[str, Term]:
        """Adds `noise_rate`, KL(q(z|x_n) ‖ N(0, K²I)) in nats; warm-up leaves its weight alone."""
        terms = super().loss_terms(batch, latents)
        noise = batch.of(self.noise_examples(batch), f"{batch.stream}/noise")
        # Batch normalisation takes the noise as a batch of its own, but its moving averages are those of the data.
        with moving_averages_kept(self.encoder):
            found = self.infer(noise)
        return {**terms, "noise_rate": Term(found.rate(self.prior.widened(self.K)), self.delta)}

    def noise_examples(self, batch: Batch) -> tf.Tensor:
        """One x_n for each example, without gradient: [batch, ...].

        Args:
            batch: the examples; of them decoder noise takes no more than their number, and its decoder runs as in
                evaluation.
        """
        # A draw's static shape is unknown, and the networks need theirs.
        if self.noise == "gaussian":
            noise = batch.draws.normal("noise/pixels", tf.shape(batch.x))
            return batch.x + self.noise_scale * tf.ensure_shape(noise, batch.x.shape)
        noise = batch.draws.normal("noise/prior", tf.stack([batch.size, self.latent_dim]))
        z = self.sample_prior(tf.ensure_shape(noise, [None, self.latent_dim]))
        return tf.stop_gradient(self.generate(z, training=False).sample(batch.draws, "noise/pixels"))

    def evaluation_priors(self, validation: Callable[[], Codes] | None) -> dict[str, float]:
        """`optimal`, f(K, β, δ), and `tuned`, on the validation split between 1 and f; none where β = δ = 0."""
        priors = super().evaluation_priors(validation)
        beta, delta = (float(Live.of(self, name)) for name in ("beta", "delta"))
        # f is for the two rates; a method that weighs the rate's parts apart has another objective.
        if (beta == 0 and delta == 0) or self.rate_parts != ("rate",):
            return priors
        own = self.prior_variance
        if own is None:
            return priors
        optimal = optimal_prior_variance(self.K, beta, delta)
        found = {"optimal": optimal}
        if validation is not None:
            # In units of the model's own prior, to which the noise's is relative.
            codes = Codes(*(np.asarray(part) / np.sqrt(own) for part in validation()))
            found["tuned"] = tuned_prior_variance(codes, optimal)
        return {**priors, **{name: own * variance for name, variance in found.items()}}
