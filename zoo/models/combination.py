"""Several methods in one class: `combine("consistency", "iwae")`.

Methods add up through Python's own inheritance, so a combined class has nothing in its body. This module writes the
class statement by name, and lets Keras find such classes again when it loads a saved model.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

import keras

from zoo.models import canonical, method
from zoo.models.vae import VAE

# Saved models name this class, and which methods it stands for.
_REGISTERED = "Combination"


def combine(*methods: str) -> type[VAE]:
    """The class that has all the methods' terms: `class ConsistencyIWAE(ConsistencyVAE, IWAE)` for two of them.

    The order makes no difference: the same methods give the same class. Its constructor takes the keywords of all.

    Example:
        >>> Model = zoo.combine("consistency", "critic", "iwae")
        >>> model = Model(encoder, decoder, latent_dim=16, consistency_lambda=0.1, critic="hybrid", samples=5)

    Args:
        *methods: names as `zoo list` prints them; `vae` adds nothing to others.

    Raises:
        ValueError: an unknown name, one given twice, none at all, or methods that cannot be combined.
    """
    names = canonical(methods)
    return method(names[0]) if len(names) == 1 else _combined(names)


@functools.cache
def _combined(names: tuple[str, ...]) -> type[VAE]:
    bases = tuple(method(name) for name in names)
    *first, last = (base.__name__ for base in bases)
    title = "".join(name.removesuffix("VAE") for name in first) + last
    body = {
        "__module__": __name__,
        "__doc__": f"The VAE with the terms of {', '.join(base.__name__ for base in bases)}; see there.",
        "methods": names,
    }
    made = type(title, bases, body)
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
