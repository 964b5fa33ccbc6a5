"""A training that begins with the weights of another model: what fits is taken over, the rest made anew, and said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from zoo.models import saving

if TYPE_CHECKING:
    from zoo.models.vae import VAE


def initialise(model: VAE, name: str) -> list[str]:
    """Gives a built model the weights of a trained one, network by network, as far as they have one shape.

    Both models' networks are gone through weight by weight, in the order of their layers. Optimisers, counters, noise
    and a queue of keys begin as in any training.

    Args:
        model: built; of whatever method.
        name: of an export or a run, as `zoo.load` takes it.

    Returns:
        What was taken over and what was not, a line for each network.

    Raises:
        ValueError: there is no such model, or nothing of it fits.
    """
    source = saving.load(name)
    theirs, lines, taken = _parts(source), [], 0
    for part, layer in _parts(model).items():
        weights = layer.weights
        if part not in theirs:
            lines.append(f"{part}: made anew, {name} has none")
            continue
        given = theirs[part].weights
        pairs = [(mine, its) for mine, its in zip(weights, given, strict=False) if mine.shape == its.shape]
        for mine, its in pairs:
            mine.assign(its.value)
        taken += len(pairs)
        lines.append(f"{part}: {_share(len(pairs), len(weights))}{_unlike(weights, given)}")
    if not taken:
        raise ValueError(f"init_from: nothing of {name} fits: {'; '.join(lines)}")
    model.after_initialising()
    return [f"weights of {name}:", *lines]


def _parts(model: VAE) -> dict[str, keras.layers.Layer]:
    """The layers that a model holds as attributes and that have weights, by name."""
    found: dict[str, Any] = {name: value for name, value in vars(model).items() if not name.startswith("_")}
    return {name: one for name, one in found.items() if isinstance(one, keras.layers.Layer) and one.weights}


def _share(taken: int, all_of: int) -> str:
    return f"all {all_of} weights" if taken == all_of else f"{taken} of {all_of} weights, the others made anew"


def _unlike(mine: list[Any], its: list[Any]) -> str:
    """The first weight of another shape, in words."""
    for one, other in zip(mine, its, strict=False):
        if one.shape != other.shape:
            return f" (first {one.path}: {_shape(other.shape)} there, {_shape(one.shape)} here)"
    return f" ({len(its)} there, {len(mine)} here)" if len(mine) != len(its) else ""


def _shape(shape: Any) -> str:
    return "×".join(map(str, shape)) or "a number"
