"""A run's metrics file: a JSON object for each epoch, a line each."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from zoo.files import replacing


class _Row(BaseModel):
    """A line: the epoch, and a number for each name."""

    model_config = ConfigDict(extra="allow", strict=True, defer_build=True)
    __pydantic_extra__: dict[str, float]
    epoch: int = Field(ge=1)


def rows(path: Path, epochs: int | None = None) -> list[dict[str, float]]:
    """The lines of a metrics file, of the first `epochs` epochs, up to a line that a crash cut short or damaged."""
    found = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []:
        try:
            row = json.loads(line)
            _Row.model_validate(row)
        except (ValueError, RecursionError, ValidationError):
            break
        if epochs is not None and row["epoch"] > epochs:
            break
        found.append(row)
    return found


def rewrite(path: Path, kept: list[dict[str, float]]) -> bool:
    """Makes a metrics file hold some rows and no more.

    Returns:
        Whether it began with them, byte for byte; else it was damaged, and is written anew.
    """
    held, whole = path.read_bytes() if path.exists() else b"", text(kept).encode()
    if held != whole:
        with replacing(path, synced=True) as sibling:
            sibling.write_bytes(whole)
    return held.startswith(whole)


def text(lines: list[dict[str, float]]) -> str:
    """The content of the file."""
    return "".join(json.dumps(row) + "\n" for row in lines)
