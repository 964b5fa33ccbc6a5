"""Keras callbacks that carry out a selection: the end before the last epoch, and the best weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import keras

from zoo.training.callbacks.checkpoint import load_weights
from zoo.training.callbacks.record import Record
from zoo.training.checkpoints import DAMAGED, CheckpointError, folder_name, read
from zoo.training.selection import Selection


class EndEarly(keras.callbacks.Callback):
    """Ends the training where the selection says so; it stands behind the callbacks that measure.

    Keras's EarlyStopping has the same rule for the patience, and forgets its state when a training is interrupted.

    Args:
        selection: the rule.
        rows: the epochs that lie behind.
        announce: is told why.
    """

    def __init__(
        self, selection: Selection, rows: Iterable[dict[str, float]] = (), announce: Callable[[str], None] = print
    ) -> None:
        super().__init__()
        self.selection = selection
        self.rows = list(rows)
        self.announce = announce

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Looks at all epochs so far."""
        self.rows.append({"epoch": epoch + 1, **(logs or {})})
        if why := self.selection.reason(self.rows):
            self.model.stop_training = True
            self.announce(f"ended after epoch {epoch + 1}: {why}")


class ChosenWeights(keras.callbacks.Callback):
    """Gives the model the weights of the chosen epoch when the training ends, from its checkpoint.

    It stands before every callback that looks at the model at the end.

    Args:
        selection: the rule.
        record: of the epochs.
        directory: of the checkpoints.
        announce: is told which epoch it is, where that is not the last.

    Raises:
        CheckpointError: the checkpoint of the chosen epoch is missing or damaged.
    """

    def __init__(self, selection: Selection, record: Record, directory: Path, announce: Callable[[str], None]) -> None:
        super().__init__()
        self.selection = selection
        self.record = record
        self.directory = directory
        self.announce = announce

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Looks for the best checkpoint so far, before a training goes on in vain."""
        if self.record.rows:
            self._read()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Loads the weights, the optimiser's state included."""
        rows = self.record.rows
        if not rows or self.selection.chosen(rows) == int(rows[-1]["epoch"]):
            return
        state, weights = self._read()
        load_weights(self.model, state, weights)
        monitor = f"val_{self.selection.monitor}"
        value = next(row[monitor] for row in rows if row["epoch"] == state["epoch"])
        self.announce(f"the model is that of epoch {state['epoch']} of {len(rows)}, the best by {monitor}: {value:.4g}")

    def _read(self) -> tuple[dict[str, Any], bytes]:
        epoch = self.selection.chosen(self.record.rows)
        path = self.directory / folder_name(epoch)
        try:
            return read(path)
        except DAMAGED:
            what = f"the checkpoint of epoch {epoch}, the best so far, is missing or damaged"
            raise CheckpointError(f"{path}: {what}; put it back, or train into another --run-dir") from None
