"""The last layer of every encoder: features → the posterior's parameters."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("zoo")
class GaussianHead(keras.layers.Layer):
    """Features → (loc, scale) of a diagonal Gaussian; the scale is the softplus of a linear layer.

    Args:
        latent_dim: size of z.
    """

    def __init__(self, latent_dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.latent_dim = latent_dim
        self.flatten = keras.layers.Flatten()
        # Float32 also under mixed precision: rates are differences of logarithms of scales.
        self.loc = keras.layers.Dense(latent_dim, dtype="float32", name="loc")
        self.scale = keras.layers.Dense(latent_dim, activation="softplus", dtype="float32", name="scale")

    def build(self, input_shape: tuple) -> None:
        """Creates the weights of both linear layers."""
        flat = self.flatten.compute_output_shape(input_shape)
        self.loc.build(flat)
        self.scale.build(flat)

    def call(self, features: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """[batch, ...] → two tensors [batch, latent_dim]."""
        flat = self.flatten(features)
        # Softplus underflows to 0 below −103, where the rate would be infinite.
        return self.loc(flat), self.scale(flat) + 1e-6

    def get_config(self) -> dict[str, Any]:
        """The latent size."""
        return {**super().get_config(), "latent_dim": self.latent_dim}
