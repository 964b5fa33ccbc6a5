"""The directory of a search: what it is, its trials, and a run's directory for each; loads nothing heavy."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from pydantic import FiniteFloat, TypeAdapter

from zoo.experiments import schema, strict_yaml
from zoo.experiments.objectives import Direction, Objective
from zoo.experiments.run_directory import RunDirectory, RunError
from zoo.experiments.schema import Experiment, Section
from zoo.files import replacing
from zoo.parameters import Count, Seed

Tuner = Literal["random", "bayesian", "hyperband", "grid"]
TUNERS: tuple[Tuner, ...] = get_args(Tuner)


class Search(Section):
    """What a search is. All but the number of trials stays as it is while the search goes on.

    Attributes:
        tuner: of `TUNERS`.
        objective: a figure of `zoo evaluate`.
        direction: which way it is better.
        max_trials: how many trials there will be, fewer where the space has no more.
        seed: of what is drawn from the space; the runs have the configuration's.
        nll_samples: importance samples an example, where the objective is a likelihood.
        space: as its file has it.
        configuration: what is varied.
        folders: where modules from outside the zoo are looked for first.
    """

    tuner: Tuner
    objective: str
    direction: Direction
    max_trials: Count
    seed: Seed
    nll_samples: Count
    space: dict[Any, Any]
    configuration: dict[str, Any]
    folders: list[str]

    @property
    def goal(self) -> Objective:
        """Objective and direction."""
        return Objective(self.objective, self.direction)

    def experiment(self) -> Experiment:
        """The configuration, not resolved yet.

        Raises:
            ConfigurationError: another version of the zoo wrote it, and this one does not understand it.
        """
        folders = tuple(map(Path, self.folders))
        return schema.validate(self.configuration, "configuration of the search", folders, resolve=False)


class Trial(Section):
    """A trial of a search.

    Attributes:
        number: from 1, in the order of their beginnings.
        values: what was drawn, by dotted key, and the tuner's own (`tuner/…`).
        status: whether its run has ended, and well.
        score: the objective's value, where it has.
        seconds: that its training and evaluation took.
        message: why it failed.
    """

    number: int
    values: dict[str, str | int | float | bool]
    status: Literal["running", "completed", "failed"] = "running"
    score: FiniteFloat | None = None
    seconds: float = 0.0
    message: str = ""

    def drawn(self) -> dict[str, Any]:
        """The values of the configuration's keys."""
        return {key: value for key, value in self.values.items() if not key.startswith("tuner/")}


class SearchDirectory:
    """Names the files of a search.

    Args:
        path: of the directory.

    Attributes:
        search: what it is (YAML).
        trials: what is known of each trial (JSON); written anew, whole, when one begins and when one ends.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.search = path / "search.yaml"
        self.trials = path / "trials.json"

    def run(self, number: int) -> RunDirectory:
        """The directory of a trial's run, which need not exist."""
        return RunDirectory(self.path / f"trial-{number:03d}")

    def check_new(self) -> None:
        """Raises RunError where a new search must not, or cannot, go; leaves nothing behind."""
        if self.search.exists():
            raise RunError(
                f"{self.path}: holds a search already; go on with it by --resume, or name another --directory"
            )
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise RunError(f"{self.path}: exists and is not a search; name another --directory")
        above = next(folder for folder in (self.path, *self.path.absolute().parents) if folder.exists())
        try:
            # Asking for permissions says nothing of a drive that is mounted to be read only.
            tempfile.TemporaryDirectory(dir=above).cleanup()
        except OSError as error:
            raise RunError(f"{self.path}: cannot be written: {error.strerror}") from None

    def create(self, search: Search) -> None:
        """Makes the directory of a search, or notes another number of trials in an existing one.

        Raises:
            RunError: it cannot be written.
        """
        text = yaml.safe_dump(search.model_dump(), sort_keys=False, allow_unicode=True)
        self._write(self.search, text)

    def read(self) -> Search:
        """What the search is.

        Raises:
            RunError: no search, or a damaged one.
        """
        if not self.search.is_file():
            raise RunError(f"{self.path}: not the directory of a search (it has no {self.search.name})")
        try:
            return Search.model_validate(strict_yaml.load(self.search.read_text(encoding="utf-8")))
        except ValueError:  # Neither YAML, nor text, nor what a search is.
            raise RunError(f"{self.search}: is damaged; begin the search anew in another --directory") from None

    def recorded(self) -> list[Trial]:
        """The trials that have begun, in their order.

        Raises:
            RunError: a damaged file.
        """
        if not self.trials.exists():
            return []
        try:
            found = TypeAdapter(list[Trial]).validate_json(self.trials.read_bytes())
            if [trial.number for trial in found] != list(range(1, len(found) + 1)):
                raise ValueError("a trial is missing")
        except ValueError:
            again = "remove it, and --resume finds the trials anew in their runs"
            raise RunError(f"{self.trials}: is damaged; {again}") from None
        return found

    def record(self, trials: list[Trial]) -> None:
        """Writes what is known of the trials.

        Raises:
            RunError: it cannot be written.
        """
        self._write(self.trials, json.dumps([trial.model_dump() for trial in trials], indent=1) + "\n")

    def _write(self, file: Path, text: str) -> None:
        try:
            with replacing(file, synced=True) as sibling:
                sibling.write_text(text, encoding="utf-8")
        except OSError as error:
            raise RunError(f"{file}: cannot be written: {error.strerror}") from None


def check_same(path: Path, mine: Search, given: Search) -> None:
    """Raises RunError where a directory holds another search than the given one, and names the first difference.

    The number of trials may differ: a search may go on for longer.
    """
    for key in ("tuner", "objective", "direction", "seed", "nll_samples", "space"):
        ours, theirs = getattr(mine, key), getattr(given, key)
        if ours != theirs:
            raise RunError(f"{path}: is another search: {key} is {ours!r} there, {theirs!r} here")
    ours, theirs = mine.experiment().flat(), given.experiment().flat()
    for key in (*ours, *theirs):
        if ours.get(key) != theirs.get(key):
            there, here = ours.get(key), theirs.get(key)
            raise RunError(f"{path}: is a search over another configuration: {key} is {there!r} there, {here!r} here")


def best(trials: list[Trial], direction: Direction) -> list[Trial]:
    """The trials that ended well, the best first; of equal ones the earlier."""
    sign = -1 if direction == "max" else 1
    done = [trial for trial in trials if trial.score is not None]
    return sorted(done, key=lambda trial: (sign * float(trial.score or 0.0), trial.number))
