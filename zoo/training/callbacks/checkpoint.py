"""Checkpoints that survive a kill at any moment, and a resume that ends where the uninterrupted run would have.

Keras's BackupAndRestore writes weights and epoch number one after the other into the same files: a kill between the
two restores weights of one epoch under the number of another, and damage inside a file goes unnoticed. So a
checkpoint here is a folder that appears whole or not at all, and the last two are kept. It holds all that a resume
depends on, under one checksum: weights, optimiser, counters, seeds, what was recorded of the epochs so far, and the
configuration that the weights come from.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from zoo.files import NamedBytes, replacing
from zoo.training.callbacks.record import Record
from zoo.training.checkpoints import (
    DAMAGED,
    STATE,
    WEIGHTS,
    CheckpointError,
    checkpoints,
    checksum,
    folder_name,
    prune,
    read,
)
from zoo.training.selection import Selection


def _seeds(model: keras.Model) -> list[keras.Variable]:
    """The states of Keras's own random layers (dropout, say), which Keras leaves out of its weights files."""
    return [v for v in model.variables if v.path.endswith("seed_generator_state")]


class Checkpoint(keras.callbacks.Callback):
    """Saves weights, optimiser and counters after every epoch; it stands last in the list of callbacks.

    Args:
        directory: where the checkpoints go, a folder an epoch.
        keep: how many of the latest stay.
        record: stands before it, and what it has recorded is saved too, so that a resume needs no other file.
        configuration: of the training, as JSON holds it; saved too, so that a resume can tell whether it has changed.
        selection: says which epoch is the best so far by the record; its checkpoint stays too.

    Raises:
        CheckpointError: weights that are not finite, or a disk that is full; the older checkpoints stay.
    """

    def __init__(
        self,
        directory: Path,
        keep: int = 2,
        record: Record | None = None,
        configuration: Mapping[str, Any] | None = None,
        selection: Selection | None = None,
    ) -> None:
        super().__init__()
        self.directory = directory
        self.keep = keep
        self.record = record
        self.configuration = configuration
        self.selection = selection or Selection()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the checkpoint, then removes what is too old, and what a kill left half written."""
        if not all(np.isfinite(w).all() for w in self.model.get_weights()):
            raise CheckpointError(f"epoch {epoch + 1}: weights are no longer finite")
        target = self.directory / folder_name(epoch + 1)
        seeds = [[int(n) for n in seed.numpy()] for seed in _seeds(self.model)]
        state = {"epoch": epoch + 1, "seeds": seeds, "rows": self.record.rows if self.record else []}
        if self.configuration is not None:
            state["configuration"] = self.configuration
        weights = NamedBytes(WEIGHTS)
        self.model.save_weights(weights)
        try:
            with replacing(target, synced=True) as sibling:
                sibling.mkdir()
                (sibling / WEIGHTS).write_bytes(weights.getbuffer())
                text = json.dumps({**state, "sha256": checksum(weights.getbuffer(), state)})
                (sibling / STATE).write_text(text, encoding="utf-8")
        except OSError as error:
            reason = error.strerror or str(error)
            raise CheckpointError(f"epoch {epoch + 1}: cannot write the checkpoint {target}: {reason}") from None
        prune(self.directory, epoch + 1, self.keep, self._best())

    def _best(self) -> int | None:
        return self.selection.chosen(self.record.rows) if self.record and self.record.rows else None


def restore(
    directory: Path,
    model: keras.Model,
    announce: Callable[[str], None],
    check: Callable[[Mapping[str, Any]], None] = lambda state: None,
) -> int:
    """Loads the latest good checkpoint into a compiled model.

    Args:
        directory: of the checkpoints.
        model: the same model as the one that was saved.
        announce: is told, in a line each, of damaged checkpoints that were passed over.
        check: is told what the good checkpoint holds beside the weights, before anything is loaded; may refuse it.

    Returns:
        How many epochs it has behind it; 0 without any good checkpoint.

    Raises:
        CheckpointError: a good checkpoint of another model; nothing is touched.
    """
    found = checkpoints(directory)
    for path in reversed(found):
        try:
            state, weights = read(path)
        except DAMAGED as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            announce(f"checkpoint {path.name} is damaged ({reason}); going back to the one before")
            continue
        check(state)
        try:
            load_weights(model, state, weights)
        except (OSError, ValueError, KeyError):
            raise CheckpointError(f"{path}: is whole, but of another model; was the configuration changed?") from None
        return state["epoch"]
    if found:
        announce("no good checkpoint is left; starting from the first epoch")
    return 0


def load_weights(model: keras.Model, state: Mapping[str, Any], weights: bytes) -> None:
    """Gives a compiled model what a checkpoint holds: weights, optimiser, counters and seeds.

    Args:
        model: the same model as the one that was saved.
        state: as `checkpoints.read` gives it.
        weights: likewise.

    Raises:
        ValueError: they are of another model.
    """
    model.build_optimizers()
    model.load_weights(NamedBytes(WEIGHTS, weights))
    for seed, value in zip(_seeds(model), state["seeds"], strict=True):
        seed.assign(value)


class Replay(keras.callbacks.Callback):
    """Brings callbacks with a memory (plateau, alarm) to where they were, from the recorded metrics.

    What they remember is a function of the logs that they have seen, so it needs no file of its own. It stands
    behind them, because they forget everything when a training begins.

    Args:
        rows: the recorded epochs, as `record.rows` gives them.
        callbacks: those to bring up to date.
        learning_rate: with which the run began; None where a schedule sets it.
    """

    def __init__(
        self,
        rows: Sequence[dict[str, float]],
        callbacks: Sequence[keras.callbacks.Callback],
        learning_rate: float | None,
    ) -> None:
        super().__init__()
        self.rows = rows
        self.callbacks = callbacks
        self.learning_rate = learning_rate

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Shows them every recorded epoch again."""
        if not self.rows:
            return
        if self.learning_rate is not None:
            self.model.optimizer.learning_rate = self.learning_rate
        for callback in self.callbacks:
            # What an alarm says now it has said before.
            loud = getattr(callback, "announce", None)
            if loud:
                vars(callback)["announce"] = lambda _: None
            for row in self.rows:
                callback.on_epoch_end(int(row["epoch"]) - 1, dict(row))
            if loud:
                vars(callback)["announce"] = loud
