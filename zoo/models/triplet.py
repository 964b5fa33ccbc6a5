"""The triplet loss (Schroff et al. 2015, FaceNet) on a VAE's codes: the rival of the consistency paper's Table 6."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from zoo import replicas
from zoo.models.objective import Term
from zoo.models.transformed import Pair, TransformedVAE
from zoo.parameters import NonNegative, Strength, Width, checked
from zoo.training.live import Live


@keras.saving.register_keras_serializable("zoo")
class TripletVAE(TransformedVAE):
    """The VAE whose code of an image lies nearer to that of its transformation than to another image's.

    loss = −ELBO(x) + η · max(0, ‖loc(x) − loc(x̃)‖² − ‖loc(x) − loc(x′)‖² + margin)

    x̃ is one random transformation of x, x′ the next image of the (shuffled) global batch. Sinha & Dieng (2021) compare
    with it in Table 6 and print neither weight nor margin; 1 is FaceNet's weight, and the margin a choice of ours.

    Example:
        >>> model = TripletVAE(encoder, decoder, latent_dim=50, margin=1.0)

    Args:
        encoder: as in `VAE`.
        decoder: as in `VAE`.
        latent_dim: as in `VAE`.
        triplet_weight: η, the weight of the hinge.
        margin: by how much the squared distances shall differ (no nats: codes have no unit).
        **kwargs: the transformations' (`translate`, `rotate`, `scale`, `transformations`), and those of `VAE`.

    Raises:
        ValueError: a value out of range, a transformation that can leave nothing of the image, a batch of one in `fit`.
    """

    adds: tuple[str, ...] = ("triplet",)
    triplet_weight = Live()

    @checked
    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        latent_dim: Width,
        *,
        triplet_weight: Strength = 1.0,
        margin: NonNegative = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(encoder, decoder, latent_dim, **kwargs)
        self.triplet_weight = triplet_weight
        self.margin = margin

    def pair_terms(self, pair: Pair) -> dict[str, Term]:
        """Adds `triplet`, the hinge: squared distances of codes, no nats."""
        anchor, positive = pair.latents.code(), pair.transformed_latents.code()
        local = tf.shape(anchor)[0]
        first, rows = replicas.rows_of_replica(local)
        negative = tf.roll(replicas.gather(anchor), -1, axis=0)[first : first + local]
        gap = _squared_distance(anchor, positive) - _squared_distance(anchor, negative)
        # The last batch of an epoch can be one image, which is its own neighbour: no triplet.
        hinge = tf.where(rows > 1, tf.nn.relu(gap + self.margin), tf.zeros_like(gap))
        return {**super().pair_terms(pair), "triplet": Term(hinge, self.triplet_weight)}

    def check_batch(self, size: int) -> None:
        """As in `VAE`.

        Raises:
            ValueError: a batch of one, which has no other image.
        """
        super().check_batch(size)
        if size == 1:
            raise ValueError("TripletVAE: takes the batch's other images as negatives, but the batch has one image")


def _squared_distance(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.square(a - b), axis=1)
