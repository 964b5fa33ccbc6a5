"""Whether a run has ended, and how one that has goes on for longer."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

from zoo.experiments.configurations import dump
from zoo.experiments.run_directory import RunDirectory, RunError
from zoo.experiments.same_configuration import check_unchanged
from zoo.experiments.schema import Experiment
from zoo.files import replacing
from zoo.training.checkpoints import DAMAGED, STATE, checkpoints, epoch_of, read
from zoo.training.metrics_file import rows, text

# Of a `.keras` file; beside them, Keras knows a folder of assets.
PARTS = {"config.json", "metadata.json", "model.weights.h5"}


def is_whole(path: Path) -> bool:
    """Whether there is a `.keras` file with its three parts, each with the right checksum."""
    try:
        with zipfile.ZipFile(path) as file:
            if file.testzip() is not None or not {*file.namelist()} >= PARTS:
                return False
            return "class_name" in json.loads(file.read("config.json"))
    except PermissionError:
        raise
    except Exception:  # zipfile has an error of its own for each kind of damage.
        return False


def has_ended(run: RunDirectory) -> bool:
    """Whether nothing is left to be done: its last epoch, a whole model, and its export; without TensorFlow."""
    if not (run.export / "saved_model.pb").is_file() or not is_whole(run.model):
        return False
    recipe = run.experiment().train
    try:
        state, _ = read(checkpoints(run.checkpoints)[-1])
        if state["epoch"] < recipe.epochs and not recipe.selection().reason(state["rows"]):
            return False
        check_unchanged(run.config, run.experiment(), state["configuration"])
        return run.metrics.read_text(encoding="utf-8") == text(state["rows"])
    except DAMAGED:
        return False


def recorded_epochs(run: RunDirectory) -> list[dict[str, float]]:
    """The epochs behind a run, as `metrics.jsonl` has them, held against the last checkpoint; without TensorFlow.

    Raises:
        RunError: the file does not fit the checkpoint: it was damaged.
    """
    found = rows(run.metrics)
    for path in reversed(checkpoints(run.checkpoints)):
        try:
            kept = json.loads((path / STATE).read_text(encoding="utf-8"))["rows"]
        except DAMAGED:
            continue
        # A training that runs has a line more until its checkpoint is written.
        if found[: len(kept)] != kept:
            anew = f"it is written anew from there by: zoo train --resume {run.path}"
            raise RunError(f"{run.metrics}: is damaged: it does not fit the checkpoint {path.name}; {anew}")
        break
    return found


def with_epochs(experiment: Experiment, epochs: int | None) -> Experiment:
    """The same configuration with another number of epochs; None leaves it."""
    if epochs is None:
        return experiment
    return experiment.model_copy(update={"train": experiment.train.model_copy(update={"epochs": epochs})})


def check_epochs(run: RunDirectory, epochs: int, done: int | None = None) -> None:
    """Refuses fewer epochs than a run has behind it.

    Args:
        run: the run.
        epochs: how many it is to have.
        done: how many it has behind it; by its checkpoints, if not given.

    Raises:
        RunError: they are fewer.
    """
    if done is None:
        done = max(map(epoch_of, checkpoints(run.checkpoints)), default=0)
    if done > epochs:
        raise RunError(f"{run.path}: has {done} epochs behind it already; --epochs goes on, so it needs {done} or more")


def adopt(run: RunDirectory, experiment: Experiment, done: int, before: int) -> None:
    """Makes a run one of as many epochs as the configuration says; only while `locked`.

    What belongs to the model of the epochs so far goes first, so that nothing is left beside a configuration which it
    does not have.

    Args:
        run: the run.
        experiment: its configuration, but for the epochs.
        done: how many epochs it has behind it.
        before: how many it was to have when its last checkpoint was written.

    Raises:
        RunError: it has more of them behind it already.
    """
    epochs = experiment.train.epochs
    check_epochs(run, epochs, done)
    # `config.yaml` may have been changed by hand.
    if epochs == before == run.experiment().train.epochs:
        return
    for file in (run.evaluation, run.pictures, run.model):
        file.unlink(missing_ok=True)
    for folder in (run.export, *run.converted):
        shutil.rmtree(folder, ignore_errors=True)
    with replacing(run.config, synced=True) as sibling:
        sibling.write_text(dump(experiment), encoding="utf-8")
