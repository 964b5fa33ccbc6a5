"""The schema of an experiment, with errors that name the key and what is allowed.

A configuration has four sections: `data`, `model`, `train` and `watch`; `configurations` reads them from YAML. The
hyperparameters of a method and of a network are the annotated keywords of their constructors; nothing is listed
twice. They need the classes, and so TensorFlow; names and the other sections do not. So a configuration is checked
in two steps: `validate` looks at all that is known at once, `Experiment.resolved` at the hyperparameters.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from pydantic import PrivateAttr, ValidationError, field_validator, model_validator

from zoo import outside
from zoo.experiments.model_section import Model, complete, method_parameters, network_parameters, validated
from zoo.experiments.sections import Alarm, Data, Optimizer, Schedule, Section, Train, Watch
from zoo.models import canonical
from zoo.parameters import one_line

__all__ = [
    "Alarm", "ConfigurationError", "Data", "Experiment", "Optimizer", "Schedule", "Section", "Train", "Watch",
    "method_parameters", "network_parameters", "validate",
]  # fmt: skip


class ConfigurationError(ValueError):
    """A mistake in a configuration, in one line."""


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
        return validated(Model, {**value, "method": names[0] if len(names) == 1 else list(names)})

    @property
    def where(self) -> str:
        """What an error names first: the file."""
        return self._origin.where

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
            experiment = self.model_copy(update={"model": complete(self.model, self.folders)})
        except ValueError as error:
            raise ConfigurationError(f"{self._origin.where}: model.{error}") from None
        experiment._check_batch()
        experiment._origin = self._origin._replace(complete=True)
        return experiment

    def _check_batch(self) -> None:
        queue, batch = getattr(self.model, "queue_size", None), self.train.batch_size
        if queue is not None and 0 < queue < batch:
            wrong = f"model.queue_size: {queue} is below train.batch_size: {batch}"
        elif queue == 0 and batch == 1:
            wrong = "model.queue_size: 0 takes its negatives from the batch, and train.batch_size is 1"
        else:
            return
        raise ConfigurationError(f"{self._origin.where}: {wrong}")

    @model_validator(mode="after")
    def _compared(self) -> Self:
        among = [name for name in canonical(self.model.method) if name in ("critic", "triplet")]
        if among and self.train.batch_size == 1:
            raise ValueError(f"train.batch_size: 1 leaves {among[0]!r} no other image in the batch to compare with")
        return self

    def modules(self) -> dict[str, str]:
        """The folders of the modules from outside the zoo, by their first name; not of those that are installed."""
        model = self.resolved().model
        names = [*canonical(model.method), model.network["name"], model.likelihood["name"]]
        found = {re.split(r"[.:]", name)[0]: outside.folder_of(name) for name in filter(outside.is_outside, names)}
        return {name: str(folder) for name, folder in found.items() if not folder.is_relative_to(sys.prefix)}

    def hyperparameters(self) -> dict[str, Any]:
        """The keywords of the method's constructor that the section `model` gives."""
        names = [*type(self.model).model_fields, *(self.model.model_extra or {})]
        return {name: getattr(self.model, name) for name in names if name not in Model.model_fields}

    def flat(self) -> dict[str, Any]:
        """All values by dotted key."""
        return dict(_flatten(self.model_dump()))

    def fingerprint(self) -> str:
        """Eight hexadecimal digits of all values but the seed's: the same for the seeds of one configuration."""
        values = {key: value for key, value in self.flat().items() if key != "train.seed"}
        # A key of a later version; where it says nothing, a run keeps the name that it had before.
        if values.get("train.init_from") is None:
            values.pop("train.init_from", None)
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
