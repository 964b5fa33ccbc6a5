"""The metrics of a run as JSON lines."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import keras

from zoo.files import replacing


class Record(keras.callbacks.Callback):
    """Appends the logs of every epoch to a file, one JSON object a line.

    Nothing in a line depends on the clock, so that a run that was interrupted and resumed leaves the same file.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the epoch's line and makes sure that it reaches the disk."""
        steps = {"step": int(self.model.step.numpy())} if hasattr(self.model, "step") else {}
        row = {"epoch": epoch + 1, **steps, **{name: float(value) for name, value in sorted((logs or {}).items())}}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
            file.flush()
            os.fsync(file.fileno())


def rows(path: Path, epochs: int | None = None) -> list[dict[str, float]]:
    """The lines of a metrics file, of the first `epochs` epochs, up to a line that a crash cut short or damaged."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            break
        if not isinstance(row, dict) or not isinstance(row.get("epoch"), int):
            break
        if epochs is not None and row["epoch"] > epochs:
            break
        found.append(row)
    return found


def truncate(path: Path, epochs: int) -> list[dict[str, float]]:
    """Cuts a metrics file back to its first `epochs` epochs, and returns them."""
    kept = rows(path, epochs)
    with replacing(path) as sibling:
        sibling.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
    return kept
