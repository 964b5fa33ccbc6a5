"""Whether a run still has the configuration with which it was made.

A byte of `config.yaml` that has changed, by damage or by hand, would end in weights, or in figures, that no
configuration gives. So `environment.json` holds the values with which a run was made, and a checkpoint, under its
checksum, those that its weights come from.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from zoo.experiments.schema import ConfigurationError, Experiment

# A run may go on for longer, and its data may have moved.
MAY_CHANGE = ("train.epochs", "data.path")


def values(experiment: Experiment) -> dict[str, Any]:
    """The sections of a resolved experiment as JSON gives them back."""
    return json.loads(json.dumps(experiment.model_dump(), default=str))


def check_unchanged(
    path: Path,
    experiment: Experiment,
    known: Mapping[str, Any],
    of: str = "environment.json says that the run was made with",
    announce: Callable[[str], None] = lambda line: None,
) -> None:
    """Refuses a configuration that has another value than is known.

    Args:
        path: of the run's configuration.
        experiment: what it says now.
        known: the values that were used.
        of: what they were used for, for the error.
        announce: is told, in a line each, of what differs and may.

    Raises:
        ConfigurationError: another value; the first one is named.
    """
    for key, was, now in _differences(known, values(experiment)):
        if key not in MAY_CHANGE:
            remedy = "put that value back, or train the changed one into another --run-dir"
            raise ConfigurationError(f"{path}: {key} is {_shown(now)}, and {of} {_shown(was)}; {remedy}")
        if key != "train.epochs":  # which a resume names anyway
            announce(f"{path}: {key} is {_shown(now)}, and {of} {_shown(was)}")


_MISSING: Any = object()


def _differences(was: Mapping[str, Any], now: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Dotted keys with both values; a key that only `now` has is a later version's, unless there were none at all."""
    for key, old in was.items():
        new = now.get(key, _MISSING)
        if isinstance(old, dict) and isinstance(new, dict) and old:
            yield from _differences(old, new, f"{above}{key}.")
        elif old != new:
            yield f"{above}{key}", old, new


def _shown(value: Any) -> str:
    return "missing" if value is _MISSING else json.dumps(value)[:100]
