"""Encoders and decoders as plain Keras models.

`build("conv", (28, 28, 1), 16)` returns a pair (encoder, decoder). Nobody needs this room to bring a network: any two
Keras models do, an encoder from images to features and a decoder from z to the likelihood's parameters.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, NamedTuple

from zoo.parameters import nearest

if TYPE_CHECKING:
    import keras

NETWORKS = {
    "conv": "Table VI of the contrastive paper, for 28 or 32 pixels",
    "mlp": "fully connected, any depth and width",
    "wae_conv": "that of Wasserstein auto-encoders, for 28, 32 or 64 pixels",
}


class Networks(NamedTuple):
    """An encoder and a decoder that fit each other."""

    encoder: keras.Model
    decoder: keras.Model


def build(
    name: str, image_shape: tuple, latent_dim: int, output_activation: str = "linear", **arguments: Any
) -> Networks:
    """Networks by name.

    Args:
        name: one of `NETWORKS`.
        image_shape: (h, w, c).
        latent_dim: size of z.
        output_activation: behind the decoder's last layer; a likelihood says which it wants.
        **arguments: the network's own, such as `depth` and `width` of `mlp`.

    Raises:
        ValueError: an unknown name or an image that the network does not take.
    """
    if name not in NETWORKS:
        raise ValueError(f"network: no {name!r}; {nearest(name, NETWORKS)}")
    function = getattr(importlib.import_module(f"zoo.networks.{name}"), name)
    return function(tuple(image_shape), latent_dim, output_activation, **arguments)
