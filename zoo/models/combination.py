"""Several methods in one class: `combine("consistency", "iwae")`.

Methods add up through Python's own inheritance, so a combined class has nothing in its body. This module writes the
class statement by name, and lets Keras find such classes again when it loads a saved model.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import keras

from zoo.models import METHODS, canonical, method
from zoo.models.vae import VAE

# Saved models name this class, and which methods it stands for.
_REGISTERED = "Combination"


# Classes that are defined inside a function, by the name under which a saved model looks for them.
_LOCAL: weakref.WeakValueDictionary[str, type[VAE]] = weakref.WeakValueDictionary()


def combine(*methods: str | type[VAE], folders: Sequence[Path] = ()) -> type[VAE]:
    """The class that has all the methods' terms: `class ConsistencyIWAE(ConsistencyVAE, IWAE)` for two of them.

    The order makes no difference: the same methods give the same class. Its constructor takes the keywords of all.

    Example:
        >>> Model = zoo.combine("consistency", "critic", "iwae")
        >>> model = Model(encoder, decoder, latent_dim=16, consistency_lambda=0.1, critic="hybrid", samples=5)

    Args:
        *methods: names as `zoo list` prints them, `package.module:Class` for methods from outside the zoo, or
            classes; `vae` adds nothing to others.
        folders: where modules from outside the zoo are looked for first.

    Raises:
        ValueError: an unknown name, one given twice, none at all, or methods that cannot be combined.
    """
    named = [(name, each) for each in methods for name in _names(each)]
    names = canonical([name for name, _ in named])
    given = {name: each for name, each in named if isinstance(each, type) and not each.methods}
    _LOCAL.update({name: each for name, each in given.items() if "<locals>" in name})
    classes = [given.get(name) or _LOCAL.get(name) or method(name, folders) for name in names]
    # A class that another one is derived from adds nothing to it, as the VAE adds nothing to any.
    bases = [one for one in classes if not any(other is not one and issubclass(other, one) for other in classes)]
    return bases[0] if len(bases) == 1 else _combined(tuple(bases), names)


def _names(given: str | type[VAE]) -> tuple[str, ...]:
    """The names that stand for a method, which may be given as a class."""
    if not isinstance(given, type):
        return (given,)
    if not issubclass(given, VAE):
        raise ValueError(f"method: {given.__name__} is not a subclass of zoo's VAE")
    if given.methods:
        return given.methods
    own = [name for name, known in METHODS.items() if known.class_name == given.__name__ and method(name) is given]
    if own:
        return (own[0],)
    return (f"{given.__module__}:{given.__qualname__}",)


@functools.cache
def _combined(bases: tuple[type[VAE], ...], names: tuple[str, ...]) -> type[VAE]:
    *first, last = (base.__name__ for base in bases)
    title = "".join(name.removesuffix("VAE") for name in first) + last
    body = {
        "__module__": __name__,
        "__doc__": f"The VAE with the terms of {', '.join(base.__name__ for base in bases)}; see there.",
        "methods": names,
    }
    try:
        made = type(title, bases, body)
    except (TypeError, ValueError) as error:
        # Two that claim one term, or whose bases stand in different orders.
        raise ValueError(f"method: {' '.join(str(error).split())}") from None
    # All combined classes are saved under one name, whose class looks up the methods.
    keras.saving.register_keras_serializable("zoo", _REGISTERED)(made)
    keras.saving.register_keras_serializable("zoo", _REGISTERED)(Combination)
    return made


class Combination:
    """What a saved combination is loaded through: its configuration names the methods."""

    def __init__(self, **_: Any) -> None:
        raise TypeError("Combination is how saved models are found; write zoo.combine(…) instead")

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict | None = None) -> VAE:
        """Rebuilds the model by `combine`."""
        methods: Iterable[str] = config["methods"]
        return combine(*methods).from_config(config, custom_objects)

    def get_config(self) -> dict[str, Any]:
        """Never called: there are no instances."""
        return {}


keras.saving.register_keras_serializable("zoo", _REGISTERED)(Combination)
