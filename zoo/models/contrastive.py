"""Contrastive regularisation: CR-VAE of Lygerakis & Rueckert (2023), “CR-VAE: Contrastive Regularization on VAEs”."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

import keras
import tensorflow as tf

from zoo import replicas
from zoo.augmentation.view import View
from zoo.latents.head import GaussianHead
from zoo.latents.posterior import Latents
from zoo.models.batch import Batch
from zoo.models.objective import Term
from zoo.models.vae import VAE
from zoo.parameters import Fraction, PositiveStrength, Size, Strength, Width, checked
from zoo.training.live import Live


def info_nce(
    queries: tf.Tensor,
    keys: tf.Tensor,
    negatives: tf.Tensor | None,
    temperature: Any,
    excluded: tf.Tensor | None = None,
) -> tf.Tensor:
    """InfoNCE (van den Oord et al. 2018; Eq. 4 of the paper) in nats: [batch].

    Args:
        queries: [batch, dim]; of unit length where the scores shall be cosines.
        keys: [batch, dim], likewise; row i is the positive of query i.
        negatives: [K, dim], likewise, shared by all queries; None takes the other keys of the global batch.
        temperature: divides the scores.
        excluded: [batch, K], True for negatives that are none for a query.
    """
    if negatives is not None:
        positive = tf.reduce_sum(queries * keys, axis=1, keepdims=True)
        scores = tf.matmul(queries, negatives, transpose_b=True)
        if excluded is not None:
            scores = tf.where(excluded, tf.constant(-1e9, scores.dtype), scores)
        logits = tf.concat([positive, scores], axis=1)
        return tf.reduce_logsumexp(logits / temperature, axis=1) - logits[:, 0] / temperature
    local = tf.shape(queries)[0]
    first, _ = replicas.rows_of_replica(local)
    logits = tf.matmul(queries, replicas.gather(keys), transpose_b=True) / temperature
    labels = first + tf.range(local)
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)


# Owners of places in the queue: a random direction, and a key whose example has a newer one.
_NOBODY, _REPLACED = -1, -2


@keras.saving.register_keras_serializable("zoo")
class ContrastiveVAE(VAE):
    """The VAE whose encoder must tell an image's second view from other images.

    loss = −ELBO(x_q) + γ · InfoNCE(z_q, z_k)   (paper: Eqs. 4 and 5, Algorithm 1)

    x_q and x_k are two random views of an image, z_q ~ q(z|x_q) the query that the decoder gets too. The key
    z_k ~ q_k(z|x_k) comes from the key encoder, whose weights are the moving average k ← m·k + (1 − m)·q of the
    query encoder's after every step; no gradient reaches it. Cosines are divided by the temperature. Negatives are
    a queue of past keys (He et al. 2020, MoCo), of each example the newest and never the query's own, or, with
    `queue_size=0`, the other keys of the global batch; then
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
    fixed: tuple[str, ...] = ("queue_size",)
    takes_index = True
    gamma = Live()
    temperature = Live(above_zero=True)

    @checked
    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        latent_dim: Width,
        *,
        gamma: Strength = 1.0,
        temperature: PositiveStrength = 0.1,
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
        self.views = None if views is None else list(views)
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
            self.queue_owners = self.add_weight(
                shape=(queue_size,),
                dtype="int64",
                initializer=keras.initializers.Constant(_NOBODY),
                trainable=False,
                autocast=False,
                name="queue_owners",
                aggregation="only_first_replica",
            )

    def build(self, input_shape: tuple) -> None:
        """Creates all weights; those of the key encoder start as copies."""
        if self.views is None:
            self.views = self._domain_for(input_shape[1:]).views(self.likelihood.support)
        super().build(input_shape)
        for layer in self.views:
            if isinstance(layer, View):
                layer.check_size(self.example_shape)
        self.key_head(self.key_encoder(keras.Input(self.example_shape)))
        self.after_initialising()
        # Not `layer.trainable = False`, which would also stop batch normalisation from using the batch.
        for weight in (*self.key_encoder.trainable_weights, *self.key_head.trainable_weights):
            weight.trainable = False

    def after_initialising(self) -> None:
        """The key encoder begins as a copy of the encoder."""
        super().after_initialising()
        self.key_encoder.set_weights(self.encoder.get_weights())
        self.key_head.set_weights(self.head.get_weights())

    # ── Hooks ────────────────────────────────────────────────────────────────────────────────────────────────

    def view(self, batch: Batch) -> tf.Tensor:
        """The query view x_q in training with `elbo_on="query"`, else x."""
        x = super().view(batch)
        return self._random_view(x, "query", batch) if batch.training and self.elbo_on == "query" else x

    def view_layers(self) -> list[keras.layers.Layer]:
        """Adds the views."""
        return [*super().view_layers(), *(self.views or [])]

    def loss_terms(self, batch: Batch, latents: Latents) -> dict[str, Term]:
        """Adds `info_nce`, and in training puts the keys into the queue."""
        terms = super().loss_terms(batch, latents)
        if not (batch.training and self.elbo_on == "query"):
            latents = self.infer(batch.of(self._random_view(batch.original, "query", batch), "query"))
        queries = tf.math.l2_normalize(latents.z, axis=1)
        keys = tf.math.l2_normalize(self.keys(batch), axis=1)
        if not self.queue_size:
            return {**terms, "info_nce": Term(info_nce(queries, keys, None, self.temperature), self.gamma)}
        owners, queued = self._owners(batch), tf.convert_to_tensor(self.queue_owners)
        excluded = (owners[:, None] == queued) | (queued == _REPLACED)
        found = info_nce(queries, keys, tf.convert_to_tensor(self.queue), self.temperature, excluded)
        if batch.training:
            self._enqueue(keys, owners)
        return {**terms, "info_nce": Term(found, self.gamma)}

    def after_step(self) -> None:
        """Moves the key encoder's weights: k ← m·k + (1 − m)·q."""
        super().after_step()
        pairs = zip((*self.encoder.trainable_weights, *self.head.trainable_weights), self._key_weights(), strict=True)
        replicas.move_averages(pairs, self.momentum)

    # ── Keys ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _random_view(self, original: tf.Tensor, stream: str, batch: Batch) -> tf.Tensor:
        return self.viewed(self.views or [], original, batch.draws, stream)

    def _key_weights(self) -> list[keras.Variable]:
        # In the order of the query encoder's trainable weights, of which they are copies.
        theirs = (*self.encoder.weights, *self.head.weights)
        mine = (*self.key_encoder.weights, *self.key_head.weights)
        return [k for q, k in zip(theirs, mine, strict=True) if q.trainable]

    def keys(self, batch: Batch) -> tf.Tensor:
        """z_k ~ q_k(z|x_k) of a random view x_k of each example, without gradient: [batch, latent_dim]."""
        view = self._random_view(batch.original, "key", batch)
        loc, scale = self.key_head(self.key_encoder(view, training=batch.training))
        noise = batch.draws.normal("key", tf.shape(loc))
        return tf.stop_gradient(loc + scale * noise)

    def _owners(self, batch: Batch) -> tf.Tensor:
        """A number for each example that no other one has: that in the training set, or one made of its entries."""
        if batch.index is not None:
            return tf.cast(batch.index, tf.int64)
        entries = tf.cast(tf.bitcast(tf.reshape(batch.original, [batch.size, -1]), tf.int32), tf.int64)
        factors = tf.random.stateless_uniform(tf.shape(entries)[1:], [0, 1], minval=None, maxval=None, dtype=tf.int64)
        # Whole numbers add up to the same in any order; above 0, where no mark of the queue is.
        return tf.bitwise.bitwise_and(tf.reduce_sum(entries * factors, axis=1), tf.int64.max)

    def _enqueue(self, keys: tf.Tensor, owners: tf.Tensor) -> None:
        """Overwrites the oldest keys of the queue with those of the global batch, in their order.

        An older key of the same example is a negative for nobody from then on, so that no example counts twice.
        """
        keys, owners = replicas.gather(keys), replicas.gather(owners)
        n = tf.shape(keys, tf.int64)[0]
        # Of a batch larger than the queue (which `fit` cannot always see beforehand) the last ones stay.
        first = tf.maximum(n - self.queue_size, 0)
        places = (self.queue_position.value + tf.range(first, n)) % self.queue_size
        self.queue.assign(tf.tensor_scatter_nd_update(self.queue.value, places[:, None], keys[first:]))
        replaced = tf.constant(_REPLACED, tf.int64)
        again = tf.reduce_any(self.queue_owners.value[:, None] == owners[None], axis=1)
        kept = tf.where(again, replaced, self.queue_owners.value)
        # Of an example that is in the batch twice, the last key counts.
        later = tf.range(n)[:, None] < tf.range(n)[None]
        twice = tf.reduce_any((owners[:, None] == owners[None]) & later, axis=1)
        owners = tf.where(twice, replaced, owners)
        self.queue_owners.assign(tf.tensor_scatter_nd_update(kept, places[:, None], owners[first:]))
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
            "views": self.views and [keras.saving.serialize_keras_object(layer) for layer in self.views],
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict | None = None) -> Self:
        """Rebuilds the model, its views included, from `get_config`."""
        layers = config["views"]
        if layers is not None:
            layers = [keras.saving.deserialize_keras_object(layer, custom_objects) for layer in layers]
        return super().from_config({**config, "views": layers}, custom_objects)
