"""Spaces of KerasTuner searches over configurations: ranges, choices, and keys that only some choices have."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import keras_tuner

from zoo.experiments import configurations
from zoo.experiments.schema import ConfigurationError, Experiment, method_parameters, validate
from zoo.parameters import nearest

# So many combinations are tried against the schema before a search; of more, each value alone.
COMBINATIONS = 256

# Registers a hyperparameter and returns its value.
_Draw = Callable[[keras_tuner.HyperParameters], Any]


class Entry(NamedTuple):
    """A key of a space.

    Attributes:
        key: dotted, of the configuration.
        candidates: what is tried against the schema: the ends of a range, all choices.
        draw: registers the key with KerasTuner and returns its value.
        branches: the further entries that a choice brings along, by the choice.
    """

    key: str
    candidates: list[Any]
    draw: _Draw
    branches: dict[Any, list[Entry]]

    def below(self, choice: Any) -> list[Entry]:
        """The entries that come with a choice."""
        return self.branches.get(choice, [])

    def names(self) -> set[str]:
        """The entry's own and those of its branches."""
        return {self.key, *(key for below in self.branches.values() for entry in below for key in entry.names())}


def entries(experiment: Experiment, space: Mapping[str, Any]) -> list[Entry]:
    """Reads a space, and tries its combinations against the schema.

    Args:
        experiment: the configuration whose keys are varied.
        space: see `zoo.tuning.hypermodel`.

    Raises:
        ConfigurationError: a value, or a combination of values, that the configuration does not take.
        ValueError: an empty space, an unknown key, one that stands there twice, an empty range, or something that is
            neither a range, nor a list, nor a mapping.
    """
    if not isinstance(space, Mapping) or not space:
        raise ValueError("space: empty; give ranges for keys such as 'model.beta' or 'train.optimizer.learning_rate'")
    found = _entries(experiment, space, "", {})
    tried = _combinations(found) if _count(found) <= COMBINATIONS else _each_alone(found)
    for values in tried:
        try:
            with_values(experiment, values)
        except ConfigurationError as error:
            together = ", ".join(f"{key}={value}" for key, value in values.items())
            raise ConfigurationError(f"{error} (with {together})") from None
    return found


def drawn(hp: keras_tuner.HyperParameters, found: Sequence[Entry]) -> dict[str, Any]:
    """The values of a trial, by key: those of the branches that its choices are on."""
    values: dict[str, Any] = {}
    for entry in found:
        value = values[entry.key] = entry.draw(hp)
        for choice, below in entry.branches.items():
            if not below:
                continue
            # Registered on every branch, so that the tuner knows the whole space.
            with hp.conditional_scope(entry.key, [choice]):
                inside = drawn(hp, below)
            if value == choice:
                values |= inside
    return values


def with_values(experiment: Experiment, values: Mapping[str, Any]) -> Experiment:
    """The experiment with other values for some dotted keys, checked.

    With another method, the hyperparameters that only the present one has are dropped.

    Raises:
        ConfigurationError: a value that the configuration does not take.
    """
    tree = experiment.model_dump()
    if "model.method" in values:
        method = values["model.method"]
        tree["model"]["method"] = method.split("+") if isinstance(method, str) else method
        try:
            own = method_parameters(tree["model"]["method"], experiment.folders)
        except ValueError as error:
            raise ConfigurationError(f"space: model.{error}") from None
        taken = {"method", "network", "likelihood", "prior", *own}
        tree["model"] = {key: value for key, value in tree["model"].items() if key in taken}
    for key, value in values.items():
        if key != "model.method":
            tree = configurations.assign_value(tree, key, value)
    return validate(tree, "space", experiment.folders)


def _entries(experiment: Experiment, space: Mapping[str, Any], where: str, elsewhere: Mapping[str, str]) -> list[Entry]:
    """The entries of a space, or of a branch, `where` says which; `elsewhere` has the keys of the other branches."""
    present = {key: value for key, value in experiment.flat().items() if key.startswith(("model.", "train."))}
    found: list[Entry] = []
    for key, given in space.items():
        if key not in present:
            hint = f"it is one of {elsewhere[key]}" if key in elsewhere else nearest(key, present)
            raise ValueError(f"space: {where}no key {key!r}; {hint}")
        if isinstance(given, Mapping):
            entry = _branching(experiment, key, given, present[key], where)
        else:
            candidates, draw = _range(key, given, present[key])
            entry = Entry(key, candidates, draw, {})
        for other in found:
            if twice := sorted(other.names() & entry.names()):
                raise ValueError(f"space: {where}{twice[0]} stands there twice, with {other.key} and with {entry.key}")
        # One value alone first: its error is the plainest.
        for value in entry.candidates:
            with_values(experiment, {key: value})
        found.append(entry)
    return found


