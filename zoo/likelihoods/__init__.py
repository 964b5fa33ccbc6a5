"""p(x|z): what a decoder's output means, one likelihood a file.

Each is a Keras layer that gives log p(x | parameters) in nats with its constant, and says what it takes.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo import outside
from zoo.parameters import nearest

if TYPE_CHECKING:
    from zoo.likelihoods.bernoulli import Bernoulli
    from zoo.likelihoods.categorical import Categorical
    from zoo.likelihoods.gaussian import Gaussian
    from zoo.likelihoods.laplace import Laplace
    from zoo.likelihoods.likelihood import Conditional, Likelihood, counted

__all__ = [
    "LIKELIHOODS",
    "Bernoulli",
    "Categorical",
    "Conditional",
    "Gaussian",
    "Laplace",
    "Likelihood",
    "counted",
    "get",
]

# The class of each name, in the module of that name.
LIKELIHOODS = {"bernoulli": "Bernoulli", "gaussian": "Gaussian", "laplace": "Laplace", "categorical": "Categorical"}
_MODULES = {**{name: module for module, name in LIKELIHOODS.items()}}
_MODULES |= dict.fromkeys(("Conditional", "Likelihood", "counted"), "likelihood")


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(f"zoo.likelihoods.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'zoo.likelihoods' has no attribute {name!r}")


def get(likelihood: str | dict[str, Any] | Likelihood, folders: Sequence[Path] = ()) -> Likelihood:
    """A likelihood by name, by `{"name": …, **parameters}`, from a Keras configuration, or as it is.

    Args:
        likelihood: of the zoo, or from outside it by a name such as `my_package.my_module:MyLikelihood`.
        folders: where modules from outside are looked for first.

    Raises:
        ValueError: an unknown name or parameter.
    """
    import keras

    if isinstance(likelihood, __getattr__("Likelihood")):
        return likelihood
    if isinstance(likelihood, dict) and "class_name" in likelihood:
        return keras.saving.deserialize_keras_object(likelihood)
    arguments: dict[str, Any] = dict(likelihood) if isinstance(likelihood, dict) else {"name": likelihood}
    name = arguments.pop("name", None)
    if outside.is_outside(name):
        owner = outside.find(str(name), __getattr__("Likelihood"), folders)
    elif name in LIKELIHOODS:
        owner = __getattr__(LIKELIHOODS[name])
    else:
        raise ValueError(f"likelihood: no {name!r}; {nearest(name, LIKELIHOODS)}")
    known = [key for key in inspect.signature(owner).parameters if key != "kwargs"]
    for key in arguments:
        if key not in known:
            raise ValueError(f"likelihood: {name} has no {key!r}; {nearest(key, known)}")
    for key, one in inspect.signature(owner).parameters.items():
        if one.default is one.empty and key not in arguments and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD):
            raise ValueError(f"likelihood: {name} needs {key!r}: {{name: {name}, {key}: …}}")
    return owner(**arguments)
