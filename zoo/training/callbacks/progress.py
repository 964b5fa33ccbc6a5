"""A bar for the epoch that runs, and a line for each that is done."""

from __future__ import annotations

import time
from typing import Any

import keras
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from zoo.metrics.names import named

# What a line shows, where the logs have it, and in how many digits; for the rest there are the metrics file and
# TensorBoard.
SHOWN = {"distortion": 2, "rate": 2, "val_elbo": 2, "val_mutual_information": 2, "val_active_units": 0}


class Progress(keras.callbacks.Callback):
    """Progress of a training on the terminal (standard error).

    Args:
        epochs: how many there will be.
        console: where to draw; standard error by default.
    """

    def __init__(self, epochs: int, console: Console | None = None) -> None:
        super().__init__()
        self.epochs = epochs
        self.console = console or Console(stderr=True, markup=False)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Starts the bar."""
        name = TextColumn("{task.description}", markup=False)
        columns = (name, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        # Where nobody watches (a log file), the lines of the epochs are enough.
        self.bar = Bar(*columns, console=self.console, transient=True, disable=not self.console.is_terminal)
        self.task = self.bar.add_task("", total=self.params.get("steps"))
        self.bar.start()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Sets the bar back."""
        self.began = time.perf_counter()
        self.bar.reset(self.task, total=self.params.get("steps"), description=f"epoch {epoch + 1}/{self.epochs}")

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Moves the bar."""
        self.bar.update(self.task, completed=batch + 1)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Prints the epoch's line."""
        logs = logs or {}
        shown = "  ".join(f"{_heading(name)} {logs[name]:.{digits}f}" for name, digits in SHOWN.items() if name in logs)
        seconds = time.perf_counter() - self.began
        line = f"epoch {epoch + 1}/{self.epochs}  {shown}  ({seconds:.1f} s)"
        self.bar.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Takes the bar away."""
        self.bar.stop()

    def stop(self) -> None:
        """Takes the bar away where the training ended with an error."""
        if hasattr(self, "bar"):
            self.bar.stop()


def _heading(name: str) -> str:
    """Of an entry of the logs, with `val` before it where it is one of the held-out examples."""
    metric = name.removeprefix("val_")
    return ("val " if metric != name else "") + named(metric).heading
