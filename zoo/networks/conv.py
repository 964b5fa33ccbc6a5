"""The convolutional network of the contrastive paper (Lygerakis & Rueckert 2023, Table VI).

An encoder with one layer less than the decoder, which favours posterior collapse. For 28×28×1 images and 16 latents
the VAE has about 616 thousand weights.
"""

from __future__ import annotations

import math

import keras
from keras import layers

from zoo.networks import Networks
from zoo.networks.normalization import FusedBatchNormalization
from zoo.parameters import checked


@checked
def conv(
    image_shape: tuple, latent_dim: int, output_activation: str = "linear", parameter_shape: tuple | None = None
) -> Networks:
    """Builds the encoder and the decoder of Table VI.

    Every pixel lies where the table's paddings put it, in PyTorch's sense of them.

    The table's first decoder layer, Linear(16, 128), cannot be reshaped into feature maps; it is 4·4·256 wide here.
    A stride-1 transposed convolution leads from 32 maps to the image's channels.

    Args:
        image_shape: (28, 28, c) or (32, 32, c) with c = 1 or 3.
        latent_dim: size of z.
        output_activation: behind the last layer.
        parameter_shape: what the decoder gives, an image's height and width first; an image's by default.

    Returns:
        Encoder [batch, h, w, c] → [batch, 4, 4, 128] and decoder [batch, latent_dim] → [batch, h, w, c].

    Raises:
        ValueError: another image size.
    """
    if tuple(image_shape[:2]) not in {(28, 28), (32, 32)} or image_shape[2] not in {1, 3}:
        given = "×".join(map(str, image_shape))
        raise ValueError(f"network conv: takes images of 28×28 or 32×32 with 1 or 3 channels, got {given}")

    # === Encoder ===
    x = inputs = keras.Input(image_shape, name="image")
    for filters, padding in ((32, "valid"), (64, "same"), (128, "same")):
        even = padding == "same" and x.shape[1] % 2 == 0
        if even:
            # The table pads one pixel on either side; "same" would pad an even size at its end only.
            x = layers.ZeroPadding2D(1)(x)
        x = layers.Conv2D(filters, 3, strides=2, padding="valid" if even else padding)(x)
        x = layers.ReLU()(FusedBatchNormalization(momentum=0.9, epsilon=1e-5)(x))
    encoder = keras.Model(inputs, x, name="encoder")

    # === Decoder ===
    # 28 pixels: 4 → 7 → 13 → 28; 32 pixels: 4 → 8 → 16 → 32, the sizes that the table's paddings give.
    z = keras.Input((latent_dim,), name="z")
    x = layers.Reshape((4, 4, 256))(layers.Dense(4 * 4 * 256)(z))
    small = image_shape[0] == 28
    for filters, last in ((128, False), (64, False), (32, True)):
        if not small:
            # A padding of 1 cuts off the first of 2n + 1 pixels, and an output padding of 1 keeps the last.
            x = layers.Conv2DTranspose(filters, 3, strides=2, padding="valid")(x)
            x = layers.Cropping2D(((1, 0), (1, 0)))(x)
        elif last:
            x = layers.Conv2DTranspose(filters, 3, strides=2, padding="valid", output_padding=1)(x)
        else:
            # What a padding of 1 leaves: 2n − 1 pixels.
            x = layers.Conv2DTranspose(filters, 3, strides=2, padding="same", output_padding=0)(x)
        x = layers.ReLU()(FusedBatchNormalization(momentum=0.9, epsilon=1e-5)(x))
    wanted = tuple(parameter_shape or image_shape)
    x = layers.Conv2DTranspose(math.prod(wanted[2:]), 3, padding="same")(x)
    x = layers.Reshape(wanted)(x) if len(wanted) > 3 else x
    outputs = layers.Activation(output_activation, dtype="float32")(x)
    return Networks(encoder, keras.Model(z, outputs, name="decoder"))
