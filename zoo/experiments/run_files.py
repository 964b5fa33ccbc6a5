"""What a run's JSON files hold, as schemas: `evaluation.json` and `environment.json` are read through these alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from zoo.export.card import Figure

# Beside the splits in `evaluation.json`: what was not measured, and why.
LEFT_OUT = "left_out"


class _File(BaseModel):
    # A later version of the zoo may write more.
    model_config = ConfigDict(extra="allow", strict=True, populate_by_name=True)


class StoredFigure(Figure):
    """A figure of an evaluation; what a later version of the zoo adds to it is passed over."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class Evaluation(_File):
    """Figures by split and name, and under `left_out`, by split, why others could not be measured."""

    __pydantic_extra__: dict[str, dict[str, StoredFigure]]
    left_out: dict[str, dict[str, str]] = Field(default_factory=dict)


class Environment(_File):
    """Versions, the machine's kind, the folders of modules from outside the zoo, the configuration at the start."""

    __pydantic_extra__: dict[str, JsonValue]
    zoo: str | None = None
    python: str = ""
    tensorflow: str = ""
    keras: str = ""
    tensorflow_probability: str = Field("", alias="tensorflow-probability")
    modules: dict[str, str] = Field(default_factory=dict)
    configuration: dict[str, JsonValue] = Field(default_factory=dict)


def read(schema: type[Evaluation] | type[Environment], path: Path) -> dict[str, Any]:
    """The content of a file, as far as it was written; empty where the file does not exist.

    Raises:
        ValueError: it does not fit the schema; in a few words that name the place.
    """
    if not path.exists():
        return {}
    try:
        found = schema.model_validate_json(path.read_bytes())
    except ValidationError as error:
        finding = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, finding["loc"]))[:80]
        raise ValueError(": ".join(filter(None, [place, finding["msg"]]))) from None
    return found.model_dump(mode="json", by_alias=True, exclude_unset=True)
