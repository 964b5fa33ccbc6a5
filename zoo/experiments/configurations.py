"""The YAML files of experiments: finding them, merging a file over its base, applying `--set`.

A configuration may name a `base`, another configuration whose values it takes over where it has none of its own, so
that the methods of a data set share one recipe. A path in a file, `data.path` or `base`, is relative to that file; one
in `--set` is relative to the working directory. Only `load` needs TensorFlow, for the hyperparameters.
"""

from __future__ import annotations

import importlib.resources
import os
from pathlib import Path
from typing import Any

import yaml

from zoo import outside
from zoo.experiments import strict_yaml
from zoo.experiments.schema import ConfigurationError, Experiment, validate
from zoo.parameters import nearest


def folder() -> Path:
    """Where the shipped configurations are: beside the package in a checkout, inside it when installed."""
    package = Path(str(importlib.resources.files("zoo")))
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


def names() -> list[str]:
    """The shipped experiments, such as `mnist/contrastive`."""
    root = folder()
    found = (path.relative_to(root).with_suffix("").as_posix() for path in root.rglob("*.yaml"))
    return sorted(name for name in found if not name.startswith(("papers/", "leaderboard/")))


def find(name: str, beside: Path = Path()) -> Path:
    """The file of a configuration, given a name under `configs/` or a path.

    Args:
        name: the name or the path.
        beside: the folder that a relative path starts from; the working directory by default.

    Raises:
        ConfigurationError: there is no such file.
    """
    shipped = folder() / f"{name}.yaml"
    for path in (shipped, beside / Path(name).expanduser()):
        if path.is_file():
            return path
    given = beside / Path(name).expanduser()
    near = [str(path.relative_to(beside)) for path in given.parent.glob("*.y*ml")] if given.parent.is_dir() else []
    raise ConfigurationError(f"{name}: no such configuration or file; {nearest(name, [*names(), *near])}")


def parse(path: Path) -> dict[str, Any]:
    """The content of a YAML file, its bases merged in, and the path of its data absolute.

    Raises:
        ConfigurationError: a file that does not parse (with the line), or bases that lead back to it.
    """
    return _parse(path, [])


def _parse(path: Path, files: list[Path]) -> dict[str, Any]:
    """As `parse`; puts the files that were read into a list."""
    if path in files:
        raise ConfigurationError(f"{path}: base: leads back to {path.name}")
    files.append(path)
    try:
        values = strict_yaml.load(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigurationError(f"{path}: {str(error).splitlines()[0]}") from None
    if not isinstance(values, dict):
        raise ConfigurationError(f"{path}: must be a mapping with the sections data, model, train, watch")
    data = values.get("data")
    if isinstance(data, dict) and isinstance(data.get("path"), str) and data["path"]:
        given = path.parent / Path(data["path"]).expanduser()
        values["data"] = {**data, "path": os.path.abspath(given)}
    base = values.pop("base", None)
    if base is None:
        return values
    try:
        below = find(str(base), path.parent)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: base: {error}") from None
    return merge(_parse(below, files), values)


def merge(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """`own` over `base`, section by section; something with another `name` replaces the whole mapping."""
    merged = dict(base)
    for key, value in own.items():
        below = merged.get(key)
        merged[key] = value
        if isinstance(value, dict) and isinstance(below, dict) and value.get("name", name := below.get("name")) == name:
            merged[key] = merge(below, value)
    return merged


def assign(values: dict[str, Any], settings: list[str]) -> dict[str, Any]:
    """Applies `--set key=value` settings (dotted keys, YAML values).

    Raises:
        ConfigurationError: a setting without `=`, or a value that is not YAML.
    """
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not all(part.strip() for part in key.split(".")):
            raise ConfigurationError(f"--set {setting}: must be key=value, such as train.epochs=3")
        try:
            value = strict_yaml.load(text)
        except ValueError:
            raise ConfigurationError(f"--set {setting}: {text!r} is not a YAML value") from None
        values = assign_value(values, key.strip(), value)
    return values


def assign_value(values: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    """`values` with one dotted key changed; `network: conv` may be refined as `network.depth=3`."""
    *path, last = key.split(".")
    node: dict[str, Any] = {last: value}
    below: Any = values
    for part in path:
        below = below.get(part) if isinstance(below, dict) else None
    if isinstance(below, str) and last != "name":
        node = {"name": below, **node}
    for part in reversed(path):
        node = {part: node}
    return merge(values, node)


def load(name: str | Path, settings: list[str] | None = None, *, resolve: bool = True) -> Experiment:
    """An experiment by name or path, with `--set` settings applied.

    Modules of methods, networks and likelihoods from outside the zoo are looked for beside the file and its bases,
    then on Python's path and in the current folder; those of a run's own configuration where the run found them.

    Args:
        name: under `configs/`, such as `mnist/contrastive`, or the path of a YAML file.
        settings: `key=value` with dotted keys.
        resolve: check and fill in the hyperparameters too, which loads TensorFlow; a run's own configuration has them.

    Raises:
        ConfigurationError: see `find`, `parse`, `assign` and `validate`.
    """
    files: list[Path] = []
    values = _parse(find(str(name)), files)
    if "rows" in values and "experiments" in values:
        raise ConfigurationError(
            f"{name}: is a table of many runs, and no configuration; carry it out with: zoo reproduce {name}"
        )
    values = assign(values, settings or [])
    folders = dict.fromkeys(folder for file in files for folder in outside.folders_for(file))
    return validate(values, str(name), tuple(folders), resolve=resolve)


def dump(experiment: Experiment) -> str:
    """The resolved configuration as YAML."""
    return yaml.safe_dump(experiment.model_dump(), sort_keys=False, allow_unicode=True)
