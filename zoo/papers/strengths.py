"""Rows whose hyperparameters are tuned before they are trained: a search of KerasTuner for each, of as many trials."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from zoo.experiments import configurations
from zoo.experiments.objectives import parse
from zoo.experiments.run_directory import RunDirectory, RunError
from zoo.experiments.schema import Experiment
from zoo.experiments.search_directory import SearchDirectory, Trial, best
from zoo.experiments.space_file import ranges
from zoo.metrics.names import named
from zoo.papers.entries import Tuning


class StrengthSearch(NamedTuple):
    """The search that a row needs on a data set, in a directory whose name follows from all that it depends on.

    Attributes:
        label: the row and the data set.
        experiment: what is varied.
        space: as in a space's file.
        tuning: how it is searched.
        trials: how many.
        place: the search's directory.
    """

    label: str
    experiment: Experiment
    space: Mapping[str, Any]
    tuning: Tuning
    trials: int
    place: SearchDirectory

    @property
    def written(self) -> Path:
        """Where the best trial's configuration is once the search has ended."""
        return self.place.path.with_name(f"{self.place.path.name}-best-of-{self.trials}.yaml")

    def ended(self) -> bool:
        """Whether nothing is left to be searched."""
        return self.written.is_file()

    def done(self) -> int:
        """How many trials have ended."""
        return sum(trial.status != "running" for trial in self.place.recorded())

    def tuned(self) -> Experiment | None:
        """The best trial's configuration; None while the search has not ended.

        Raises:
            ConfigurationError: its file is damaged.
        """
        return configurations.load(self.written) if self.ended() else None

    def _best(self) -> Trial:
        """The trial whose configuration was written: a search may have gone on for longer since."""
        wanted = (self.tuned() or self.experiment).fingerprint()
        ranked = best(self.place.recorded(), parse(self.tuning.objective).direction)
        alike = [trial for trial in ranked if self.place.run(trial.number).experiment().fingerprint() == wanted]
        if not alike:
            raise RunError(f"{self.written}: is of no trial in {self.place.path}; remove it, and it is written anew")
        return alike[0]

    def run(self) -> RunDirectory:
        """The best trial's run, which is trained already; of a search that has ended.

        Raises:
            RunError: the trials are not those that the configuration was written from.
        """
        return self.place.run(self._best().number)

    def note(self) -> str:
        """What was found, in words; of a search that has ended.

        Raises:
            RunError: as `run`.
        """
        found = self._best()
        values = ", ".join(f"{key.rpartition('.')[2]} = {_short(value)}" for key, value in found.drawn().items())
        goal = named(parse(self.tuning.objective).name).label
        return f"{values}: the best of {self.trials} trials by the {goal} of the validation split ({found.score:.5g})"

    def arguments(self, configuration: Path, space: Path) -> list[str]:
        """Of `zoo tune`, to begin or to go on.

        Args:
            configuration: where the experiment is written for it.
            space: where the space is.
        """
        how = self.tuning
        fixed = ["--tuner", how.tuner, "--objective", how.objective, "--seed", str(how.seed)]
        resume = ["--resume"] if self.place.search.exists() else []
        where = ["--directory", str(self.place.path), "--best", str(self.written), "--max-trials", str(self.trials)]
        return ["tune", str(configuration), "--space", str(space), *fixed, *where, *resume, "--quiet"]


def search_of(
    label: str, experiment: Experiment, space: Mapping[str, Any], tuning: Tuning, trials: int, folder: Path, stem: str
) -> StrengthSearch:
    """The search of a row.

    Args:
        label: the row and the data set, for people.
        experiment: what is varied.
        space: of the row.
        tuning: of the table.
        trials: of the budget.
        folder: of searches.
        stem: what the directory's name begins with.

    Raises:
        ConfigurationError: a key or a range that is none.
    """
    ranges(space, f"{label}: tune", experiment)
    what = json.dumps([experiment.fingerprint(), experiment.train.seed, dict(space), tuning.model_dump()])
    name = f"{stem}-{hashlib.sha256(what.encode()).hexdigest()[:8]}"
    return StrengthSearch(label, experiment, space, tuning, trials, SearchDirectory(folder / name))


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
