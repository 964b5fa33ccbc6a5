"""Whether a run that goes on has the configuration with which it was begun.

A byte of `config.yaml` that has changed, by damage or by hand, would end in weights that no configuration gives. So a
checkpoint holds, under its checksum, the configuration that its weights come from, and `environment.json` a digest of
it for a run that has no checkpoint yet.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from zoo.experiments.run_directory import RunDirectory, RunError
from zoo.experiments.schema import MAY_CHANGE, Experiment


def check_begun(run: RunDirectory, experiment: Experiment) -> None:
    """Refuses a run without a checkpoint whose configuration is not the one that it was made with.

    Raises:
        RunError: `config.yaml` has changed, or `environment.json` is damaged.
    """
    begun = run.read(run.environment).get("configuration")
    # Another version of the zoo may have other keys.
    if run.other_version() is None and begun not in (None, experiment.digest()):
        what = "has changed since the run was made (or the digest in environment.json has)"
        raise RunError(f"{run.config}: {what}; put it back, or train it into another --run-dir")


def check_trained(
    path: Path, experiment: Experiment, trained: Mapping[str, Any], announce: Callable[[str], None]
) -> None:
    """Refuses a checkpoint whose weights come from another configuration.

    Args:
        path: of the run's configuration.
        experiment: what it says now.
        trained: the values with which the checkpoint was trained.
        announce: is told, in a line each, of what differs and may.

    Raises:
        RunError: another value; the first one is named.
    """
    for key, was, now in _differences(trained, experiment.values()):
        if key not in MAY_CHANGE:
            differs = f"{key} is {_shown(now)}, and the last checkpoint was trained with {_shown(was)}"
            raise RunError(f"{path}: {differs}; put that value back, or train the changed one into another --run-dir")
        announce(f"{path}: {key} is {_shown(now)}; it was {_shown(was)} when the last checkpoint was written")


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
