"""The convolutional network of Wasserstein auto-encoders (Tolstikhin et al. 2017, appendix on the architecture).

The consistency paper (Sinha & Dieng 2021) trains its VAEs on it. For 28×28×1 images, 50 latents and the paper's 128
filters the VAE has about 24.5 million weights; with 32 filters it has 2.1 million.
"""

from __future__ import annotations

import math

import keras
from keras import layers

from zoo.networks import Networks
from zoo.networks.normalization import FusedBatchNormalization
from zoo.parameters import Width, checked

# (side of the decoder's first maps, how often they are doubled) by the image's size.
_DECODERS = {28: (7, 2), 32: (8, 2), 64: (8, 3)}


@checked
def wae_conv(
    image_shape: tuple,
    latent_dim: int,
    output_activation: str = "linear",
    filters: Width = 128,
    kernel: Width = 4,
    parameter_shape: tuple | None = None,
) -> Networks:
    """Builds the encoder and the decoder: square kernels, stride 2, batch normalisation and ReLU behind each.

    As in the paper's published code, the decoder's dense layer has a ReLU but no normalisation, and the last layer is a
    transposed convolution of stride 1.

    Args:
        image_shape: (28, 28, c), (32, 32, c) or (64, 64, c) with c = 1 or 3.
        latent_dim: size of z.
        output_activation: behind the last layer.
        parameter_shape: what the decoder gives, an image's height and width first; an image's by default.
        filters: of the encoder's first layer; the others have 2, 4 and 8 times as many. 128 is the paper's.
        kernel: side of all kernels: 4 for MNIST, 5 for CelebA in the paper.

    Returns:
        Encoder [batch, h, w, c] → [batch, h/16, w/16, 8 · filters], rounded up, and decoder [batch, latent_dim] →
        [batch, h, w, c].

    Raises:
        ValueError: another image size, or a value out of range.
    """
    if image_shape[0] != image_shape[1] or image_shape[0] not in _DECODERS or image_shape[2] not in {1, 3}:
        given = "×".join(map(str, image_shape))
        raise ValueError(f"network wae_conv: takes images of 28×28, 32×32 or 64×64 with 1 or 3 channels, got {given}")

    # === Encoder ===
    x = inputs = keras.Input(image_shape, name="image")
    for multiple in (1, 2, 4, 8):
        x = layers.Conv2D(multiple * filters, kernel, strides=2, padding="same")(x)
        x = layers.ReLU()(FusedBatchNormalization(momentum=0.9, epsilon=1e-5)(x))
    encoder = keras.Model(inputs, x, name="encoder")

    # === Decoder ===
    side, doublings = _DECODERS[image_shape[0]]
    z = keras.Input((latent_dim,), name="z")
    x = layers.Dense(side * side * 8 * filters, activation="relu")(z)
    x = layers.Reshape((side, side, 8 * filters))(x)
    for multiple in (4, 2, 1)[:doublings]:
        x = layers.Conv2DTranspose(multiple * filters, kernel, strides=2, padding="same")(x)
        x = layers.ReLU()(FusedBatchNormalization(momentum=0.9, epsilon=1e-5)(x))
    wanted = tuple(parameter_shape or image_shape)
    x = layers.Conv2DTranspose(math.prod(wanted[2:]), kernel, padding="same")(x)
    x = layers.Reshape(wanted)(x) if len(wanted) > 3 else x
    outputs = layers.Activation(output_activation, dtype="float32")(x)
    return Networks(encoder, keras.Model(z, outputs, name="decoder"))
