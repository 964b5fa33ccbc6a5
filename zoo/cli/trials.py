"""What a search shows: a line for each trial, a bar over all of them, and the best ones as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from zoo.experiments.search_directory import Search, SearchDirectory, Trial, best

if TYPE_CHECKING:
    import keras

    from zoo.experiments.schema import Experiment

# Rows on a terminal; what is piped has all.
_ROWS = 10


class Display:
    """Follows a search on standard error, a context; where nobody watches (a log file), by lines alone.

    Args:
        search: what it is.
        before: the trials that had begun.
        quiet: nothing but warnings.
    """

    def __init__(self, search: Search, before: Sequence[Trial], quiet: bool = False) -> None:
        self.search, self.quiet = search, quiet
        self.trials = {trial.number: trial for trial in before}
        self.console = Console(stderr=True)
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
        hidden = quiet or not self.console.is_terminal
        times = (TimeElapsedColumn(), TimeRemainingColumn())
        # Drawn when it is told something: rich imports while it draws, which fails in a thread beside other imports.
        self.bar = Progress(*columns, *times, console=self.console, transient=True, disable=hidden, auto_refresh=False)
        self.task = self.bar.add_task("", total=search.max_trials, completed=self._ended())

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Takes the bar away."""
        self.bar.stop()

    def told(self, trial: Trial) -> None:
        """Shows a trial that begins, or one that has ended."""
        self.trials[trial.number] = trial
        place = f"trial {trial.number}/{self.search.max_trials}"
        drawn = ", ".join(f"{key} {written(value)}" for key, value in trial.drawn().items())
        if trial.status == "running":
            self.bar.update(self.task, description=place, refresh=True)
            self._line(f"{place}  {drawn}")
            return
        self.bar.update(self.task, completed=self._ended(), refresh=True)
        if trial.score is None:
            self._line(f"{place}  failed: {trial.message}  ({trial.seconds:.1f} s)")
            return
        first = best(list(self.trials.values()), self.search.direction)[0]
        so_far = f"best {written(first.score)}, trial {first.number}"
        self._line(f"{place}  {self.search.goal.label} {written(trial.score)}  ({so_far}; {trial.seconds:.1f} s)")

    def say(self, text: str) -> None:
        """A note on a training."""
        self.bar.console.print(f"zoo: {text}", highlight=False, soft_wrap=True, markup=False)

    def watchers(self, trial: Trial, experiment: Experiment) -> list[keras.callbacks.Callback]:
        """The callback that moves the bar within a trial."""
        import keras

        epochs = experiment.train.epochs

        def moved(epoch: int, logs: Any) -> None:
            text = f"trial {trial.number}, epoch {epoch + 1}/{epochs}"
            share = self._ended() + (epoch + 1) / (epochs + 1)
            self.bar.update(self.task, description=text, completed=round(share, 2), refresh=True)

        return [keras.callbacks.LambdaCallback(on_epoch_end=moved)]

    def _ended(self) -> int:
        return sum(trial.status != "running" for trial in self.trials.values())

    def _line(self, text: str) -> None:
        if not self.quiet:
            self.bar.console.print(text, highlight=False, soft_wrap=True, markup=False)


def written(value: Any) -> str:
    """A value of a table: four digits of a number that is not whole."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def table(found: Sequence[Trial], search: Search, place: SearchDirectory) -> None:
    """Prints trials: the best ones as a table on a terminal; all of them, separated by tabs, where it is piped."""
    keys = list(dict.fromkeys(key for trial in found for key in trial.drawn()))
    console = Console(highlight=False)
    if not console.is_terminal:
        print("\t".join(["trial", search.objective, "epochs", *keys, "run"]))
        for trial in found:
            values = [str(trial.drawn().get(key, "")) for key in keys]
            run = str(place.run(trial.number).path)
            print("\t".join([str(trial.number), repr(trial.score), _epochs(trial, search), *values, run]))
        return
    shown = Table(title=escape(f"{place.path} · {search.objective}, {search.direction}"), title_justify="left")
    for name in ("trial", search.goal.label, "epochs"):
        shown.add_column(name, justify="right")
    for key in keys:
        shown.add_column(key.partition(".")[2], overflow="fold")
    for trial in found[:_ROWS]:
        values = [written(trial.drawn().get(key, "")) for key in keys]
        shown.add_row(str(trial.number), written(trial.score), _epochs(trial, search), *values)
    console.print(shown)
    if len(found) > _ROWS:
        console.print(f"and {len(found) - _ROWS} more", markup=False)


def _epochs(trial: Trial, search: Search) -> str:
    own = trial.drawn().get("train.epochs", search.experiment().train.epochs)
    return str(trial.values.get("tuner/epochs", own))
