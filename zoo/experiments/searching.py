"""KerasTuner's searches over a configuration, each trial a run that is trained, resumed and evaluated like any other.

What a search draws next is a function of its seed and of the scores so far. So nothing of KerasTuner's state is kept:
a search that goes on draws its trials anew from the first, is told the scores that are known, and trains only what is
missing. KerasTuner's own files are several, written one after the other: after a kill between two of them it loses a
trial or counts one twice, and its grid and Bayesian searches do not save all that they go by.
"""

from __future__ import annotations

import gc
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import keras_tuner
import tensorflow as tf

from zoo import outside
from zoo.experiments import search_space, tuning
from zoo.experiments.building import load_split
from zoo.experiments.evaluation import evaluate
from zoo.experiments.fitting import train
from zoo.experiments.run_directory import RunDirectory, RunError
from zoo.experiments.schema import Experiment
from zoo.experiments.search_directory import Search, SearchDirectory, Trial
from zoo.files import replacing
from zoo.metrics.names import PROBES
from zoo.models import canonical
from zoo.training.callbacks.nan import TrainingDivergedError
from zoo.training.checkpoints import checkpoints, epoch_of

_ORACLES = {
    "random": keras_tuner.oracles.RandomSearchOracle,
    "bayesian": keras_tuner.oracles.BayesianOptimizationOracle,
    "hyperband": keras_tuner.oracles.HyperbandOracle,
    "grid": keras_tuner.oracles.GridSearchOracle,
}

Announce = Callable[[str], None]
Told = Callable[[Trial], None]


def hypermodel(search: Search, space: dict[str, Any]) -> tuning.ConfiguredHyperModel:
    """What is searched over; all that can be wrong with it is found here.

    Args:
        search: what the search is.
        space: as `zoo.experiments.space_file.ranges` gives it.

    Raises:
        ConfigurationError: a combination of values that the configuration does not take.
        ValueError: a space that is none, a key that the tuner sets itself, or an objective that the data or a method
            of the space do not have.
    """
    experiment = search.experiment().resolved()
    found = tuning.hypermodel(experiment, space)
    assert isinstance(found, tuning.ConfiguredHyperModel)
    if search.tuner == "hyperband" and any("train.epochs" in entry.names() for entry in found.space):
        raise ValueError("space: train.epochs is set by hyperband itself, up to the configuration's; leave it out")
    goal = search.goal
    if goal.group in PROBES and load_split(experiment, "validation").labels is None:
        raise ValueError(f"objective: {goal.name} needs labels, and the data have none")
    for method in _methods(found):
        names = method.split("+")
        # Of a method from outside, what it inherits is not known here; its first evaluation tells.
        if goal.is_term and not any(outside.is_outside(name) or goal.is_term_of(name) for name in names):
            raise ValueError(f"objective: {goal.name} is no term of {method}")
    return found


def _methods(model: tuning.ConfiguredHyperModel) -> list[str]:
    """The methods among which a search chooses, or the one that it has."""
    for entry in model.space:
        if entry.key == "model.method":
            return [str(candidate) for candidate in entry.candidates]
    return ["+".join(canonical(model.experiment.model.method))]


def run_search(
    directory: SearchDirectory,
    search: Search,
    model: tuning.ConfiguredHyperModel,
    *,
    told: Told = lambda trial: None,
    announce: Announce = print,
    watchers: Callable[[Trial, Experiment], Sequence[keras.callbacks.Callback]] = lambda trial, experiment: (),
) -> list[Trial]:
    """Carries a search out, or goes on with one.

    Args:
        directory: of the search; `search.yaml` is there.
        search: what it is.
        model: of `hypermodel`.
        told: is told each trial that begins, and each that ends; not those that had ended before.
        announce: is told what a user should know of a training.
        watchers: further callbacks of a trial's training.

    Returns:
        All trials, in their order.

    Raises:
        RunError: a run that cannot be written or read, or that has another configuration; the search can go on.
        ValueError: what every trial would fail for.
    """
    known = directory.recorded()
    oracle = _oracle(search, known)
    with tempfile.TemporaryDirectory() as nowhere:
        tuner = _RunTuner(oracle, model, directory, search, known, told, announce, watchers, nowhere)
        logger = tf.get_logger()
        level = logger.level
        # Each trial's model is traced anew, which TensorFlow would call a mistake.
        logger.setLevel("ERROR")
        try:
            tuner.search(verbose=0)
        except _EndError as error:
            raise error.reason from None
        finally:
            logger.setLevel(level)
    return tuner.trials


def _oracle(search: Search, known: Sequence[Trial]) -> keras_tuner.Oracle:
    """What draws the trials; a trial that is known gets its values again, whatever is drawn."""
    base: Any = _ORACLES[search.tuner]
    values = {trial.number: dict(trial.values) for trial in known}

    class Remembering(base):
        def populate_space(self, trial_id: str) -> dict[str, Any]:
            # Drawn all the same: the generators and brackets must be where they were. A Bayesian search's values come
            # out of an optimisation, whose last digits another machine may find otherwise.
            drawn = super().populate_space(trial_id)
            recorded = values.get(_number(trial_id))
            return drawn if recorded is None else {"status": "RUNNING", "values": dict(recorded)}

    # KerasTuner takes the seed 0 for none; and one failed trial after the other is no reason to lose the good ones.
    arguments: dict[str, Any] = {"seed": search.seed + 1, "max_consecutive_failed_trials": search.max_trials + 1}
    arguments["objective"] = keras_tuner.Objective(search.objective, search.direction)
    if search.tuner == "hyperband":
        # Brackets follow one another until there are enough trials.
        arguments |= {"max_epochs": search.experiment().train.epochs, "hyperband_iterations": None}
    oracle = Remembering(**arguments)
    oracle.max_trials = max(search.max_trials, len(known))
    return oracle


