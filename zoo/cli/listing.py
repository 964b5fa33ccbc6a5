"""What `zoo list` prints; nothing here imports TensorFlow."""

from __future__ import annotations

import json
from pathlib import Path

from zoo.data.catalogue import CATALOGUE
from zoo.experiments import configurations
from zoo.experiments.schema import method_parameters, network_parameters
from zoo.models import METHODS
from zoo.networks import NETWORKS


def _arguments(parameters: dict) -> str:
    return ", ".join(name if default is ... else f"{name}={default}" for name, (_, default) in parameters.items())


def _section(title: str, lines: list[tuple[str, str]]) -> str:
    width = max((len(name) for name, _ in lines), default=0)
    return "\n".join([title, *(f"  {name:<{width}}  {text}".rstrip() for name, text in lines)])


def exports(folder: Path) -> list[tuple[str, str]]:
    """(name, summary) of the exports in a folder with an `index.json`."""
    index = folder / "index.json"
    if not index.is_file():
        return []
    found = json.loads(index.read_text(encoding="utf-8"))["exports"]
    return [(f"{folder.name}/{entry['name']}", entry["summary"]) for entry in found]


def listing() -> str:
    """Methods, networks, data sets, configurations and exports, as text."""
    methods = [(n, f"{text}  ({_arguments(method_parameters(n))})") for n, (_, text) in METHODS.items()]
    networks = [(n, f"{text}  ({_arguments(network_parameters(n))})") for n, text in NETWORKS.items()]
    sections = [
        _section("Methods", methods),
        _section("Networks", networks),
        _section("Data sets", [(name, found.description) for name, found in CATALOGUE.items()]),
        _section("Configurations", [(name, "") for name in configurations.names()]),
        _section("Exports", exports(configurations.folder().parent / "exports") or [("none", "")]),
    ]
    return "\n\n".join(sections)
