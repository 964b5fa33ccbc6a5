"""The schema of an experiment, with errors that name the key and what is allowed.

A configuration has four sections: `data`, `model`, `train` and `watch`; `configurations` reads them from YAML. The
hyperparameters of a method and of a network are the annotated keywords of their constructors; nothing is listed
twice. They need the classes, and so TensorFlow; names and the other sections do not. So a configuration is checked
in two steps: `validate` looks at all that is known at once, `Experiment.resolved` at the hyperparameters.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, PrivateAttr, ValidationError, create_model, field_validator, model_validator

from zoo import networks, outside
from zoo.data.catalogue import check_preparation, is_table, kind_of, source
from zoo.data.splits import parse
from zoo.likelihoods import LIKELIHOODS
from zoo.models import canonical
from zoo.parameters import (
    Count,
    Fraction,
    NonNegative,
    Positive,
    Seed,
    Size,
    hyperparameters,
    nearest,
    one_line,
    strict,
    takes,
)


class ConfigurationError(ValueError):
    """A mistake in a configuration, in one line."""


class Section(BaseModel):
    """Base of all sections: no unknown keys, no changes after loading."""

    # A method may call a hyperparameter `model_width`.
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class Data(Section):
    """Which examples, which splits, how prepared.

    `kind` is known for a data set of the catalogue and for a .csv file; the user's own arrays are images unless it says
    `features`. `standardize` brings each entry of the features' last axis to mean 0 and standard deviation 1 over the
    training split; tables are, by default, and series are not, whose channels often share a unit.
    """

    name: str
    train: str | None = None
    validation: str | None = None
    test: str | None = None
    path: str | None = None
    size: Count | None = None
    channels: Literal[1, 3] | None = None
    labels: str | None = None
    binarize: Literal["dynamic", "fixed"] | None = None
    kind: Literal["images", "features"] | None = None
    label_column: str | None = None
    standardize: bool | None = None

    @model_validator(mode="after")
    def _known(self) -> Self:
        try:
            found = source(self.name)
        except ValueError as error:
            raise ValueError(f"name: {error}") from None
        if self.name == "files" and not self.path:
            raise ValueError("path: missing; the data set 'files' needs the path of an array file or a folder")
        if self.name != "files" and self.path:
            raise ValueError(f"path: only the data set 'files' takes one, not {self.name!r}")
        if self.labels is not None and self.labels not in found.labels:
            raise ValueError(f"labels: {self.name} has no {self.labels!r}; {nearest(self.labels, found.labels)}")
        for split in ("train", "validation", "test"):
            if getattr(self, split) is None:
                object.__setattr__(self, split, found.splits[split])
            try:
                parse(getattr(self, split))
            except ValueError as error:
                raise ValueError(f"{split}: {error}") from None
        try:
            kind = kind_of(found, self.path, self.kind)
        except ValueError as error:
            raise ValueError(f"kind: {error}") from None
        for_images = {"size": self.size, "channels": self.channels, "binarize": self.binarize}
        check_preparation(kind, self.path, for_images, self.label_column, self.standardize)
        object.__setattr__(self, "kind", kind)
        if self.standardize is None:
            object.__setattr__(self, "standardize", is_table(found, self.path))
        return self


class Optimizer(Section):
    """A Keras optimiser and its rate."""

    name: Literal["sgd", "adam", "adamw", "adamax", "rmsprop"] = "adam"
    learning_rate: Positive = 1e-3
    momentum: Fraction = 0.0
    weight_decay: NonNegative | None = None

    @model_validator(mode="after")
    def _momentum(self) -> Self:
        if self.momentum and self.name not in {"sgd", "rmsprop"}:
            raise ValueError(f"momentum: {self.name} has none of this name (sgd and rmsprop do)")
        return self


class PlayerOptimizer(Optimizer):
    """The optimiser of a further player, with the norm that its gradient is clipped to."""

    clip_norm: Positive | None = None


class Schedule(Section):
    """How the learning rate changes: not at all, along a cosine to 0, or by `factor` on a plateau of the loss."""

    name: Literal["constant", "cosine", "plateau"] = "constant"
    factor: Fraction = 0.9
    patience: Count = 20
    minimum: NonNegative = 5e-6


class Train(Section):
    """The recipe."""

    epochs: Count = 50
    batch_size: Count = 256
    optimizer: Optimizer = Optimizer()
    optimizers: dict[str, PlayerOptimizer] = {}
    schedule: Schedule = Schedule()
    clip_norm: Positive | None = None
    kl_warmup: NonNegative = 0.0
    seed: Seed = 0
    jit_compile: bool = False
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"

    @field_validator("optimizer", "schedule", mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value


class Alarm(Section):
    """When the collapse alarm sounds; 0 patience turns it off."""

    active_units: Size = 1
    mutual_information: NonNegative = 0.5
    patience: Size = 3


class Watch(Section):
    """What is measured while training: on how many validation images, every how many epochs."""

    every: Count = 1
    images: Count = 1000
    pictures: bool = True
    alarm: Alarm = Alarm()


# These keywords of a constructor come from the section `train`, and from the size of the training split.
_FROM_TRAIN = ("warmup_steps", "seed", "examples")
# And these from the network and the likelihood.
_BUILT = ("encoder", "decoder", "likelihood", "prior", "domain")

# By keyword: annotation and default, `...` where there is none.
Parameters = dict[str, tuple[Any, Any]]


def _method_class(method: str | Sequence[str], folders: Sequence[Path]) -> Callable[..., Any]:
    return importlib.import_module("zoo.models.combination").combine(*canonical(method), folders=folders)


def _likelihood_class(name: str, folders: Sequence[Path]) -> Callable[..., Any]:
    likelihoods = importlib.import_module("zoo.likelihoods")
    if not outside.is_outside(name):
        return getattr(likelihoods, likelihoods.LIKELIHOODS[name])
    try:
        return outside.find(name, likelihoods.Likelihood, folders)
    except ValueError as error:
        raise ValueError(f"likelihood: {error}") from None


def network_parameters(name: str, folders: Sequence[Path] = ()) -> Parameters:
    """(annotation, default) of each hyperparameter of a network; loads TensorFlow."""
    function = networks.network(name, folders)
    given = list(inspect.signature(function).parameters)[: len(networks.GIVEN)]
    given.append("parameter_shape")
    return {key: value for key, value in hyperparameters(function).items() if key not in given}


def method_parameters(method: str | Sequence[str], folders: Sequence[Path] = ()) -> Parameters:
    """(annotation, default) of each hyperparameter of a method, or of several combined; loads TensorFlow."""
    found = hyperparameters(_method_class(method, folders))
    return {key: value for key, value in found.items() if key not in (*_FROM_TRAIN, *_BUILT)}


def likelihood_parameters(name: str, folders: Sequence[Path] = ()) -> Parameters:
    """(annotation, default) of each hyperparameter of a likelihood; loads TensorFlow."""
    return hyperparameters(_likelihood_class(name, folders))


def _with_name(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        return {"name": value}
    if isinstance(value, dict) and isinstance(value.get("name"), str):
        return value
    raise ValueError("must be a name, or a mapping with a name")


class _Model(Section):
    """The section `model` as far as it is known without TensorFlow: names, and the rest as it was given."""

    model_config = ConfigDict(extra="allow")

    method: str | list[str]
    network: dict[str, Any]
    likelihood: dict[str, Any] = {"name": "bernoulli"}
    prior: dict[str, Any] = {"name": "standard_normal"}

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


class _Complete(_Model):
    """The section `model` with every hyperparameter; a subclass for each method has their fields."""

    model_config = ConfigDict(extra="forbid")


def _validated(schema: type[Section], values: Any, where: str) -> Any:
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        raise ValueError(where + one_line(error, {(): schema.model_fields})) from None


def _fields(parameters: Parameters) -> dict[str, Any]:
    return {name: (strict(annotation), default) for name, (annotation, default) in parameters.items()}


def _check_annotated(owner: Callable[..., Any], parameters: Parameters, given: Any, where: str) -> None:
    """Raises ValueError where a key is a keyword of the owner's, and its annotation does not make it one of ours."""
    for key in given:
        if key not in parameters and takes(owner, key) and key not in (*_FROM_TRAIN, *_BUILT):
            name = getattr(owner, "__name__", owner)
            how = f"annotate it with what it may be, such as `{key}: float`"
            raise ValueError(f"{where}{key}: {name} takes it, but does not say what numbers or words; {how}")


