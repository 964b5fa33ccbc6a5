"""What x is: the kinds of examples, each with its checks, its preparation in the graph and its pictures.

`get` finds a domain by name; `infer` from what an encoder takes and a likelihood wants.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from zoo.parameters import nearest

if TYPE_CHECKING:
    from zoo.domains.categories import Categories
    from zoo.domains.domain import Domain
    from zoo.domains.features import Features
    from zoo.domains.images import Images
    from zoo.domains.tokens import Tokens

__all__ = ["DOMAINS", "Categories", "Domain", "Features", "Images", "Tokens", "get", "infer"]

# The class of each name, in the module of that name.
DOMAINS = {"images": "Images", "features": "Features", "categories": "Categories", "tokens": "Tokens"}
_MODULES = {**{name: module for module, name in DOMAINS.items()}, "Domain": "domain"}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(f"zoo.domains.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'zoo.domains' has no attribute {name!r}")


def get(domain: str | Mapping[str, Any] | Domain) -> Domain:
    """A domain by name, by `{"name": …, **arguments}`, from a Keras configuration, or as it is.

    Raises:
        ValueError: an unknown name, or no domain.
    """
    import keras

    if isinstance(domain, Mapping) and "class_name" in domain:
        return keras.saving.deserialize_keras_object(dict(domain))
    if not isinstance(domain, str | Mapping):
        if not isinstance(domain, __getattr__("Domain")):
            raise ValueError(f"domain: must be a name or a zoo.domains.Domain, got {type(domain).__name__}")
        return domain
    arguments: dict[str, Any] = {"name": domain} if isinstance(domain, str) else dict(domain)
    name = arguments.pop("name", None)
    if name not in DOMAINS:
        raise ValueError(f"domain: no {name!r}; {nearest(name, DOMAINS)}")
    try:
        return __getattr__(DOMAINS[name])(**arguments)
    except TypeError as error:
        raise ValueError(f"domain: {name}: {str(error).partition('() ')[2]}") from None


def infer(example_shape: tuple, likelihood: Any) -> Domain:
    """The domain that a shape and a likelihood make likely.

    Tokens for categories in a row, without padding, and categories of other shapes as they are; images for height ×
    width × 1 to 4 channels, features for the rest.

    Args:
        example_shape: what the encoder takes, without the batch's axis.
        likelihood: of the model.
    """
    if likelihood.support == "categories":
        return __getattr__("Tokens" if len(example_shape) == 1 else "Categories")(likelihood.categories)
    if len(example_shape) == 3 and example_shape[-1] in (1, 2, 3, 4):
        return __getattr__("Images")()
    return __getattr__("Features")()