def _number(trial_id: Any) -> int:
    """Of a trial, which KerasTuner counts from 0, and its users do not."""
    return int(trial_id) + 1


class _EndError(keras_tuner.errors.FatalError):
    """Ends a search with an error that KerasTuner would take for a failed trial."""

    def __init__(self, reason: Exception) -> None:
        super().__init__(str(reason))
        self.reason = reason


class _RunTuner(keras_tuner.engine.base_tuner.BaseTuner):
    """Trains a run for each trial that the oracle draws, and gives it the objective's value at the run's end."""

    def __init__(
        self,
        oracle: keras_tuner.Oracle,
        model: tuning.ConfiguredHyperModel,
        directory: SearchDirectory,
        search: Search,
        known: Sequence[Trial],
        told: Told,
        announce: Announce,
        watchers: Callable[[Trial, Experiment], Sequence[keras.callbacks.Callback]],
        nowhere: str,
    ) -> None:
        self.model, self.place, self.what = model, directory, search
        self.trials = list(known)
        self.told, self.announce, self.watchers = told, announce, watchers
        # To know the space, values are drawn; no network is built for it.
        super().__init__(oracle, lambda hp: search_space.drawn(hp, model.space), directory=nowhere)

    def run_trial(self, trial: keras_tuner.engine.trial.Trial, **_: Any) -> dict[str, float]:
        number = _number(trial.trial_id)
        try:
            score = self._score(number, trial.hyperparameters)
        except keras_tuner.errors.FailedTrialError:
            raise
        except Exception as error:
            raise _EndError(error) from error
        return {self.what.objective: score}

    def _score(self, number: int, hp: keras_tuner.HyperParameters) -> float:
        if number > len(self.trials):
            self.trials.append(Trial(number=number, values=dict(hp.values)))
            self.place.record(self.trials)
        trial = self.trials[number - 1]
        if trial.status == "running":
            self.told(trial)
            trial = self.trials[number - 1] = self._ended(trial, hp)
            self.place.record(self.trials)
            self.told(trial)
        if trial.score is None:
            raise keras_tuner.errors.FailedTrialError(trial.message)
        return trial.score

    def _ended(self, trial: Trial, hp: keras_tuner.HyperParameters) -> Trial:
        """The trial with its score, or with why it has none."""
        began = time.monotonic()
        try:
            found: dict[str, Any] = {"status": "completed", "score": self._trained(trial, hp)}
        except keras_tuner.errors.FailedTrialError as error:
            found = {"status": "failed", "message": str(error)}
        return trial.model_copy(update={**found, "seconds": round(time.monotonic() - began, 1)})

    def _trained(self, trial: Trial, hp: keras_tuner.HyperParameters) -> float:
        """The objective's value of a trial whose run has to be trained, or finished."""
        experiment, run = self.model.configured(hp), self.place.run(trial.number)
        if "tuner/epochs" in trial.values:
            experiment = search_space.with_values(experiment, {"train.epochs": trial.values["tuner/epochs"]})
        if run.config.exists():
            run.check_same(experiment)
        else:
            RunDirectory.create(run.path, experiment)
        if "tuner/trial_id" in trial.values:
            take_over(self.place.run(_number(trial.values["tuner/trial_id"])), run, experiment)
        keras.backend.clear_session()
        gc.collect()
        try:
            watchers = self.watchers(trial, experiment)
            train(experiment, run, resume=True, quiet=True, announce=self.announce, watchers=watchers)
        except RunError as error:
            if isinstance(error.__context__, TrainingDivergedError | tf.errors.ResourceExhaustedError):
                raise keras_tuner.errors.FailedTrialError(str(error).removeprefix(f"{run.path}: ")) from None
            raise
        return measured(run, self.what)


def measured(run: RunDirectory, search: Search) -> float:
    """The objective of a finished run, which `zoo evaluate RUN --split validation` gives too.

    Raises:
        keras_tuner.errors.FailedTrialError: it is not finite.
        ValueError: such runs do not have it.
    """
    goal = search.goal
    samples = search.nll_samples if goal.group == "nll" else 0
    found, left_out = evaluate(run.path, "validation", only=(goal.group,), nll_samples=samples)
    if goal.name in found:
        return found[goal.name].value
    if goal.name in left_out:
        raise keras_tuner.errors.FailedTrialError(f"{goal.name} {left_out[goal.name]}")
    reason = left_out.get(goal.group, f"{run.path} has none; it has: {', '.join(found)}")
    raise ValueError(f"objective: {goal.name}: {reason}")


def take_over(earlier: RunDirectory, run: RunDirectory, experiment: Experiment) -> None:
    """Gives a run the epochs of an earlier one of fewer epochs, so that it goes on from there.

    A resumed run ends as one that was never interrupted, so this changes its time, and not its weights. The rate of a
    cosine depends on the number of epochs: there, the epochs are done again.

    Args:
        earlier: the other run, of the same configuration but for `train.epochs`.
        run: where it has got as far already, nothing is done.
        experiment: the run's.

    Raises:
        OSError: it cannot be written.
    """
    found = checkpoints(earlier.checkpoints)
    has = checkpoints(run.checkpoints)
    as_far = not found or (has and epoch_of(has[-1]) >= epoch_of(found[-1]))
    if experiment.train.schedule.name == "cosine" or as_far:
        return
    # The latest checkpoint last: until it is there, all of this is done again. An older one may be the best so far.
    for source, target in (
        (earlier.metrics, run.metrics),
        (earlier.seconds, run.seconds),
        *((path, run.checkpoints / path.name) for path in found),
    ):
        with replacing(target, synced=True) as sibling:
            (shutil.copytree if source.is_dir() else shutil.copy2)(source, sibling)
