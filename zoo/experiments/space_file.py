"""Spaces of searches as YAML files: read, checked key by key, and given to `search_space`; loads nothing heavy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator

from zoo.experiments.configurations import parse
from zoo.experiments.schema import ConfigurationError, Experiment, Section
from zoo.parameters import nearest, one_line

_KINDS = "{choice: [a, b]}, {int: [low, high]} or {float: [low, high]}"
# YAML takes 1e-3, without a point, for a word.
_POWER = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+")

Scalar = str | int | float | bool


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, str) and _POWER.fullmatch(value) else value


_Whole = Annotated[int, Field(strict=True)]
_Real = Annotated[float, BeforeValidator(_number), Field(strict=True, allow_inf_nan=False)]


class Entry(Section):
    """What a space says of a key: one of choice, int and float.

    Attributes:
        choice: a list of values, or a mapping from each value to the space of the keys that come with it.
        int: lowest and highest of whole numbers.
        float: lowest and highest of real numbers.
        step: between the values of a range.
        log: the range is drawn from evenly in its logarithm.
    """

    choice: list[Any] | dict[Any, Any] | None = None
    int: tuple[_Whole, _Whole] | None = None
    float: tuple[_Real, _Real] | None = None
    step: _Real | None = None
    log: bool = False

    @field_validator("choice")
    @classmethod
    def _values(cls, value: Any) -> Any:
        return [_number(one) for one in value] if isinstance(value, list) else value

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.choice is not None) + (self.int is not None) + (self.float is not None) != 1:
            raise ValueError(f"must be one of {_KINDS}")
        if self.choice is not None and (self.log or self.step is not None):
            raise ValueError("log and step: only of int and float")
        if self.log and self.step is not None:
            raise ValueError("step: a range with log has none")
        return self

    def range(self) -> Any:
        """As `zoo.tuning.hypermodel` takes it; of a choice, its values or branches as they stand in the file."""
        if self.choice is not None:
            return self.choice
        ends: tuple[Any, Any] = self.int or self.float or (0, 0)
        if self.log:
            return (*ends, "log")
        if self.step is not None:
            return (*ends, int(self.step) if self.int and self.step.is_integer() else self.step)
        # A step keeps the whole numbers whole where the key takes others too.
        return (*ends, 1) if self.int and ends[1] > ends[0] else ends


def load(path: Path) -> dict[str, Any]:
    """The content of a space's file, as it stands there.

    Raises:
        ConfigurationError: no file, not YAML (with the line), or an empty one.
    """
    if not path.is_file():
        raise ConfigurationError(f"{path}: no such file; a space is a YAML file of ranges (docs/tuning.md)")
    if not path.read_text(encoding="utf-8", errors="replace").strip():
        raise ConfigurationError(f"{path}: space: empty; give ranges for keys such as model.beta")
    return parse(path)


def ranges(content: Mapping[Any, Any], where: str, experiment: Experiment) -> dict[str, Any]:
    """A space as `zoo.tuning.hypermodel` takes it.

    Keys below `model` are the methods', whose classes need TensorFlow; `search_space` looks at them. The others are
    looked at here.

    Args:
        content: of the file.
        where: what an error names first: the file.
        experiment: the configuration whose keys are varied; it need not be resolved.

    Raises:
        ConfigurationError: an empty space, an unknown key, or something that is no range.
    """
    if not content:
        raise ConfigurationError(f"{where}: space: empty; give ranges for keys such as model.beta")
    keys = [key for key in experiment.flat() if key.startswith("train.")]
    return {key: _range(key, given, where, keys, experiment) for key, given in content.items()}


def _range(key: Any, given: Any, where: str, keys: list[str], experiment: Experiment) -> Any:
    if not isinstance(key, str) or (not key.startswith("model.") and key not in keys):
        raise ConfigurationError(f"{where}: no key {key!r}; {nearest(key, ['model.…', *keys])}")
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"{where}: {key}: must be {_KINDS}, got {given!r}")
    try:
        entry = Entry.model_validate(dict(given))
    except ValidationError as error:
        raise ConfigurationError(f"{where}: {key}: {one_line(error, {(): Entry.model_fields})}") from None
    found = entry.range()
    if isinstance(found, tuple) and not found[0] < found[1]:
        raise ConfigurationError(f"{where}: {key}: the range {list(found[:2])} is empty; low must be below high")
    if isinstance(found, Mapping):
        inside = f"{where}: {key}={{}}"
        return {choice: _branch(below, inside.format(choice), experiment) for choice, below in found.items()}
    if not found:
        raise ConfigurationError(f"{where}: {key}: the list of choices is empty")
    return found


def _branch(below: Any, where: str, experiment: Experiment) -> dict[str, Any]:
    if not isinstance(below, Mapping):
        raise ConfigurationError(f"{where}: must be a mapping of keys, which may be empty ({{}}), got {below!r}")
    return ranges(below, where, experiment) if below else {}