def _complete(model: _Model, folders: Sequence[Path]) -> _Complete:
    """The section with the hyperparameters of method, network and likelihood checked and filled in."""
    parts = {}
    for kind, named, owner in (
        ("network", model.network, networks.network(model.network["name"], folders)),
        ("likelihood", model.likelihood, _likelihood_class(model.likelihood["name"], folders)),
    ):
        read = network_parameters if kind == "network" else likelihood_parameters
        parameters = read(named["name"], folders)
        _check_annotated(owner, {"name": None, **parameters}, named, f"{kind}.")  # type: ignore[dict-item]
        fields: dict[str, Any] = {"name": (str, ...), **_fields(parameters)}
        schema = create_model(kind, __base__=Section, **fields)
        parts[kind] = _validated(schema, named, f"{kind}.").model_dump()
    parameters = method_parameters(model.method, folders)
    _check_annotated(_method_class(model.method, folders), parameters, model.model_extra or {}, "")
    schema = create_model("model", __base__=_Complete, **_fields(parameters))
    return _validated(schema, {**model.model_dump(), **parts}, "")


class _Origin(NamedTuple):
    """Where an experiment came from.

    Attributes:
        where: what an error names first: the file.
        folders: where modules from outside the zoo are looked for first.
        complete: whether the hyperparameters have been checked.
    """

    where: str = "configuration"
    folders: tuple[Path, ...] = ()
    complete: bool = False


