"""The metrics of a run as JSON lines."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras

from zoo.training.metrics_file import text


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
            file.write(text([row]))
            file.flush()
            os.fsync(file.fileno())
