"""Fully connected networks of any depth and width."""

from __future__ import annotations

import math

import keras
from keras import layers

from zoo.networks import Networks
from zoo.parameters import Depth, Width, checked


@checked
def mlp(
    image_shape: tuple,
    latent_dim: int,
    output_activation: str = "linear",
    depth: Depth = 2,
    decoder_depth: Depth | None = None,
    width: Width = 512,
    parameter_shape: tuple | None = None,
) -> Networks:
    """Builds an encoder and a decoder of ReLU layers.

    Args:
        image_shape: (h, w, c), any.
        latent_dim: size of z.
        output_activation: behind the last layer.
        depth: hidden layers of the encoder; 0 makes the posterior's parameters linear in x.
        decoder_depth: hidden layers of the decoder; as many as the encoder's where it is not given.
        width: units of a hidden layer.
        parameter_shape: what the decoder gives; an example's shape by default.

    Returns:
        Encoder [batch, h, w, c] → [batch, width] and decoder [batch, latent_dim] → [batch, h, w, c].
    """
    # === Encoder ===
    inputs = keras.Input(image_shape, name="image")
    x = layers.Flatten()(inputs)
    for _ in range(depth):
        x = layers.Dense(width, activation="relu")(x)
    encoder = keras.Model(inputs, x, name="encoder")

    # === Decoder ===
    x = z = keras.Input((latent_dim,), name="z")
    for _ in range(depth if decoder_depth is None else decoder_depth):
        x = layers.Dense(width, activation="relu")(x)
    wanted = tuple(parameter_shape or image_shape)
    x = layers.Reshape(wanted)(layers.Dense(math.prod(wanted))(x))
    outputs = layers.Activation(output_activation, dtype="float32")(x)
    return Networks(encoder, keras.Model(z, outputs, name="decoder"))
