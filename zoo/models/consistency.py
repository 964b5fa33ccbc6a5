"""Consistency regularisation: CR-VAE of Sinha & Dieng (2021), “Consistency Regularization for VAEs”."""

from __future__ import annotations

from typing import Any

import keras

from zoo.models.objective import Term
from zoo.models.transformed import Pair, TransformedVAE
from zoo.parameters import Strength, Width, checked
from zoo.training.live import Live


@keras.saving.register_keras_serializable("zoo")
class ConsistencyVAE(TransformedVAE):
    """The VAE whose encoder maps an image and a transformation of it to nearby posteriors.

    loss = −L(x) − L(x̃) + λ · KL(q(z|x̃) ‖ q(z|x))   (paper: Eqs. 3 and 4, Algorithm 1)

    L is the bound of whatever VAE it is combined with: the ELBO, with `beta` that of the β-VAE, or IWAE's. x̃ is one
    random transformation of x a step. λ = 0 is the paper's “+Aug”: images and transformations, but no regulariser; the
    plain `VAE` has no x̃ at all. On a β-VAE the paper takes λ = 0.1 · β.

    The loss is that of two images, so it is about twice a VAE's. `elbo`, distortion and rate are those of x; the terms
    of x̃ are reported as `transformed_…`.

    Example:
        >>> model = ConsistencyVAE(encoder, decoder, latent_dim=50, consistency_lambda=0.1)

    Args:
        encoder: as in `VAE`.
        decoder: as in `VAE`.
        latent_dim: as in `VAE`.
        consistency_lambda: λ, the weight of the KL divergence.
        **kwargs: the transformations' (`translate`, `rotate`, `scale`, `transformations`), and those of `VAE`.

    Raises:
        ValueError: a value out of range, or a transformation that can leave nothing of the image.
    """

    adds: tuple[str, ...] = ("consistency",)
    consistency_lambda = Live()

    @checked
    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        latent_dim: Width,
        *,
        consistency_lambda: Strength = 0.1,
        **kwargs: Any,
    ) -> None:
        super().__init__(encoder, decoder, latent_dim, **kwargs)
        self.consistency_lambda = consistency_lambda

    def pair_terms(self, pair: Pair) -> dict[str, Term]:
        """Adds the bound's terms on x̃ with their weights, and `consistency`, KL(q(z|x̃) ‖ q(z|x)) in nats."""
        bound = self.elbo_terms(pair.transformed, pair.transformed_latents)
        return {
            **super().pair_terms(pair),
            **{f"transformed_{name}": term for name, term in bound.items()},
            "consistency": Term(pair.transformed_latents.divergence(pair.latents), self.consistency_lambda),
        }

    def term_names(self) -> tuple[str, ...]:
        """Adds the names of the bound's terms on x̃."""
        return (*super().term_names(), *(f"transformed_{name}" for name in self.bound_names()))
