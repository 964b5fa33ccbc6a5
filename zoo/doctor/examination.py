"""The figures of a run or of a model: looked up where `zoo evaluate` has left them, measured where it has not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.doctor.diagnosis import FIGURES, VECTORS, Diagnosis, diagnose
from zoo.experiments.run_directory import RunDirectory, RunError

if TYPE_CHECKING:
    from zoo.experiments.evaluation import Measured
    from zoo.experiments.schema import Experiment

# What `FIGURES` needs of `zoo evaluate --metrics`.
GROUPS = ("terms", "information")
SPLIT = "test"


def require_history(run: RunDirectory) -> None:
    """Raises RunError where no epoch is finished, or the training has not ended; without importing Keras."""
    written = run.metrics.read_text(encoding="utf-8") if run.metrics.is_file() else ""
    if "\n" not in written:
        again = f"zoo train --resume {run.path}"
        raise RunError(f"{run.path}: has no finished epoch yet, so there is nothing to judge; go on with it: {again}")
    run.require_model()


def history(run: RunDirectory) -> list[dict[str, float]]:
    """The epochs behind a run, as `metrics.jsonl` has them. Raises RunError where that was damaged."""
    from zoo.experiments.continuing import recorded_epochs

    return recorded_epochs(run)


def examine_run(path: Path) -> dict[str, Measured]:
    """The figures of a finished run on its test split, by name: `zoo.experiments.evaluation.Measured` each.

    They are those of the run's `evaluation.json`; what is missing there is measured, and written there too.

    Raises:
        RunError: no run, one that has not ended, or one whose images or codes give no such figures (all alike, NaN).
        ValueError: no test split.
    """
    from zoo.experiments.evaluation import Measured, evaluate

    run = RunDirectory.open(path)
    known = run.figures(SPLIT)
    if not _complete(known):
        evaluate(path, SPLIT, only=GROUPS)
        known = run.figures(SPLIT)
    if missing := [name for name in FIGURES if name not in known]:
        raise RunError(f"{path}: cannot be judged: its {SPLIT} images give no {' and no '.join(missing)}")
    # Without what a newer zoo may have added.
    return {name: Measured(*map(known[name].get, Measured._fields)) for name in FIGURES}


def recorded(run: RunDirectory) -> Diagnosis | None:
    """The diagnosis of a finished run by what its evaluation holds already; None where that lacks a figure.

    Raises:
        RunError: a damaged evaluation, or a history that does not fit its checkpoint.
    """
    from zoo.experiments.measures import Measured

    known = run.figures(SPLIT)
    if not _complete(known):
        return None
    return diagnose({name: Measured(*map(known[name].get, Measured._fields)) for name in FIGURES}, history(run))


def _complete(known: dict[str, Any]) -> bool:
    """Whether figures suffice; those that an older zoo wrote lack some, or the values of each unit."""
    return all(name in known and (name not in VECTORS or known[name].get("values")) for name in FIGURES)


def examine_model(path: Path, experiment: Experiment) -> dict[str, Measured]:
    """The figures of a saved model on the test split of a configuration's data, by name.

    Raises:
        RunError: a damaged file.
        ValueError: no model of the zoo, images that it does not take, or figures that they do not give.
    """
    from zoo.experiments.building import load_split
    from zoo.experiments.evaluation import evaluate_model
    from zoo.experiments.finished import read_model
    from zoo.models.vae import VAE

    model = read_model(path)
    if not isinstance(model, VAE):
        raise ValueError(f"{path}: is a {type(model).__name__}, and no model of the zoo")
    held_out = load_split(experiment, SPLIT)
    model.check(held_out.images, f"data.{SPLIT}")
    # A copy, as these images are not the model's training images, whose numbers some methods know.
    found, _ = evaluate_model(model, held_out.take(slice(None)), held_out, only=GROUPS)
    if missing := [name for name in FIGURES if name not in found]:
        raise ValueError(f"{path}: cannot be judged: these {SPLIT} images give no {' and no '.join(missing)}")
    return {name: found[name] for name in FIGURES}
