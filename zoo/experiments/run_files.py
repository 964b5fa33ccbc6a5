"""What a run's JSON files hold, as schemas: `evaluation.json` and `environment.json` are read through these alone."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from zoo.export.card import Figure

PACKAGES = ("tensorflow", "keras", "tensorflow-probability", "tensorflow-datasets", "scikit-learn", "numpy")

# Beside the splits in `evaluation.json`: what was not measured, and why.
LEFT_OUT = "left_out"
# And the checksum of all the rest.
CHECKSUM = "sha256"


def environment() -> dict[str, Any]:
    """Versions and the machine's kind, for `environment.json`."""
    # They take a while to import, which a command that is answered with a mistake should not wait for.
    import importlib.metadata
    import platform

    from zoo import __version__

    return {
        "zoo": __version__,
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in PACKAGES},
        "system": platform.system(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "TensorFlow's default"),
    }


class _File(BaseModel):
    # A later version of the zoo may write more.
    model_config = ConfigDict(extra="allow", strict=True, populate_by_name=True, defer_build=True)


class StoredFigure(Figure):
    """A figure of an evaluation; what a later version of the zoo adds to it is passed over."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True, defer_build=True)


class Evaluation(_File):
    """Figures by split and name, and under `left_out`, by split, why others could not be measured.

    An earlier version of the zoo wrote no checksum, and a person who writes such a file needs none.
    """

    __pydantic_extra__: dict[str, dict[str, StoredFigure]]
    left_out: dict[str, dict[str, str]] = Field(default_factory=dict)
    sha256: str | None = None


class Identity(_File):
    """What tells the examples of a split."""

    examples: int
    sha256: str


class Environment(_File):
    """Versions, the machine's kind, the folders of modules from outside the zoo, and what the run was made with."""

    __pydantic_extra__: dict[str, JsonValue]
    zoo: str | None = None
    python: str = ""
    tensorflow: str = ""
    keras: str = ""
    tensorflow_probability: str = Field("", alias="tensorflow-probability")
    modules: dict[str, str] = Field(default_factory=dict)
    configuration: dict[str, JsonValue] = Field(default_factory=dict)
    data: dict[str, Identity] = Field(default_factory=dict)


def read(schema: type[Evaluation] | type[Environment], path: Path) -> dict[str, Any]:
    """The content of a file, as far as it was written; empty where the file does not exist.

    Raises:
        ValueError: it does not fit the schema; in a few words that name the place.
    """
    if not path.exists():
        return {}
    content = path.read_bytes()
    try:
        found = schema.model_validate_json(content)
    except ValidationError as error:
        finding = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, finding["loc"]))[:80]
        raise ValueError(": ".join(filter(None, [place, finding["msg"]]))) from None
    values = found.model_dump(mode="json", by_alias=True, exclude_unset=True)
    if values.pop(CHECKSUM, None) not in (None, checksum(json.loads(content))):
        raise ValueError("its checksum does not match")
    return values


def checksum(content: Mapping[str, Any]) -> str:
    """64 hexadecimal digits of what a file holds, but for its own checksum."""
    others = {name: value for name, value in content.items() if name != CHECKSUM}
    return hashlib.sha256(json.dumps(others, sort_keys=True).encode()).hexdigest()
