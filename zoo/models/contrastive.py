"""Contrastive regularisation: CR-VAE of Lygerakis & Rueckert (2023), “CR-VAE: Contrastive Regularization on VAEs”."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

import keras
import tensorflow as tf

from zoo import replicas
from zoo.augmentation.images import apply_views, contrastive_views
from zoo.latents.head import GaussianHead
from zoo.latents.posterior import Latents
from zoo.models.batch import Batch
from zoo.models.objective import Weight
from zoo.models.vae import VAE
from zoo.parameters import Count, Fraction, NonNegative, Positive, Size, checked


def info_nce(queries: tf.Tensor, keys: tf.Tensor, negatives: tf.Tensor | None, temperature: float) -> tf.Tensor:
    """InfoNCE (van den Oord et al. 2018; Eq. 4 of the paper) in nats: [batch].

    Args:
        queries: [batch, dim]; of unit length where the scores shall be cosines.
        keys: [batch, dim], likewise; row i is the positive of query i.
        negatives: [K, dim], likewise, shared by all queries; None takes the other keys of the global batch.
        temperature: divides the scores.
    """
    if negatives is not None:
        positive = tf.reduce_sum(queries * keys, axis=1, keepdims=True)
        logits = tf.concat([positive, tf.matmul(queries, negatives, transpose_b=True)], axis=1)
        return tf.reduce_logsumexp(logits / temperature, axis=1) - logits[:, 0] / temperature
    local = tf.shape(queries)[0]
    first, _ = replicas.rows_of_replica(local)
    logits = tf.matmul(queries, replicas.gather(keys), transpose_b=True) / temperature
    labels = first + tf.range(local)
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)


@keras.saving.register_keras_serializable("zoo")
class ContrastiveVAE(VAE):
    """The VAE whose encoder must tell an image's second view from other images.

    loss = −ELBO(x_q) + γ · InfoNCE(z_q, z_k)   (paper: Eqs. 4 and 5, Algorithm 1)

    x_q and x_k are two random views of an image, z_q ~ q(z|x_q) the query that the decoder gets too. The key
    z_k ~ q_k(z|x_k) comes from the key encoder, whose weights are the moving average k ← m·k + (1 − m)·q of the
    query encoder's after every step; no gradient reaches it. Cosines are divided by the temperature. Negatives are
    a queue of past keys (He et al. 2020, MoCo) or, with `queue_size=0`, the other keys of the global batch; then
    log K − InfoNCE bounds the information between the two views' codes from below, K being the batch size.

    The paper does not print K, m and T of the queue; the defaults are those of the method's published code.

    Example:
        >>> model = ContrastiveVAE(encoder, decoder, latent_dim=16, gamma=1.0)

    Args:
        encoder: as in `VAE`.
        decoder: as in `VAE`.
        latent_dim: as in `VAE`.
        gamma: γ, the weight of InfoNCE.
        temperature: T.
        momentum: m.
        queue_size: K; 0 for in-batch negatives.
        elbo_on: `query` computes the ELBO on x_q (Algorithm 1), `original` on x, at the price of a third encoding.
        views: the layers that make a view; the paper's by default. Zoo layers or Keras's random image layers.
        **kwargs: those of `VAE`.

    Raises:
        ValueError: a value out of range; in `fit`, a batch larger than the queue or without negatives.
    """

    adds: tuple[str, ...] = ("info_nce",)

    @checked
    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        latent_dim: Count,
        *,
        gamma: NonNegative = 1.0,
        temperature: Positive = 0.1,
        momentum: Fraction = 0.99,
        queue_size: Size = 4096,
        elbo_on: Literal["query", "original"] = "query",
        views: Sequence[keras.layers.Layer] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(encoder, decoder, latent_dim, **kwargs)
        self.gamma = gamma
        self.temperature = temperature
        self.momentum = momentum
        self.queue_size = queue_size
        self.elbo_on = elbo_on
        self.views = contrastive_views() if views is None else list(views)
        self.key_encoder = keras.models.clone_model(encoder)
        self.key_head = GaussianHead(latent_dim, name="key_posterior")
        if queue_size:
            # Until it has filled up, the queue holds random directions, as MoCo's does.
            seeded = keras.initializers.RandomNormal(stddev=1.0, seed=self.seed)
            self.queue = self.add_weight(
                shape=(queue_size, latent_dim),
                initializer=seeded,
                trainable=False,
                autocast=False,
                dtype="float32",
                name="queue",
                aggregation="only_first_replica",
            )
            self.queue.assign(tf.math.l2_normalize(self.queue.value, axis=1))
            self.queue_position = self._counter("queue_position")

    def build(self, input_shape: tuple) -> None:
        """Creates all weights; those of the key encoder start as copies."""
        super().build(input_shape)
        self.key_head(self.key_encoder(keras.Input(self.image_shape)))
        self.key_encoder.set_weights(self.encoder.get_weights())
        self.key_head.set_weights(self.head.get_weights())
        # Not `layer.trainable = False`, which would also stop batch normalisation from using the batch.
        for weight in (*self.key_encoder.trainable_weights, *self.key_head.trainable_weights):
            weight.trainable = False

    # ── Hooks ────────────────────────────────────────────────────────────────────────────────────────────────

    def view(self, x: tf.Tensor, training: bool) -> tf.Tensor:
        """The query view x_q in training with `elbo_on="query"`, else x."""
        x = super().view(x, training)
        return self._random_view(x, "query", training) if training and self.elbo_on == "query" else x

    def loss_terms(self, batch: Batch, latents: Latents, training: bool) -> dict[str, tf.Tensor]:
        """Adds `info_nce`, and in training puts the keys into the queue."""
        terms = super().loss_terms(batch, latents, training)
        if not (training and self.elbo_on == "query"):
            latents = self.infer(self._random_view(batch.original, "query", training), training, stream="query")
        queries = tf.math.l2_normalize(latents.sample(), axis=1)
        keys = tf.math.l2_normalize(self.keys(batch.original, training), axis=1)
        negatives = tf.convert_to_tensor(self.queue) if self.queue_size else None
        terms["info_nce"] = info_nce(queries, keys, negatives, self.temperature)
        if training and self.queue_size:
            self._enqueue(keys)
        return terms

    def loss_weights(self, training: bool = False) -> dict[str, Weight]:
        """γ for `info_nce`."""
        return {**super().loss_weights(training), "info_nce": self.gamma}

    def after_step(self) -> None:
        """Moves the key encoder's weights: k ← m·k + (1 − m)·q."""
        super().after_step()
        pairs = zip((*self.encoder.trainable_weights, *self.head.trainable_weights), self._key_weights(), strict=True)
        replicas.move_averages(pairs, self.momentum)

    # ── Keys ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _random_view(self, original: tf.Tensor, stream: str, training: bool) -> tf.Tensor:
        return apply_views(self.views, original, self.draws(training), stream)

    def _key_weights(self) -> list[keras.Variable]:
        # In the order of the query encoder's trainable weights, of which they are copies.
        theirs = (*self.encoder.weights, *self.head.weights)
        mine = (*self.key_encoder.weights, *self.key_head.weights)
        return [k for q, k in zip(theirs, mine, strict=True) if q.trainable]

    def keys(self, original: tf.Tensor, training: bool) -> tf.Tensor:
        """z_k ~ q_k(z|x_k) of a random view x_k of each image, without gradient: [batch, latent_dim]."""
        view = self._random_view(original, "key", training)
        loc, scale = self.key_head(self.key_encoder(view, training=training))
        noise = self.draws(training).normal("key", tf.shape(loc))
        return tf.stop_gradient(loc + scale * noise)

    def _enqueue(self, keys: tf.Tensor) -> None:
        """Overwrites the oldest keys of the queue with those of the global batch, in their order."""
        keys = replicas.gather(keys)
        n = tf.shape(keys, tf.int64)[0]
        # Of a batch larger than the queue (which `fit` cannot always see beforehand) the last ones stay.
        first = tf.maximum(n - self.queue_size, 0)
        places = (self.queue_position.value + tf.range(first, n)) % self.queue_size
        self.queue.assign(tf.tensor_scatter_nd_update(self.queue.value, places[:, None], keys[first:]))
        self.queue_position.assign((self.queue_position.value + n) % self.queue_size)

    # ── Checks and round trips ───────────────────────────────────────────────────────────────────────────────

    def check_batch(self, size: int) -> None:
        """As in `VAE`.

        Raises:
            ValueError: more examples than the queue holds, or a single one without a queue.
        """
        super().check_batch(size)
        if self.queue_size and size > self.queue_size:
            raise ValueError(f"queue_size: {self.queue_size} is below the batch of {size}")
        if not self.queue_size and size == 1:
            raise ValueError("queue_size: 0 takes the batch's other keys as negatives, but the batch has one image")

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "gamma": self.gamma,
            "temperature": self.temperature,
            "momentum": self.momentum,
            "queue_size": self.queue_size,
            "elbo_on": self.elbo_on,
            "views": [keras.saving.serialize_keras_object(layer) for layer in self.views],
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict | None = None) -> Self:
        """Rebuilds the model, its views included, from `get_config`."""
        layers = [keras.saving.deserialize_keras_object(layer, custom_objects) for layer in config["views"]]
        return super().from_config({**config, "views": layers}, custom_objects)
