"""What `zoo list` prints; only `description` imports TensorFlow."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from zoo import outside
from zoo.data.catalogue import CATALOGUE
from zoo.experiments import configurations, model_section
from zoo.export.references import REFERENCES
from zoo.likelihoods import LIKELIHOODS
from zoo.models import METHODS
from zoo.networks import NETWORKS
from zoo.parameters import nearest


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


def exports_table() -> None:
    """Prints the zoo's exports: what each is, how it was measured, and its size on the disk."""
    from rich.console import Console
    from rich.table import Table

    from zoo.export.finding import EXPORTS
    from zoo.export.index import entries

    table = Table(title=f"{EXPORTS.name}/", title_justify="left")
    for head, right in (("name", False), ("method", False), ("test MI", True), ("test NLL", True), ("MB", True)):
        table.add_column(head, justify="right" if right else "left", no_wrap=head == "name")
    for entry in entries(EXPORTS) if EXPORTS.is_dir() else []:
        test = entry["metrics"].get("test", {})
        figures = [test.get(name) for name in ("mutual_information", "nll")]
        shown = [f"{one['value']:.2f}" if one else "–" for one in figures]
        table.add_row(entry["name"], entry["method"].partition(":")[0], *shown, f"{entry['bytes'] / 1e6:.1f}")
    Console().print(table)


def listing() -> str:
    """Methods, networks, data sets, configurations and exports, as text."""
    sections = [
        _section("Methods (more: zoo list NAME)", [(name, known.summary) for name, known in METHODS.items()]),
        _section("Networks (more: zoo list NAME)", list(NETWORKS.items())),
        _section("Data sets", [(name, found.description) for name, found in CATALOGUE.items()]),
        _section("Configurations", [(name, "") for name in configurations.names()]),
        _section("Exports", exports(configurations.folder().parent / "exports") or [("none", "")]),
    ]
    return "\n\n".join(sections)


def check_name(name: str) -> None:
    """Raises ValueError for what `description` does not know; loads nothing."""
    known = [*METHODS, *NETWORKS, *LIKELIHOODS]
    if outside.is_outside(name):
        outside.check_name(name)
    elif name not in known:
        raise ValueError(f"list: no method, network or likelihood {name!r}; {nearest(name, known)}")


def description(name: str) -> str:
    """A method, network or likelihood: what it is, and what its hyperparameters may be.

    Args:
        name: of the zoo's, or `package.module:Name` of one from outside.

    Raises:
        ValueError: there is none of this name.
    """
    check_name(name)
    kind = _kind_of(name)
    owner = model_section.owner(kind, name)
    lines = []
    for key, (annotation, default) in model_section.parameters(kind, owner).items():
        given = "" if default is ... else f", by default {_yaml(default)}"
        lines.append((key, _words(TypeAdapter(annotation).json_schema()) + given))
    about = (inspect.getdoc(owner) or "no docstring").partition("\n\n")[0]
    section = _section("Hyperparameters", lines or [("none", "")])
    cited = f"\n\nTo cite:\n{REFERENCES[name]}" if name in REFERENCES else ""
    return f"{name}, a {kind}: {about}\n\n{section}{cited}"


def _kind_of(name: str) -> model_section.Kind:
    if not outside.is_outside(name):
        return "method" if name in METHODS else "network" if name in NETWORKS else "likelihood"
    from zoo.likelihoods import Likelihood

    found = outside.find(name, "any")
    if not isinstance(found, type):
        return "network"
    return "likelihood" if issubclass(found, Likelihood) else "method"


def _words(schema: dict[str, Any]) -> str:
    """A JSON schema in words: `number ≥ 0`."""
    if "anyOf" in schema:
        return " or ".join(map(_words, schema["anyOf"]))
    if "enum" in schema:
        return " or ".join(map(_yaml, schema["enum"]))
    words = {"integer": "whole number", "boolean": "true or false", "string": "text", "array": "list"}
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    limits = [f"{sign} {schema[key]:g}" for key, sign in signs.items() if key in schema]
    kind = schema.get("type", "mapping")
    return f"{words.get(kind, kind)} {' and '.join(limits)}".strip()


def _yaml(value: Any) -> str:
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)
