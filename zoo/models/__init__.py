"""The methods, one file each, and the names by which configurations call them."""

from __future__ import annotations

import ast
import functools
import importlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.parameters import nearest

if TYPE_CHECKING:
    from zoo.models.vae import VAE

METHODS = {
    "vae": ("VAE", "the plain VAE; with beta it is the β-VAE"),
    "contrastive": ("ContrastiveVAE", "InfoNCE between two views, momentum key encoder, queue"),
    "consistency": ("ConsistencyVAE", "KL divergence between the posteriors of an image and its transformation"),
    "triplet": ("TripletVAE", "hinge on the distances to a transformation and to another image"),
    "noise_contrastive": ("NoiseContrastiveVAE", "noise has its own, wider prior"),
    "critic": ("InferenceCriticVAE", "a critic must tell which code belongs to which image"),
    "auxiliary_softmax": ("AuxiliarySoftmaxVAE", "mutual information and marginal KL weighted apart, by a classifier"),
    "iwae": ("IWAE", "importance-weighted bound from several samples"),
}


def method(name: str) -> type[VAE]:
    """The class of a method by its name in configurations.

    Raises:
        ValueError: an unknown name.
    """
    if name not in METHODS:
        raise ValueError(f"method: no {name!r}; {nearest(name, METHODS)}")
    return getattr(importlib.import_module(f"zoo.models.{name}"), METHODS[name][0])


@functools.cache
def claims(name: str) -> tuple[str, ...]:
    """The terms that a method adds, its class's `adds`, read from the source: that takes no TensorFlow."""
    tree = ast.parse((Path(__file__).parent / f"{name}.py").read_text(encoding="utf-8"))
    owner = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == METHODS[name][0])
    for node in owner.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == "adds" for target in targets):
            return tuple(ast.literal_eval(node.value))  # type: ignore[attr-defined]
    return ()


def canonical(names: str | Iterable[str]) -> tuple[str, ...]:
    """The methods of a combination in the order of `METHODS`, without a `vae` that adds nothing to others.

    Raises:
        ValueError: none at all, an unknown name, or one given twice.
    """
    given = [names] if isinstance(names, str) else list(names)
    for name in given:
        if not isinstance(name, str) or name not in METHODS:
            raise ValueError(f"method: no {name!r}; {nearest(name, METHODS)}")
        if given.count(name) > 1:
            raise ValueError(f"method: {name!r} is given twice")
    if not given:
        raise ValueError(f"method: none given; one or more of: {', '.join(sorted(METHODS))}")
    adding = [name for name in METHODS if name in given and name != "vae"]
    return tuple(adding or ["vae"])
