"""The metrics of a run as JSON lines."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from zoo.files import replacing


class _Row(BaseModel):
    """A line: the epoch, and a number for each name."""

    model_config = ConfigDict(extra="allow", strict=True)
    __pydantic_extra__: dict[str, float]
    epoch: int = Field(ge=1)


class Record(keras.callbacks.Callback):
    """Appends the logs of every epoch to a file, one JSON object a line.

    Nothing in a line depends on the clock, so that a run that was interrupted and resumed leaves the same file.

    Args:
        path: of the file.
        rows: the epochs that it holds already.

    Attributes:
        rows: all epochs so far; checkpoints hold them.
    """

    def __init__(self, path: Path, rows: Iterable[dict[str, float]] = ()) -> None:
        super().__init__()
        self.path = path
        self.rows = list(rows)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the epoch's line and makes sure that it reaches the disk."""
        steps = {"step": int(self.model.step.numpy())} if hasattr(self.model, "step") else {}
        row = {"epoch": epoch + 1, **steps, **{name: float(value) for name, value in sorted((logs or {}).items())}}
        self.rows.append(row)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(_text([row]))
            file.flush()
            os.fsync(file.fileno())


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
    held, whole = path.read_bytes() if path.exists() else b"", _text(kept).encode()
    if held != whole:
        with replacing(path, synced=True) as sibling:
            sibling.write_bytes(whole)
    return held.startswith(whole)


def _text(lines: list[dict[str, float]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in lines)
