"""The section `model` of a configuration: method, network and likelihood by name, and their hyperparameters.

Names are checked at once, hyperparameters by the signatures of the classes that the names stand for: those of the zoo,
and `package.module:Name` from outside.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field, ValidationError, create_model, field_validator

from zoo import networks, outside
from zoo.experiments.sections import Section
from zoo.likelihoods import LIKELIHOODS
from zoo.models import canonical
from zoo.parameters import hyperparameters, nearest, one_line, strict, takes

# These keywords of a method's constructor come from the section `train`, and from the size of the training split.
_FROM_TRAIN = ("warmup_steps", "seed", "examples")
# And these from the network and the likelihood.
_BUILT = ("encoder", "decoder", "likelihood", "prior", "domain")

# By keyword: annotation and default, `...` where there is none.
Parameters = dict[str, tuple[Any, Any]]
Kind = Literal["method", "network", "likelihood"]


def owner(kind: Kind, name: str | Sequence[str], folders: Sequence[Path] = ()) -> Callable[..., Any]:
    """The class or function that a name, or several methods' names, stand for; loads TensorFlow.

    Args:
        kind: of what the name is.
        name: of the zoo's, or `package.module:Name`.
        folders: where modules from outside the zoo are looked for first.

    Raises:
        ValueError: an unknown name, something from outside that cannot be had, or methods that cannot be combined.
    """
    if kind == "method":
        return importlib.import_module("zoo.models.combination").combine(*canonical(name), folders=folders)
    if kind == "network":
        return networks.network(str(name), folders)
    likelihoods = importlib.import_module("zoo.likelihoods")
    if not outside.is_outside(name):
        return getattr(likelihoods, likelihoods.LIKELIHOODS[name])
    try:
        return outside.find(str(name), likelihoods.Likelihood, folders)
    except ValueError as error:
        raise ValueError(f"likelihood: {error}") from None


@functools.lru_cache(maxsize=256)
def parameters(kind: Kind, of: Callable[..., Any]) -> Parameters:
    """(annotation, default) of each keyword of an `owner` that the section gives."""
    given: tuple[str, ...] = (*_FROM_TRAIN, *_BUILT) if kind == "method" else ()
    if kind == "network":
        given = (*tuple(inspect.signature(of).parameters)[: len(networks.GIVEN)], "parameter_shape")
    return {key: value for key, value in hyperparameters(of).items() if key not in given}


def network_parameters(name: str, folders: Sequence[Path] = ()) -> Parameters:
    """(annotation, default) of each hyperparameter of a network; loads TensorFlow."""
    return parameters("network", owner("network", name, folders))


def method_parameters(method: str | Sequence[str], folders: Sequence[Path] = ()) -> Parameters:
    """(annotation, default) of each hyperparameter of a method, or of several combined; loads TensorFlow."""
    return parameters("method", owner("method", method, folders))


def _with_name(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        return {"name": value}
    if isinstance(value, dict) and isinstance(value.get("name"), str):
        return value
    raise ValueError("must be a name, or a mapping with a name")


class Model(Section):
    """The section `model` as far as it is known without TensorFlow: names, and the rest as it was given."""

    model_config = ConfigDict(extra="allow")

    method: str | list[str]
    network: dict[str, Any]
    likelihood: dict[str, Any] = Field(default_factory=lambda: {"name": "bernoulli"})
    prior: dict[str, Any] = Field(default_factory=lambda: {"name": "standard_normal"})

    @field_validator("prior", mode="before")
    @classmethod
    def _prior(cls, value: Any) -> Any:
        return _with_name(value)

    @field_validator("network", mode="before")
    @classmethod
    def _network(cls, value: Any) -> Any:
        arguments = _with_name(value)
        try:
            networks.check_name(arguments["name"])
        except ValueError as error:
            raise ValueError(f"name: {error}") from None
        return arguments

    @field_validator("likelihood", mode="before")
    @classmethod
    def _likelihood(cls, value: Any) -> Any:
        arguments = _with_name(value)
        name = arguments["name"]
        if outside.is_outside(name):
            outside.check_name(name)
        elif name not in LIKELIHOODS:
            raise ValueError(f"name: no likelihood {name!r}; {nearest(name, LIKELIHOODS)}, or package.module:Class")
        return arguments


class _Complete(Model):
    """The section `model` with every hyperparameter; a subclass for each method has their fields."""

    model_config = ConfigDict(extra="forbid")


def validated(schema: type[Section], values: Any, where: str = "") -> Any:
    """Values as a schema's; raises ValueError in one line, whose keys begin with `where`."""
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        raise ValueError(where + one_line(error, {(): schema.model_fields})) from None


@functools.lru_cache(maxsize=256)
def _schema(kind: Kind, of: Callable[..., Any]) -> type[Section]:
    fields: dict[str, Any] = {} if kind == "method" else {"name": (str, ...)}
    fields |= {name: (strict(annotation), default) for name, (annotation, default) in parameters(kind, of).items()}
    return create_model(kind, __base__=_Complete if kind == "method" else Section, **fields)


def _checked(kind: Kind, name: str | Sequence[str], folders: Sequence[Path], values: dict[str, Any]) -> Any:
    """Values of a method, network or likelihood, checked and filled in."""
    of, where = owner(kind, name, folders), "" if kind == "method" else f"{kind}."
    schema = _schema(kind, of)
    for key in values:
        if key not in schema.model_fields and key not in (*_FROM_TRAIN, *_BUILT) and takes(of, key):
            says = f"{getattr(of, '__name__', of)} takes it, but does not say what numbers or words"
            raise ValueError(f"{where}{key}: {says}; annotate it with what it may be, such as `{key}: float`")
    return validated(schema, values, where)


def complete(model: Model, folders: Sequence[Path]) -> Model:
    """The section with the hyperparameters of method, network and likelihood checked and filled in.

    Args:
        model: the section as it was given.
        folders: where modules from outside the zoo are looked for first.

    Raises:
        ValueError: an unknown hyperparameter, or one of the wrong type or out of range, or as `owner`.
    """
    network = _checked("network", model.network["name"], folders, model.network)
    likelihood = _checked("likelihood", model.likelihood["name"], folders, model.likelihood)
    parts = {"network": network.model_dump(), "likelihood": likelihood.model_dump()}
    return _checked("method", model.method, folders, {**model.model_dump(), **parts})