class Experiment(Section):
    """A whole configuration. Every key has its value once it is `resolved`.

    Attributes:
        data: which images.
        model: method, network, likelihood and the method's hyperparameters.
        train: the recipe.
        watch: what is measured while training.
    """

    data: Data
    model: Any
    train: Train = Train()
    watch: Watch = Watch()
    _origin: _Origin = PrivateAttr(_Origin())

    @field_validator("model")
    @classmethod
    def _model(cls, value: Any) -> Any:
        if not isinstance(value, dict) or "method" not in value:
            raise ValueError("method: missing")
        method = value["method"]
        if not isinstance(method, str) and not (isinstance(method, list) and all(isinstance(m, str) for m in method)):
            raise ValueError(f"method: must be a name or a list of names, got {method!r}")
        names = canonical(method)
        return _validated(_Model, {**value, "method": names[0] if len(names) == 1 else list(names)}, "")

    @property
    def folders(self) -> tuple[Path, ...]:
        """Where modules from outside the zoo are looked for first."""
        return self._origin.folders

    def resolved(self) -> Experiment:
        """The experiment with every hyperparameter checked and filled in; loads TensorFlow.

        Raises:
            ConfigurationError: an unknown hyperparameter, or one of the wrong type or out of range; a method, network
                or likelihood from outside that cannot be had.
        """
        if self._origin.complete:
            return self
        try:
            experiment = self.model_copy(update={"model": _complete(self.model, self.folders)})
        except ValueError as error:
            raise ConfigurationError(f"{self._origin.where}: model.{error}") from None
        experiment._check_batch()
        experiment._origin = self._origin._replace(complete=True)
        return experiment

    def _check_batch(self) -> None:
        queue, batch = getattr(self.model, "queue_size", None), self.train.batch_size
        among = [name for name in canonical(self.model.method) if name in ("critic", "triplet")]
        if queue is not None and 0 < queue < batch:
            wrong = f"model.queue_size: {queue} is below train.batch_size: {batch}"
        elif queue == 0 and batch == 1:
            wrong = "model.queue_size: 0 takes its negatives from the batch, and train.batch_size is 1"
        elif among and batch == 1:
            wrong = f"train.batch_size: 1 leaves {among[0]!r} no other image in the batch to compare with"
        else:
            return
        raise ConfigurationError(f"{self._origin.where}: {wrong}")

    def modules(self) -> dict[str, str]:
        """The folders of the modules from outside the zoo, by their first name; not of those that are installed."""
        model = self.resolved().model
        names = [*canonical(model.method), model.network["name"], model.likelihood["name"]]
        found = {re.split(r"[.:]", name)[0]: outside.folder_of(name) for name in filter(outside.is_outside, names)}
        return {name: str(folder) for name, folder in found.items() if not folder.is_relative_to(sys.prefix)}

    def hyperparameters(self) -> dict[str, Any]:
        """The keywords of the method's constructor that the section `model` gives."""
        names = [*type(self.model).model_fields, *(self.model.model_extra or {})]
        return {name: getattr(self.model, name) for name in names if name not in _Model.model_fields}

    def flat(self) -> dict[str, Any]:
        """All values by dotted key."""
        return dict(_flatten(self.model_dump()))

    def fingerprint(self) -> str:
        """Eight hexadecimal digits of all values but the seed's: the same for the seeds of one configuration."""
        values = {key: value for key, value in self.flat().items() if key != "train.seed"}
        return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:8]


def _flatten(tree: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def validate(values: dict[str, Any], where: str, folders: Sequence[Path] = (), *, resolve: bool = True) -> Experiment:
    """Checks parsed values.

    Args:
        values: a mapping with the four sections.
        where: what an error names first: the file.
        folders: where modules from outside the zoo are looked for first.
        resolve: check and fill in the hyperparameters too, which loads TensorFlow.

    Raises:
        ConfigurationError: an unknown key, a missing one, a value of the wrong type or out of range.
    """
    sections: dict[str, type[Section]] = {"data": Data, "train": Train, "watch": Watch}
    allowed: dict[tuple, Any] = {(): Experiment.model_fields}
    allowed |= {(name,): schema.model_fields for name, schema in sections.items()}
    allowed |= {("train", "optimizer"): Optimizer.model_fields, ("train", "schedule"): Schedule.model_fields}
    allowed |= {("watch", "alarm"): Alarm.model_fields}
    try:
        experiment = Experiment.model_validate(values)
    except ValidationError as error:
        raise ConfigurationError(f"{where}: {one_line(error, allowed)}") from None
    experiment._origin = _Origin(where, tuple(folders))
    return experiment.resolved() if resolve else experiment
