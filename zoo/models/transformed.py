"""An image beside a random transformation of it: what the consistency and the triplet method share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import keras

from zoo.augmentation.affine import RandomAffine
from zoo.augmentation.view import View
from zoo.domains.images import Images
from zoo.latents.posterior import Latents
from zoo.models.batch import Batch
from zoo.models.objective import Term
from zoo.models.vae import VAE
from zoo.parameters import NonNegative, Width, checked


class Pair(NamedTuple):
    """A batch, its transformation x̃, and what the encoder says of each.

    Attributes:
        batch: x.
        latents: q(z|x).
        transformed: x̃, as a batch of its own.
        transformed_latents: q(z|x̃).
    """

    batch: Batch
    latents: Latents
    transformed: Batch
    transformed_latents: Latents


class TransformedVAE(VAE):
    """Base of the methods that look at one random transformation x̃ of each image x.

    x̃ is made and encoded once a step, however many such methods are combined. The default transformation is that of
    the consistency paper (Sinha & Dieng 2021, section 4.1): translation, rotation and scaling jointly.

    Args:
        encoder: as in `VAE`.
        decoder: as in `VAE`.
        latent_dim: as in `VAE`.
        translate: greatest shift in pixels, along each axis; 0 switches it off.
        rotate: greatest rotation in degrees, either way; 0 switches it off.
        scale: greatest relative change of size; 0 switches it off.
        transformations: layers to use instead of these three: of the zoo, or Keras's random image layers; none at all
            leave the image as it is.
        **kwargs: those of `VAE`.

    Raises:
        ValueError: a value out of range, or a transformation that can leave nothing of the image.
    """

    fixed: tuple[str, ...] = ("translate", "rotate", "scale", "transformations")

    @checked
    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        latent_dim: Width,
        *,
        translate: NonNegative = 2.0,
        rotate: NonNegative = 15.0,
        scale: NonNegative = 0.1,
        transformations: Sequence[keras.layers.Layer] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(encoder, decoder, latent_dim, **kwargs)
        self.translate = translate
        self.rotate = rotate
        self.scale = scale
        if transformations is not None and not (
            isinstance(transformations, list | tuple)
            and all(isinstance(t, keras.layers.Layer) for t in transformations)
        ):
            raise ValueError(f"transformations: must be a list of Keras layers, got {transformations!r}")
        self.given_transformations = transformations is not None
        self.transformations = None if transformations is None else list(transformations)

    def build(self, input_shape: tuple) -> None:
        """As in `VAE`.

        Raises:
            ValueError: a translation out of the image, or examples for which there is no transformation by default.
        """
        if self.transformations is None:
            domain = self._domain_for(input_shape[1:])
            if isinstance(domain, Images):
                self.transformations = [RandomAffine(self.translate, self.rotate, self.scale)]
            else:
                self.transformations = domain.transformations(self.likelihood.support)
        super().build(input_shape)
        for layer in self.transformations:
            if isinstance(layer, View):
                layer.check_size(self.example_shape)

    def view_layers(self) -> list[keras.layers.Layer]:
        """Adds the transformations."""
        return [*super().view_layers(), *(self.transformations or [])]

    # ── Hooks ────────────────────────────────────────────────────────────────────────────────────────────────

    def loss_terms(self, batch: Batch, latents: Latents) -> dict[str, Term]:
        """Adds those of `pair_terms`."""
        terms = super().loss_terms(batch, latents)
        transformed = batch.of(
            self.viewed(self.transformations or [], batch.x, batch.draws, "transformed"), "transformed"
        )
        return {**terms, **self.pair_terms(Pair(batch, latents, transformed, self.infer(transformed)))}

    def pair_terms(self, pair: Pair) -> dict[str, Term]:
        """The terms that need an example and its transformation: a cooperative hook for subclasses."""
        return {}

    # ── Round trips ──────────────────────────────────────────────────────────────────────────────────────────

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        layers = [keras.saving.serialize_keras_object(layer) for layer in self.transformations or []]
        return {**super().get_config(), "transformations": layers if self.given_transformations else None}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict | None = None) -> Self:
        """Rebuilds the model, its transformations included, from `get_config`."""
        layers = config["transformations"]
        if layers is not None:
            layers = [keras.saving.deserialize_keras_object(layer, custom_objects) for layer in layers]
        return super().from_config({**config, "transformations": layers}, custom_objects)