def _branching(experiment: Experiment, key: str, given: Mapping[Any, Any], present: Any, where: str) -> Entry:
    if not given:
        raise ValueError(f"space: {where}{key}: the mapping is empty; give a mapping of keys for each choice")
    for choice, below in given.items():
        if not isinstance(below, Mapping):
            raise ValueError(
                f"space: {where}{key}: {choice!r}: must be a mapping of keys, which may be empty, got {below!r}"
            )
    values, draw = _choices(key, list(given), "+".join(present) if isinstance(present, list) else present)
    places: dict[str, str] = {}
    branches = {choice: with_values(experiment, {key: choice}) for choice in values}
    for choice, one in branches.items():
        places |= {name: f"{key}={choice}" for name in one.flat() if name not in places}
    found = {}
    for choice, below in zip(values, given.values(), strict=True):
        found[choice] = _entries(branches[choice], below, f"{where}{key}={choice}: ", places)
        if any(key in entry.names() for entry in found[choice]):
            raise ValueError(f"space: {where}{key} stands there twice, the second time below {choice!r}")
    return Entry(key, values, draw, found)


def _count(found: Sequence[Entry]) -> int:
    total = 1
    for entry in found:
        total *= sum(_count(entry.below(value)) for value in entry.candidates)
    return total


def _combinations(found: Sequence[Entry]) -> Iterator[dict[str, Any]]:
    """Every combination of candidates, as values by key."""
    each = [
        [{entry.key: value} | below for value in entry.candidates for below in _combinations(entry.below(value))]
        for entry in found
    ]
    for parts in itertools.product(*each):
        yield {key: value for part in parts for key, value in part.items()}


def _each_alone(found: Sequence[Entry]) -> Iterator[dict[str, Any]]:
    """Every candidate once, with the first ones of the other keys."""
    for i, entry in enumerate(found):
        others = next(_combinations([*found[:i], *found[i + 1 :]]))
        for value in entry.candidates:
            for below in _each_alone(entry.below(value)) if entry.below(value) else [{}]:
                yield others | {entry.key: value} | below


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _range(key: str, given: Any, present: Any) -> tuple[list[Any], _Draw]:
    """The values of an entry of the space to check, and what draws one."""
    if isinstance(given, list):
        return _choices(key, given, present)
    shape = "a range (low, high), (low, high, step) or (low, high, 'log'), or a list of choices"
    if not isinstance(given, tuple) or len(given) not in {2, 3} or not all(map(_is_number, given[:2])):
        raise ValueError(f"space: {key}: must be {shape}, got {given!r}")
    low, high, *rest = given
    if not low < high:
        raise ValueError(f"space: {key}: the range {given!r} is empty; low must be below high")
    whole = isinstance(low, int) and isinstance(high, int) and not isinstance(present, float)
    arguments: dict[str, Any] = {}
    if rest == ["log"]:
        if low <= 0:
            raise ValueError(f"space: {key}: a 'log' range must begin above 0, got {given!r}")
        arguments["sampling"] = "log"
    elif rest:
        if not _is_number(rest[0]) or not 0 < rest[0] <= high - low or (whole and not isinstance(rest[0], int)):
            raise ValueError(f"space: {key}: must be {shape}, got {given!r}")
        arguments["step"] = rest[0]
    if not whole:
        low, high = float(low), float(high)
    inside = _is_number(present) and low <= present <= high and "step" not in arguments

    def draw(hp: keras_tuner.HyperParameters) -> Any:
        register = hp.Int if whole else hp.Float
        return register(key, low, high, default=present if inside else None, **arguments)

    return [low, high], draw


def _choices(key: str, given: list[Any], present: Any) -> tuple[list[Any], _Draw]:
    if not given:
        raise ValueError(f"space: {key}: the list of choices is empty")
    values = [float(v) for v in given] if all(map(_is_number, given)) and float in map(type, given) else given
    if len(set(map(type, values))) > 1 or not isinstance(values[0], bool | int | float | str):
        raise ValueError(f"space: {key}: choices must be all numbers, all words or all true or false, got {given!r}")

    def draw(hp: keras_tuner.HyperParameters) -> Any:
        return hp.Choice(key, values, default=present if present in values else None)

    return values, draw
