"""Trains a configuration into a run directory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import keras
import tensorflow as tf

from zoo import data, replicas
from zoo.data import pipeline
from zoo.experiments import hparams
from zoo.experiments.building import build_model, feature_domain, load_split, plateau, split_warnings
from zoo.experiments.continuing import adopt, is_whole
from zoo.experiments.finished import save_model
from zoo.experiments.initialising import initialise
from zoo.experiments.run_directory import RunDirectory, RunError
from zoo.experiments.same_configuration import check_unchanged, values
from zoo.experiments.same_data import check_data, identities
from zoo.experiments.schema import Experiment
from zoo.models.vae import VAE
from zoo.training import callbacks, metrics_file
from zoo.training.callbacks.alarm import CURES
from zoo.training.callbacks.checkpoint import restore
from zoo.training.callbacks.nan import TrainingDivergedError
from zoo.training.checkpoints import CheckpointError, checkpoints, prune, recorded

Announce = Callable[[str], None]


def train(
    experiment: Experiment,
    run: RunDirectory,
    *,
    resume: bool = False,
    strategy: tf.distribute.Strategy | None = None,
    quiet: bool = False,
    announce: Announce = print,
    stage: Announce = lambda what: None,
    cures: Sequence[str] = CURES,
    watchers: Sequence[keras.callbacks.Callback] = (),
) -> VAE:
    """Trains a configuration into a run directory, or finishes a run that was interrupted.

    A resumed run ends with the weights, and the metrics file, of a run that was never interrupted. One that has ended
    keeps its model's file as it is, unless that is missing or damaged; where the configuration has more epochs than the
    run had, it goes on.

    Args:
        experiment: the configuration.
        run: where to; a new one is created only when data and model have proven good.
        resume: go on from the last good checkpoint.
        strategy: of `zoo.replicas.strategy`; one device by default.
        quiet: no progress bar.
        announce: is told what a user should know.
        stage: is told what is being done now, where no bar shows it; nothing while one does.
        cures: what the alarm names against a collapse of this run, the likeliest first.
        watchers: further callbacks, which see an epoch's logs last.

    Raises:
        ValueError: data that do not fit the model.
        RunError: the directory exists (without `resume`), another process trains into it, or the run cannot go on; the
            last good checkpoint stays.
    """
    if not resume:
        run.check_new()
    experiment = experiment.resolved()
    recipe = experiment.train
    stage("loading data")
    examples, held_out = load_split(experiment, "train"), load_split(experiment, "validation")
    shape = examples.images.shape[1:]
    steps = pipeline.steps_per_epoch(len(examples.images), recipe.batch_size)
    scope = (strategy or tf.distribute.get_strategy()).scope
    stage("building the model")
    with scope():
        domain = feature_domain(experiment, examples)
        model = build_model(experiment, shape, steps, len(examples.images), domain)
    _check(model, experiment, {"train": examples, "validation": held_out}, announce)
    splits = {"train": examples, "validation": held_out}
    if resume:
        check_data(run, experiment, splits)
    else:
        RunDirectory.create(run.path, experiment, identities(experiment, splits))
    with run.locked():
        run.diverged.unlink(missing_ok=True)
        with scope():
            done, rows = _begin(experiment, run, model, resume, announce)
        watching = [*_callbacks(experiment, run, held_out, rows, quiet, announce, cures), *watchers]
        binarize = "dynamic" if experiment.data.binarize == "dynamic" else None
        arguments: dict[str, Any] = {"batch_size": recipe.batch_size, "seed": recipe.seed, "epochs": recipe.epochs}
        arguments |= {"binarize": binarize, "index": model.takes_index}
        stage("")
        unfinished = done < recipe.epochs and not recipe.selection().reason(rows)
        try:
            if unfinished:
                model.fit(
                    pipeline.training_pipeline(examples, start_epoch=done, **arguments),
                    epochs=recipe.epochs,
                    initial_epoch=done,
                    steps_per_epoch=steps,
                    validation_data=pipeline.evaluation_pipeline(held_out, batch_size=recipe.batch_size),
                    callbacks=watching,
                    shuffle=False,
                    verbose=0,
                )
            elif not is_whole(run.model):
                # A kill may have come when the last epoch was done.
                _finish(model, watching)
            if unfinished or not is_whole(run.model):
                stage("writing the model")
                save_model(model, run.model)
        except (TrainingDivergedError, CheckpointError) as error:
            raise RunError(_ended(run, error)) from None
        except OSError as error:
            raise RunError(f"{run.path}: cannot be written: {error.strerror or error}") from None
        except tf.errors.OpError as error:
            raise RunError(f"{run.path}: {error.message.splitlines()[0]}") from None
        finally:
            for watcher in watching:
                if isinstance(watcher, callbacks.Progress):
                    watcher.stop()
    return model


def _check(model: VAE, experiment: Experiment, splits: dict[str, data.Examples], announce: Announce) -> None:
    """Refuses examples that the model does not take; warns of those that two splits share."""
    for name, part in splits.items():
        model.check(part.images, f"data.{name}")
    model.check_batch(experiment.train.batch_size)
    if warning := replicas.slow_precision(experiment.train.precision):
        announce(f"warning: {warning}")
    for shared in split_warnings(experiment, splits):
        announce(f"warning: {shared}")


def _ended(run: RunDirectory, error: Exception) -> str:
    """What ended a training before its time, and what is left; the doctor is told of a loss that is no number."""
    if isinstance(error, TrainingDivergedError):
        # Where the disk is full, what went wrong matters more than the note on it.
        with suppress(OSError):
            run.diverged.write_text(f"{error}\n", encoding="utf-8")
    left = checkpoints(run.checkpoints)
    kept = f"the last good checkpoint is {left[-1]}" if left else "there was no checkpoint yet"
    return f"{run.path}: {error}; {kept}"


def _begin(
    experiment: Experiment, run: RunDirectory, model: VAE, resume: bool, announce: Announce
) -> tuple[int, list[dict[str, float]]]:
    """How many epochs lie behind, and their rows; the first begins with another model's weights, if one is named."""
    done, rows = _go_back(experiment, run, model, announce) if resume else (0, [])
    if experiment.train.init_from is not None and not done:
        for line in initialise(model, experiment.train.init_from):
            announce(line)
    return done, rows


