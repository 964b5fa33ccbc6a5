"""Bars for the epoch that runs and for the whole run, and a row of a table for each epoch that is done."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, NamedTuple

import keras
from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.text import Text


class Column(NamedTuple):
    """An entry of an epoch's logs, and how it is shown."""

    name: str
    heading: str
    width: int
    digits: int = 2


# What a row shows. For the rest there are the bars, the metrics file and TensorBoard. A row fits 80 characters.
SHOWN = {
    "training": [Column("distortion", "distortion", 10), Column("rate", "rate", 7)],
    "validation": [
        Column("val_elbo", "ELBO", 8),
        Column("val_distortion", "distortion", 10),
        Column("val_rate", "rate", 7),
        Column("val_mutual_information", "MI", 6),
        Column("val_active_units", "active", 6, 0),
    ],
}
_EPOCH, _SECONDS = 8, 7
# How often the figures beside the bars are read, in seconds: each reading waits for the device.
_EVERY = 0.5


class _Bars(Bar):
    """Bars, and below them a line that is cut where the terminal ends."""

    line = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        """What is drawn."""
        yield from super().get_renderables()
        yield Text(self.line, no_wrap=True, overflow="ellipsis")


class Progress(keras.callbacks.Callback):
    """Progress of a training on the terminal (standard error).

    On a terminal, two bars, each with the time that is left: the steps of the epoch with examples a second, and those
    of the whole run. Below them are the running means of loss and terms. In a file there are the rows alone.

    Args:
        epochs: how many there will be.
        batch_size: examples a step, over all replicas; 0 leaves out examples a second.
        console: where to draw; standard error by default.
    """

    def __init__(self, epochs: int, batch_size: int = 0, console: Console | None = None) -> None:
        super().__init__()
        self.epochs = epochs
        self.batch_size = batch_size
        self.console = console or Console(stderr=True, markup=False)
        self.done = self.steps_done = 0
        self.stepping = 0.0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Starts the bars, and the table."""
        self.noun = getattr(getattr(self.model, "domain", None), "noun", "examples")
        columns = (TextColumn("{task.description}", markup=False), BarColumn(20), MofNCompleteColumn())
        note = TextColumn("{task.fields[note]}", markup=False)
        self.bar = _Bars(
            *columns,
            TimeRemainingColumn(),
            note,
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        self.task = self.bar.add_task("", total=self.params.get("steps"), note="")
        self.run = self.bar.add_task("run", total=None, note="")
        self.bar.start()
        self.began_training = time.perf_counter()
        for line in _heading():
            self._print(line)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Sets the epoch's bar back."""
        self.began, self.looked, self.epoch = time.perf_counter(), 0.0, epoch
        self.bar.line = ""
        steps = self.params.get("steps")
        self.bar.reset(self.task, total=steps, description=self._place(), note="" if self.done else "building")
        if steps:
            self.bar.update(self.run, total=steps * self.epochs, completed=steps * epoch)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Moves the bars."""
        self.ended = time.perf_counter()
        if batch == 0:
            # The first step of a run builds the graph, which says nothing about the next ones.
            self.first = self.ended
        self.steps = batch
        self.bar.update(self.task, completed=batch + 1)
        if self.params.get("steps"):
            self.bar.update(self.run, advance=1)
        if not self.bar.disable and self.ended - self.looked > _EVERY:
            self.looked = self.ended
            self.bar.update(self.task, note=self._speed(batch, self.ended - self.first))
            self.bar.line = "  ".join(f"{name} {float(value):.2f}" for name, value in _means(logs))

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Says that the validation examples have their turn."""
        self._now("validating")

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        """Says that codes are being measured."""
        self._now("measuring")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Prints the epoch's row; what comes then is writing."""
        now = time.perf_counter()
        self.done += 1
        if getattr(self, "steps", 0):
            self.steps_done += self.steps
            self.stepping += self.ended - self.first
        self._print(_row(f"{epoch + 1}/{self.epochs}", logs or {}, now - self.began))
        self._now("writing")

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Takes the bars away, and says how fast it was."""
        self.bar.stop()
        seconds = time.perf_counter() - self.began_training
        speed = self._speed(self.steps_done, self.stepping)
        epochs = "1 epoch" if self.done == 1 else f"{self.done} epochs"
        self._print(f"{epochs} in {_duration(seconds)}{f', steps at {speed}' if speed else ''}")

    def stop(self) -> None:
        """Takes the bars away where the training ended with an error."""
        if hasattr(self, "bar"):
            self.bar.stop()

    def _place(self) -> str:
        return f"epoch {self.epoch + 1}/{self.epochs}"

    def _now(self, what: str) -> None:
        if hasattr(self, "epoch"):
            self.bar.update(self.task, note=what, refresh=True)

    def _speed(self, steps: int, seconds: float) -> str:
        if not (self.batch_size and steps and seconds > 0):
            return ""
        return f"{steps * self.batch_size / seconds:,.0f} {self.noun}/s"

    def _print(self, line: str) -> None:
        self.bar.console.print(line, markup=False, highlight=False, soft_wrap=True)


def _means(logs: dict[str, Any] | None) -> list[tuple[str, Any]]:
    """The running means of the epoch: the loss, then the terms."""
    return sorted((logs or {}).items(), key=lambda entry: entry[0] != "loss")


def _heading() -> list[str]:
    """The two lines above the rows."""
    groups = [f"{'in nats':<{_EPOCH}}"] + [_group(name, columns) for name, columns in SHOWN.items()]
    names = [" ".join(f"{column.heading:>{column.width}}" for column in columns) for columns in SHOWN.values()]
    return ["  ".join(groups).rstrip(), "  ".join([f"{'epoch':<{_EPOCH}}", *names, f"{'time':>{_SECONDS}}"])]


def _group(name: str, columns: list[Column]) -> str:
    return f" {name} ".center(sum(column.width for column in columns) + len(columns) - 1, "─")


def _row(epoch: str, logs: dict[str, Any], seconds: float) -> str:
    """An epoch's figures below the headings; a dash for what was not measured."""
    groups = [
        " ".join(
            f"{logs[column.name]:>{column.width}.{column.digits}f}" if column.name in logs else f"{'–':>{column.width}}"
            for column in columns
        )
        for columns in SHOWN.values()
    ]
    return "  ".join([f"{epoch:<{_EPOCH}}", *groups, f"{f'{seconds:.1f} s':>{_SECONDS}}"])


def _duration(seconds: float) -> str:
    """Such as `12.3 s`, `4 min 05 s` or `2 h 03 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
