"""The schema of an experiment, with errors that name the key and what is allowed.

A configuration has four sections: `data`, `model`, `train` and `watch`; `configurations` reads them from YAML. The
hyperparameters of a method and of a network are the annotated keywords of their constructors; nothing is listed
twice. Nothing here imports TensorFlow.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError, create_model, field_validator, model_validator

from zoo.data.catalogue import source
from zoo.data.splits import parse
from zoo.models import METHODS, canonical
from zoo.networks import NETWORKS
from zoo.parameters import Count, Fraction, NonNegative, Positive, Seed, Size, nearest, one_line, signature


class ConfigurationError(ValueError):
    """A mistake in a configuration, in one line."""


class Section(BaseModel):
    """Base of all sections: no unknown keys, no changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Data(Section):
    """Which images, which splits, how prepared."""

    name: str
    train: str | None = None
    validation: str | None = None
    test: str | None = None
    path: str | None = None
    size: Count | None = None
    channels: Literal[1, 3] | None = None
    labels: str | None = None
    binarize: Literal["dynamic", "fixed"] | None = None

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
# And these of a network from `data` and the likelihood.
_FROM_ELSEWHERE = ("output_activation", "image_shape", "latent_dim")


def _named(name: str, known: dict[str, Any], parameters: dict[str, tuple[Any, Any]], kind: str) -> type[Section]:
    """The schema of `{name: …, **parameters}`."""
    if name not in known:
        raise ValueError(f"name: no {kind} {name!r}; {nearest(name, known)}")
    fields: dict[str, Any] = {"name": (str, name), **parameters}
    return create_model(kind, __base__=Section, **fields)


def network_parameters(name: str) -> dict[str, tuple[Any, Any]]:
    """(annotation, default) of each hyperparameter of a network."""
    found = signature(f"networks.{name}", name)
    return {key: value for key, value in found.items() if key not in _FROM_ELSEWHERE}


def method_parameters(method: str | Sequence[str]) -> dict[str, tuple[Any, Any]]:
    """(annotation, default) of each hyperparameter of a method, or of several combined, their bases' included."""
    found: dict[str, tuple[Any, Any]] = {}
    for name in canonical(method):
        found |= signature(f"models.{name}", METHODS[name][0])
    return {key: value for key, value in found.items() if key not in _FROM_TRAIN}


def _with_name(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        return {"name": value}
    if isinstance(value, dict) and isinstance(value.get("name"), str):
        return value
    raise ValueError("must be a name, or a mapping with a name")


class _Model(Section):
    """The keys of the section `model` that every method has."""

    method: str | list[str]
    network: Any
    likelihood: Any = "bernoulli"

    @field_validator("network")
    @classmethod
    def _network(cls, value: Any) -> Any:
        arguments = _with_name(value)
        name = arguments["name"]
        parameters = network_parameters(name) if name in NETWORKS else {}
        schema = _named(name, NETWORKS, parameters, "network")
        return _validated(schema, arguments).model_dump()

    @field_validator("likelihood")
    @classmethod
    def _likelihood(cls, value: Any) -> Any:
        arguments = _with_name(value)
        classes = {"bernoulli": "Bernoulli", "gaussian": "Gaussian"}
        name = arguments["name"]
        parameters = signature("likelihoods", classes[name]) if name in classes else {}
        return _validated(_named(name, classes, parameters, "likelihood"), arguments).model_dump()


def _validated(schema: type[Section], values: Any) -> Any:
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        raise ValueError(one_line(error, {(): schema.model_fields})) from None


class Experiment(Section):
    """A whole configuration, resolved: every key has its value.

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

    @field_validator("model")
    @classmethod
    def _model(cls, value: Any) -> Any:
        if not isinstance(value, dict) or "method" not in value:
            raise ValueError("method: missing")
        method = value["method"]
        if not isinstance(method, str) and not (isinstance(method, list) and all(isinstance(m, str) for m in method)):
            raise ValueError(f"method: must be a name or a list of names, got {method!r}")
        names = canonical(method)
        fields: dict[str, Any] = method_parameters(names)
        schema = create_model("model", __base__=_Model, **fields)
        return _validated(schema, {**value, "method": names[0] if len(names) == 1 else list(names)})

    @model_validator(mode="after")
    def _batch(self) -> Self:
        queue, batch = getattr(self.model, "queue_size", None), self.train.batch_size
        if queue is not None and 0 < queue < batch:
            raise ValueError(f"model.queue_size: {queue} is below train.batch_size: {batch}")
        if queue == 0 and batch == 1:
            raise ValueError("model.queue_size: 0 takes its negatives from the batch, and train.batch_size is 1")
        among = [name for name in canonical(self.model.method) if name in ("critic", "triplet")]
        if among and batch == 1:
            raise ValueError(f"train.batch_size: 1 leaves {among[0]!r} no other image in the batch to compare with")
        return self

    def hyperparameters(self) -> dict[str, Any]:
        """The keywords of the method's constructor that the section `model` gives."""
        names = method_parameters(self.model.method)
        return {name: getattr(self.model, name) for name in names}

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


def validate(values: dict[str, Any], where: str) -> Experiment:
    """Checks parsed values.

    Args:
        values: a mapping with the four sections.
        where: what an error names first: the file.

    Raises:
        ConfigurationError: an unknown key, a missing one, a value of the wrong type or out of range.
    """
    sections: dict[str, type[Section]] = {"data": Data, "train": Train, "watch": Watch}
    allowed: dict[tuple, Any] = {(): Experiment.model_fields}
    allowed |= {(name,): schema.model_fields for name, schema in sections.items()}
    allowed |= {("train", "optimizer"): Optimizer.model_fields, ("train", "schedule"): Schedule.model_fields}
    allowed |= {("watch", "alarm"): Alarm.model_fields}
    try:
        return Experiment.model_validate(values)
    except ValidationError as error:
        message = one_line(error, allowed)
        raise ConfigurationError(f"{where}: {message}") from None
