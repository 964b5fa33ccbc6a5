"""Encoders and decoders as plain Keras models.

`build("conv", (28, 28, 1), 16)` returns a pair (encoder, decoder). Nobody needs this room to bring a network: any two
Keras models do, an encoder from examples to features and a decoder from z to the likelihood's parameters. A function
that makes two such models serves configurations by its name, `my_package.my_module:my_network`.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from zoo import outside
from zoo.parameters import nearest

if TYPE_CHECKING:
    import keras

NETWORKS = {
    "conv": "Table VI of the contrastive paper, for 28 or 32 pixels",
    "mlp": "fully connected, any depth and width",
    "wae_conv": "that of Wasserstein auto-encoders, for 28, 32 or 64 pixels",
}
# What comes first in every network's signature, by position.
GIVEN = ("example_shape", "latent_dim", "output_activation")


class Networks(NamedTuple):
    """An encoder and a decoder that fit each other."""

    encoder: keras.Model
    decoder: keras.Model


def check_name(name: str) -> None:
    """Raises ValueError for what is neither one of `NETWORKS` nor `package.module:function`; imports nothing."""
    if outside.is_outside(name):
        outside.check_name(name)
    elif name not in NETWORKS:
        raise ValueError(f"no network {name!r}; {nearest(name, NETWORKS)}, or package.module:function")


def network(name: str, folders: Sequence[Path] = ()) -> Callable[..., Any]:
    """The function that makes a network, by its name in configurations.

    Args:
        name: one of `NETWORKS`, or `package.module:function` for one from outside the zoo, a function
            (example_shape, latent_dim, output_activation, **own) → (encoder, decoder).
        folders: where such a module is looked for first.

    Raises:
        ValueError: an unknown name, or a function that cannot be had, or takes something else.
    """
    try:
        check_name(name)
        if not outside.is_outside(name):
            return getattr(importlib.import_module(f"zoo.networks.{name}"), name)
        function = outside.find(name, "function", folders)
        positional = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
        kinds = [parameter.kind for parameter in inspect.signature(function).parameters.values()]
        if len(kinds) < len(GIVEN) or not positional.issuperset(kinds[: len(GIVEN)]):
            raise ValueError(f"{name} must take ({', '.join(GIVEN)}, …)")
    except ValueError as error:
        raise ValueError(f"network: {error}") from None
    return function


def build(
    name: str,
    example_shape: tuple,
    latent_dim: int,
    output_activation: str = "linear",
    *,
    parameter_shape: tuple | None = None,
    folders: Sequence[Path] = (),
    **arguments: Any,
) -> Networks:
    """Networks by name.

    Args:
        name: one of `NETWORKS`, or `package.module:function`.
        example_shape: of one example, such as (h, w, c).
        latent_dim: size of z.
        output_activation: behind the decoder's last layer; a likelihood says which it wants.
        parameter_shape: what the decoder gives for an example; the example's own shape by default.
        folders: where a module from outside the zoo is looked for first.
        **arguments: the network's own, such as `depth` and `width` of `mlp`.

    Raises:
        ValueError: an unknown name, examples that the network does not take, a function that takes no
            `parameter_shape` where it matters, or that returns something else than two models.
    """
    function = network(name, folders)
    if parameter_shape is not None and tuple(parameter_shape) != tuple(example_shape):
        if "parameter_shape" not in inspect.signature(function).parameters:
            raise ValueError(
                f"network: {name} must take `parameter_shape`, as the likelihood needs {tuple(parameter_shape)} for "
                f"examples of {tuple(example_shape)}"
            )
        arguments["parameter_shape"] = tuple(parameter_shape)
    made = function(tuple(example_shape), latent_dim, output_activation, **arguments)
    if not isinstance(made, tuple | list) or len(made) != 2 or not all(map(callable, made)):
        raise ValueError(f"network: {name} must return (encoder, decoder), two Keras models, got {made!r:.80}")
    return Networks(*made)
