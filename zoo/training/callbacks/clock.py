"""How long the epochs of a run took."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import keras

from zoo.training.callbacks.record import Record


class Clock(keras.callbacks.Callback):
    """Appends each epoch's seconds, without what is measured between epochs, to a JSON-lines file of their own.

    The metrics file stays free of the clock, so that a resumed run leaves the same one. An epoch that was done twice
    stands here twice: both were paid for.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.record = Record(path)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts the clock."""
        self.began = time.perf_counter()
        self.worked = 0.0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Remembers when the last step was done."""
        self.worked = time.perf_counter() - self.began

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes `{"epoch": …, "seconds": …}`."""
        self.record.on_epoch_end(epoch, {"seconds": self.worked})
