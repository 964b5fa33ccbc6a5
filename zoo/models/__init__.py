"""The methods, one file each, and the names by which configurations call them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from zoo.parameters import nearest

if TYPE_CHECKING:
    from zoo.models.vae import VAE

METHODS = {
    "vae": ("VAE", "the plain VAE; with beta it is the β-VAE"),
    "contrastive": ("ContrastiveVAE", "InfoNCE between two views, momentum key encoder, queue"),
}


def method(name: str) -> type[VAE]:
    """The class of a method by its name in configurations.

    Raises:
        ValueError: an unknown name.
    """
    if name not in METHODS:
        raise ValueError(f"method: no {name!r}; {nearest(name, METHODS)}")
    return getattr(importlib.import_module(f"zoo.models.{name}"), METHODS[name][0])
