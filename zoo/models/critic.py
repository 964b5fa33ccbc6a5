"""Inference critics of Menon, Blei & Vondrick (2022), “Forget-me-not! Contrastive Critics for … Posterior Collapse”."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Literal, Self

import keras
import tensorflow as tf

from zoo.domains.domain import times
from zoo.latents.posterior import Latents, sufficient_statistics
from zoo.models.batch import Batch
from zoo.models.contrastive import info_nce
from zoo.models.objective import Term
from zoo.models.vae import VAE
from zoo.parameters import PositiveStrength, Strength, Width, checked, nearest
from zoo.training.live import Live

# Units of the one hidden layer between z and its projection.
_Z_WIDTH = 128


def shared_features(encoder: keras.Model, shared_layer: str | None = None) -> keras.KerasTensor:
    """The early features of an encoder that a hybrid critic shares.

    Args:
        encoder: a functional model, or a Sequential one that knows its input.
        shared_layer: name of the layer whose output it is. By default the features are the input of the second layer
            with a kernel (a weight of two or more axes), that is what leaves the first block; of an encoder with a
            single such layer they are the output.

    Raises:
        ValueError: no layer to share, or none of this name.
    """
    if not getattr(encoder, "inputs", None):
        raise ValueError(
            f"critic: 'hybrid' shares early layers, but the encoder {encoder.name!r} is not a functional model"
        )
    has_kernel = [any(len(w.shape) > 1 for w in layer.weights) for layer in encoder.layers]
    if True not in has_kernel:
        raise ValueError(f"critic: 'hybrid' has no layer to share, as the encoder {encoder.name!r} has no kernels")
    first = has_kernel.index(True)
    names = {layer.name: layer for layer in encoder.layers[first:]}
    if shared_layer is not None and shared_layer not in names:
        raise ValueError(f"shared_layer: no {shared_layer!r} to share in the encoder; {nearest(shared_layer, names)}")
    if shared_layer is not None:
        features = names[shared_layer].output
    elif True in has_kernel[first + 1 :]:
        features = encoder.layers[has_kernel.index(True, first + 1)].input
    else:
        features = encoder.outputs[0]
    shape = getattr(features, "shape", None)
    if shape is None or None in shape[1:]:
        given = "several tensors" if shape is None else f"the shape {shape}"
        raise ValueError(f"shared_layer: shares one tensor of a fixed size, got {given}; name another layer")
    return features


@keras.saving.register_keras_serializable("zoo")
class InferenceCriticVAE(VAE):
    """The VAE with a critic that must tell which code belongs to which image of the batch.

    loss = −ELBO − λ · c(x, z),   c = E log( exp f(x_i, z_i) / Σ_j exp f(x_j, z_i) )   (paper: Eqs. 6 and 7)

    The sum runs over the K images of the global batch. The term `critic` is −c in nats, one value per example, so its
    mean turns into a lower bound on the information between images and codes, log K − critic, which cannot exceed
    log K (paper: Appendix D). The scores f are

    - `self`: log q(z_i|x_j), all pairs in one matrix product; no weights of its own and nothing encoded again.
    - `neural`: the inner product of a projection of z with one of what an encoder of its own makes of x, which adds an
      encoder's share to the step.
    - `hybrid`: the same on early features of the VAE's encoder, which feels the critic's gradient there too. Not
      encoded again either.

    With `side="model"` the pairs are the model's own, z ~ p(z) and x ~ p(x|z) (paper: Appendix E): the term raises the
    information between codes and generated images, through the decoder. A step then decodes a second batch and encodes
    the images that come out (with `neural` by the critic's encoder alone): about twice a VAE's step.

    Example:
        >>> model = InferenceCriticVAE(encoder, decoder, latent_dim=32, critic="hybrid")

    Args:
        encoder: as in `VAE`.
        decoder: as in `VAE`.
        latent_dim: as in `VAE`.
        critic: `self`, `neural` or `hybrid`.
        critic_lambda: λ.
        direction: `z_to_x` finds the image of each code (Eq. 6), `x_to_z` the code of each image, `both` is the mean of
            the two.
        side: whose pairs: those of `inference`, q(z|x), or those of the `model`, p(x|z).
        projection_dim: size of the projections, of the neural and the hybrid critic.
        critic_temperature: divides the inner products, of the neural and the hybrid critic.
        shared_layer: name of the encoder's layer whose output the hybrid critic shares; see `shared_features`.
        critic_encoder: the neural critic's network, images → features; by default one like the encoder, with weights
            of its own.
        **kwargs: those of `VAE`.

    Raises:
        ValueError: a value out of range, an encoder with no layer to share, a `shared_layer` or a `critic_encoder` for
            another critic; in `fit`, a batch of one.
    """

    adds: tuple[str, ...] = ("critic",)
    fixed: tuple[str, ...] = ("critic", "projection_dim", "shared_layer", "critic_encoder")
    critic_lambda = Live()
    critic_temperature = Live(above_zero=True)

    @checked
    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        latent_dim: Width,
        *,
        critic: Literal["self", "neural", "hybrid"] = "self",
        critic_lambda: Strength = 1.0,
        direction: Literal["z_to_x", "x_to_z", "both"] = "z_to_x",
        side: Literal["inference", "model"] = "inference",
        projection_dim: Width = 32,
        critic_temperature: PositiveStrength = 1.0,
        shared_layer: str | None = None,
        critic_encoder: keras.Model | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(encoder, decoder, latent_dim, **kwargs)
        if shared_layer is not None and critic != "hybrid":
            raise ValueError(f"shared_layer: belongs to critic 'hybrid', got critic {critic!r}")
        if critic_encoder is not None and critic != "neural":
            raise ValueError(f"critic_encoder: belongs to critic 'neural', got critic {critic!r}")
        if critic_encoder is encoder:
            raise ValueError("critic_encoder: must be a network of its own, got the encoder; critic 'hybrid' shares")
        self.critic = critic
        self.critic_lambda = critic_lambda
        self.direction = direction
        self.side = side
        self.projection_dim = projection_dim
        self.critic_temperature = critic_temperature
        self.shared_layer = shared_layer
        self.given_critic_encoder = critic_encoder is not None
        if critic == "neural":
            self.critic_encoder = critic_encoder or keras.models.clone_model(encoder)
        if critic == "hybrid":
            # Past Keras's tracking, which would save the encoder's layers a second time under other names.
            self.__dict__["with_features"] = _with_features(encoder, shared_layer)
        if critic != "self":
            # Float32 also under mixed precision, as the scores are what a softmax is taken of.
            self.x_projection = keras.layers.Dense(projection_dim, dtype="float32", name="critic_x")
            self.z_hidden = keras.layers.Dense(_Z_WIDTH, activation="relu", dtype="float32", name="critic_z_hidden")
            self.z_projection = keras.layers.Dense(projection_dim, dtype="float32", name="critic_z")

    def build(self, input_shape: tuple) -> None:
        """As in `VAE`.

        Raises:
            ValueError: a critic's encoder that takes other images.
        """
        super().build(input_shape)
        if self.critic == "self":
            return
        if self.critic == "neural":
            wanted = getattr(self.critic_encoder, "input_shape", None)
            if isinstance(wanted, tuple) and not tf.TensorShape(wanted[1:]).is_compatible_with(self.example_shape):
                takes = f"takes {times(wanted[1:])}, but the encoder takes {times(self.example_shape)}"
                raise ValueError(f"critic_encoder: {takes}")
            features = self.critic_encoder(keras.Input(self.example_shape)).shape
        else:
            features = shared_features(self.encoder, self.shared_layer).shape
        self.x_projection.build((None, math.prod(features[1:])))
        self.z_hidden.build((None, self.latent_dim))
        self.z_projection.build((None, _Z_WIDTH))

    # ── Hooks ────────────────────────────────────────────────────────────────────────────────────────────────

    def features(self, x: tf.Tensor, training: bool) -> tuple[tf.Tensor, Any]:
        """As in `VAE`; for the hybrid critic with the encoder's early features, from the same pass."""
        if self.critic != "hybrid":
            return super().features(x, training)
        early, output = self.run(self.__dict__["with_features"], x, training=training)
        return output, early

    def loss_terms(self, batch: Batch, latents: Latents) -> dict[str, Term]:
        """Adds `critic`, −c in nats."""
        terms = super().loss_terms(batch, latents)
        if self.side == "inference":
            pairs = self._vectors(batch.x, latents.z, None if self.critic == "neural" else latents, batch.training)
        else:
            pairs = self._model_vectors(batch)
        return {**terms, "critic": Term(self._minus_log_softmax(*pairs), self.critic_lambda)}

    # ── Scores ───────────────────────────────────────────────────────────────────────────────────────────────

    def _vectors(
        self, x: tf.Tensor, z: tf.Tensor, latents: Latents | None, training: bool
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Vectors of x and of z, each [batch, size], whose inner products are the scores of all pairs.

        Args:
            x: images.
            z: a code of each.
            latents: what the encoder says of x; None for the neural critic, which encodes x itself.
            training: passed to the critic's encoder.
        """
        if latents is None:
            features = self.run(self.critic_encoder, x, training=training)
        elif self.critic == "self":
            return latents.natural_parameters(), sufficient_statistics(z)
        else:
            features = latents.features
        of_x = self.x_projection(tf.reshape(features, [-1, math.prod(features.shape[1:])]))
        return of_x / self.critic_temperature, self.z_projection(self.z_hidden(z))

    def _model_vectors(self, batch: Batch) -> tuple[tf.Tensor, tf.Tensor]:
        """As `_vectors`, for as many pairs of the model as the batch has examples."""
        noise = batch.draws.normal("critic/prior", tf.stack([batch.size, self.latent_dim]))
        z = self.sample_prior(tf.ensure_shape(noise, [None, self.latent_dim]))
        # Both networks as they are in evaluation. Batch normalisation would make every image depend on all codes, and
        # the bound is for pairs that are independent of each other; and the moving averages, by which held-out images
        # are encoded and reconstructed, shall be those of real images and their codes.
        x = self.generate(z, training=False).sample(batch.draws, "critic/image")
        generated = replace(batch.of(x, "critic/posterior"), training=False)
        # The neural critic's own encoder never sees any other images.
        latents = None if self.critic == "neural" else self.infer(generated)
        return self._vectors(x, z, latents, batch.training)

    def _minus_log_softmax(self, of_x: tf.Tensor, of_z: tf.Tensor) -> tf.Tensor:
        """−log softmax of the true pair among the global batch, in nats: [batch]."""
        directions = {"z_to_x": [(of_z, of_x)], "x_to_z": [(of_x, of_z)], "both": [(of_z, of_x), (of_x, of_z)]}
        found = [info_nce(given, sought, None, 1.0) for given, sought in directions[self.direction]]
        return tf.cast(tf.add_n(found) / len(found), tf.float32)

    # ── Checks and round trips ───────────────────────────────────────────────────────────────────────────────

    def check_batch(self, size: int) -> None:
        """As in `VAE`.

        Raises:
            ValueError: a single example.
        """
        super().check_batch(size)
        if size == 1:
            raise ValueError("critic: tells each image from the others of its batch, but the batch has one image")

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        given = keras.saving.serialize_keras_object(self.critic_encoder) if self.given_critic_encoder else None
        return {**super().get_config(), "critic_encoder": given}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict | None = None) -> Self:
        """Rebuilds the model, its critic included, from `get_config`."""
        network = config["critic_encoder"]
        if network is not None:
            network = keras.saving.deserialize_keras_object(network, custom_objects=custom_objects)
        return super().from_config({**config, "critic_encoder": network}, custom_objects)


def _with_features(encoder: keras.Model, shared_layer: str | None) -> keras.Model:
    """The encoder as a model that gives its early features and its output, run once."""
    features = shared_features(encoder, shared_layer)
    try:
        return keras.Model(encoder.inputs[0], [features, encoder.outputs[0]], dtype=encoder.dtype_policy)
    except ValueError:
        raise ValueError("critic: 'hybrid' has no layer to share: the encoder's are those of another model") from None