def _go_back(
    experiment: Experiment, run: RunDirectory, model: VAE, announce: Announce
) -> tuple[int, list[dict[str, float]]]:
    """Brings model and metrics to the last good checkpoint: the epochs that lie behind, and what was recorded."""
    epochs = before = experiment.train.epochs

    def check(state: Mapping[str, Any]) -> None:
        nonlocal before
        # A checkpoint of an earlier version of the zoo does not say.
        trained = state.get("configuration", {})
        of = f"the checkpoint of epoch {state['epoch']} was trained with"
        check_unchanged(run.config, experiment, trained, of, announce)
        before = trained.get("train", {}).get("epochs", before)

    try:
        done = restore(run.checkpoints, model, announce, check)
    except CheckpointError as error:
        raise RunError(str(error)) from None
    rows = recorded(run.checkpoints, done)
    if rows is None:
        rows = metrics_file.rows(run.metrics, done)
        if [row["epoch"] for row in rows] != list(range(1, done + 1)):
            needs = f"the checkpoint of epoch {done} is of an earlier version of the zoo and needs its {done} lines"
            raise RunError(f"{run.metrics}: is damaged, and {needs}; put them back, or train into another --run-dir")
        announce(f"the checkpoint of epoch {done} is of an earlier version of the zoo; {run.metrics} is taken as it is")
    run.clear()
    prune(run.checkpoints, done, also=experiment.train.selection().chosen(rows) if rows else None)
    if not metrics_file.rewrite(run.metrics, rows):
        announce(f"{run.metrics} does not fit the checkpoint of epoch {done}; it is written anew from the checkpoint")
    adopt(run, experiment, done, before)
    if done and epochs != before and experiment.train.schedule.name == "cosine":
        announce(
            f"warning: train.schedule: the cosine was that of {before} epochs, and is that of {epochs} from here on; "
            f"this is not the run that {epochs} epochs from the start would be"
        )
    change = f" (so far it was a run of {before})" if before != epochs else ""
    announce(f"resuming after epoch {done} of {epochs}{change}" if done else "from the start: no checkpoint yet")
    return done, rows


def _finish(model: VAE, watchers: list[keras.callbacks.Callback]) -> None:
    """Writes what is written at the end of a training, where that end was missed."""
    for watcher in watchers:
        if isinstance(watcher, callbacks.ChosenWeights | callbacks.Projector):
            watcher.set_model(model)
            watcher.on_train_end()


def _callbacks(
    experiment: Experiment,
    run: RunDirectory,
    held_out: data.Examples,
    rows: list[dict[str, float]],
    quiet: bool,
    announce: Announce,
    cures: Sequence[str],
) -> list[keras.callbacks.Callback]:
    """In the order in which they must see an epoch's logs; `rows` are the epochs that lie behind."""
    recipe, watch = experiment.train, experiment.watch
    watched = held_out.take(slice(watch.images))
    information = callbacks.Information(watched.images, every=watch.every)
    alarm = callbacks.CollapseAlarm(**watch.alarm.model_dump(), announce=announce, cures=cures)
    with_memory: list[keras.callbacks.Callback] = [alarm]
    with_memory += plateau(recipe)
    first_rate = None if recipe.schedule.name == "cosine" else recipe.optimizer.learning_rate
    monitor = callbacks.TensorBoardMonitor(
        run.tensorboard,
        information,
        hparams.values(experiment),
        watch.pictures,
        hparams.columns(experiment),
        hparams.terms(),
    )
    selection, recorder = recipe.selection(), callbacks.Record(run.metrics, rows)
    projector = callbacks.Projector(run.tensorboard, lambda: load_split(experiment, "test"), watch.images, announce)
    return [
        callbacks.StopOnNaN(),
        # What looks at the model when the training ends is to see the chosen epoch's.
        callbacks.ChosenWeights(selection, recorder, run.checkpoints, announce),
        information,
        callbacks.Probe(information, watched.labels),
        # The projector writes at the end, while the bars still stand.
        projector,
        *([] if quiet else [callbacks.Progress(recipe.epochs, recipe.batch_size)]),
        *with_memory,
        callbacks.Replay(rows, with_memory, first_rate),
        monitor,
        recorder,
        callbacks.EndEarly(selection, rows, announce),
        callbacks.Clock(run.seconds),
        callbacks.Checkpoint(run.checkpoints, record=recorder, configuration=values(experiment), selection=selection),
    ]
