"""The methods, one file each, and the names by which configurations call them."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from zoo import outside
from zoo.parameters import nearest

if TYPE_CHECKING:
    from zoo.models.vae import VAE


class Method(NamedTuple):
    """What is known of a method without importing it.

    Attributes:
        class_name: of its class, in the module of the method's name.
        summary: what it is, in a line.
        terms: those that it adds to the loss, its class's `adds`.
    """

    class_name: str
    summary: str
    terms: tuple[str, ...]


METHODS = {
    "vae": Method("VAE", "the plain VAE; with beta it is the β-VAE", ("distortion", "rate", "sum_of_squares")),
    "contrastive": Method("ContrastiveVAE", "InfoNCE between two views, momentum key encoder, queue", ("info_nce",)),
    "consistency": Method(
        "ConsistencyVAE", "KL divergence between the posteriors of an image and its transformation", ("consistency",)
    ),
    "triplet": Method("TripletVAE", "hinge on the distances to a transformation and to another image", ("triplet",)),
    "noise_contrastive": Method("NoiseContrastiveVAE", "noise has its own, wider prior", ("noise_rate",)),
    "critic": Method("InferenceCriticVAE", "a critic must tell which code belongs to which image", ("critic",)),
    "auxiliary_softmax": Method(
        "AuxiliarySoftmaxVAE",
        "mutual information and marginal KL weighted apart, by a classifier",
        ("softmax_information", "softmax_marginal_kl", "softmax_rate", "cross_entropy"),
    ),
    "iwae": Method("IWAE", "importance-weighted bound from several samples", ("negative_bound",)),
}


def check_name(name: object) -> None:
    """Raises ValueError for what is neither one of `METHODS` nor `package.module:Class`; imports nothing."""
    if isinstance(name, str) and outside.is_outside(name):
        outside.check_name(name)
    elif not isinstance(name, str) or name not in METHODS:
        raise ValueError(f"no {name!r}; {nearest(name, METHODS)}, or package.module:Class")


def method(name: str, folders: Sequence[Path] = ()) -> type[VAE]:
    """The class of a method by its name in configurations.

    Args:
        name: one of `METHODS`, or `package.module:Class` for one from outside the zoo.
        folders: where such a module is looked for first.

    Raises:
        ValueError: an unknown name, or a class that cannot be had, or is no VAE.
    """
    try:
        check_name(name)
        if not outside.is_outside(name):
            return getattr(importlib.import_module(f"zoo.models.{name}"), METHODS[name].class_name)
        found = outside.find(name, importlib.import_module("zoo.models.vae").VAE, folders)
        kinds = {parameter.kind for parameter in inspect.signature(found.__init__).parameters.values()}
        if inspect.Parameter.VAR_KEYWORD not in kinds:
            raise ValueError(f"{name}: its constructor must take **kwargs, and pass them on to the one above it")
        return found
    except ValueError as error:
        raise ValueError(f"method: {error}") from None


def summary(name: str, folders: Sequence[Path] = ()) -> str:
    """What a method is, in a line: of one from outside, the first line of its docstring."""
    if name in METHODS:
        return METHODS[name].summary
    return (inspect.getdoc(method(name, folders)) or name).splitlines()[0].rstrip(".")


def claims(name: str) -> tuple[str, ...]:
    """The terms that a method adds."""
    return METHODS[name].terms if name in METHODS else tuple(vars(method(name)).get("adds", ()))


def canonical(names: str | Iterable[str]) -> tuple[str, ...]:
    """The methods of a combination in one order: those from outside by name, then those of `METHODS` in its order.

    A `vae` that adds nothing to others is left out. Nothing is imported.

    Raises:
        ValueError: none at all, an unknown name, or one given twice.
    """
    given = [names] if isinstance(names, str) else list(names)
    try:
        for name in given:
            check_name(name)
    except ValueError as error:
        raise ValueError(f"method: {error}") from None
    if twice := [name for name in given if given.count(name) > 1]:
        raise ValueError(f"method: {twice[0]!r} is given twice")
    if not given:
        raise ValueError(f"method: none given; one or more of: {', '.join(sorted(METHODS))}")
    own = sorted(filter(outside.is_outside, given))
    return tuple([*own, *(name for name in METHODS if name in given and name != "vae")] or ["vae"])
