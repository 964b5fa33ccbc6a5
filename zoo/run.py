"""What the commands do, as functions: build, train, resume, evaluate."""

from __future__ import annotations

import json
import logging
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from zoo import callbacks, data, likelihoods, models, networks
from zoo.callbacks import record
from zoo.callbacks.checkpoint import CheckpointError, checkpoints, require_space, restore
from zoo.callbacks.nan import TrainingDivergedError
from zoo.card import Card
from zoo.config import Experiment, Schedule, Train
from zoo.data import pipeline
from zoo.export import export_model
from zoo.models.combination import combine
from zoo.models.vae import VAE
from zoo.run_directory import RunDirectory, RunError

Announce = Callable[[str], None]


def build_optimizer(train: Train, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    """The optimiser of a recipe, with its schedule and clipping."""
    section = train.optimizer
    rate: Any = section.learning_rate
    if train.schedule.name == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, train.epochs * steps_per_epoch)
    arguments: dict[str, Any] = {"learning_rate": rate, "global_clipnorm": train.clip_norm}
    if section.name in {"sgd", "rmsprop"}:
        arguments["momentum"] = section.momentum
    if section.weight_decay is not None:
        arguments["weight_decay"] = section.weight_decay
    return keras.optimizers.get({"class_name": section.name, "config": arguments})


def plateau(schedule: Schedule) -> list[keras.callbacks.Callback]:
    """The callback that lowers the rate when the training loss stops falling, where the schedule is that one."""
    if schedule.name != "plateau":
        return []
    arguments = {"factor": schedule.factor, "patience": schedule.patience, "min_lr": schedule.minimum}
    return [keras.callbacks.ReduceLROnPlateau(monitor="loss", **arguments)]


def build_model(experiment: Experiment, image_shape: tuple, steps_per_epoch: int, examples: int | None = None) -> VAE:
    """A compiled model, initialised from the experiment's seed.

    Args:
        experiment: the configuration.
        image_shape: (h, w, c).
        steps_per_epoch: for warm-up and schedule, which the configuration counts in epochs.
        examples: size of the training split; only methods that tell its examples apart need it.

    Raises:
        ValueError: images that the network does not take.
    """
    model, train = experiment.model, experiment.train
    keras.utils.set_random_seed(train.seed)
    likelihood = likelihoods.get(model.likelihood)
    network = dict(model.network)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(train.precision)
    try:
        pair = networks.build(
            network.pop("name"), image_shape, model.latent_dim, likelihood.output_activation, **network
        )
        method = combine(*models.canonical(model.method))
        hyperparameters = experiment.hyperparameters()
        if method.needs_index:
            hyperparameters["examples"] = examples
        vae = method(
            *pair,
            likelihood=likelihood,
            warmup_steps=round(train.kl_warmup * steps_per_epoch),
            seed=train.seed,
            **hyperparameters,
        )
        vae.compile(build_optimizer(train, steps_per_epoch), jit_compile=train.jit_compile)
    finally:
        keras.config.set_dtype_policy(policy)
    return vae


def load_split(experiment: Experiment, split: str) -> data.Examples:
    """The images of `train`, `validation` or `test`; dynamic binarisation is fixed for the held-out ones.

    Raises:
        ValueError: no such split, or no such data.
    """
    section = experiment.data
    binarize = section.binarize
    if binarize == "dynamic" and split != "train":
        binarize = "fixed"
    try:
        return data.load(
            section.name,
            getattr(section, split),
            path=section.path,
            size=section.size,
            channels=section.channels,
            labels=section.labels,
            binarize=binarize,
        )
    except ValueError as error:
        raise ValueError(f"data.{split}: {error}") from None


def train(
    experiment: Experiment,
    run: RunDirectory,
    *,
    resume: bool = False,
    strategy: tf.distribute.Strategy | None = None,
    quiet: bool = False,
    announce: Announce = print,
) -> VAE:
    """Trains a configuration into a run directory, or finishes a run that was interrupted.

    A resumed run ends with the weights, and the metrics file, of a run that was never interrupted.

    Args:
        experiment: the configuration.
        run: where to; a new one is created only when data and model have proven good.
        resume: go on from the last good checkpoint.
        strategy: of `zoo.distribution.strategy`; one device by default.
        quiet: no progress bar.
        announce: is told what a user should know.

    Raises:
        ValueError: data that do not fit the model.
        RunError: the directory exists (without `resume`), another process trains into it, or the run cannot go on; the
            last good checkpoint stays.
    """
    if not resume:
        run.check_new()
    recipe = experiment.train
    examples, held_out = load_split(experiment, "train"), load_split(experiment, "validation")
    shape = examples.images.shape[1:]
    steps = pipeline.steps_per_epoch(len(examples.images), recipe.batch_size)
    scope = (strategy or tf.distribute.get_strategy()).scope
    with scope():
        model = build_model(experiment, shape, steps, len(examples.images))
    for name, part in (("train", examples), ("validation", held_out)):
        model.check_images(part.images, f"data.{name}")
    model.check_batch(recipe.batch_size)
    if not resume:
        RunDirectory.create(run.path, experiment)
    with run.locked():
        done, rows = 0, []
        if resume:
            try:
                with scope():
                    done = restore(run.checkpoints, model, announce)
            except CheckpointError as error:
                raise RunError(str(error)) from None
            rows = record.truncate(run.metrics, done)
        watchers = _callbacks(experiment, run, held_out, rows, quiet, announce)
        binarize = "dynamic" if experiment.data.binarize == "dynamic" else None
        arguments: dict[str, Any] = {"batch_size": recipe.batch_size, "seed": recipe.seed, "epochs": recipe.epochs}
        arguments |= {"binarize": binarize, "index": model.needs_index}
        try:
            if done < recipe.epochs:
                model.fit(
                    pipeline.training_pipeline(examples, start_epoch=done, **arguments),
                    epochs=recipe.epochs,
                    initial_epoch=done,
                    steps_per_epoch=steps,
                    validation_data=pipeline.evaluation_pipeline(held_out, batch_size=recipe.batch_size),
                    callbacks=watchers,
                    shuffle=False,
                    verbose=0,
                )
            _save(model, run.model)
        except (TrainingDivergedError, CheckpointError) as error:
            left = checkpoints(run.checkpoints)
            kept = f"the last good checkpoint is {left[-1]}" if left else "there was no checkpoint yet"
            raise RunError(f"{run.path}: {error}; {kept}") from None
        except OSError as error:
            raise RunError(f"{run.path}: cannot be written: {error.strerror or error}") from None
        except tf.errors.OpError as error:
            raise RunError(f"{run.path}: {error.message.splitlines()[0]}") from None
        finally:
            for watcher in watchers:
                if isinstance(watcher, callbacks.Progress):
                    watcher.stop()
    return model


def _callbacks(
    experiment: Experiment,
    run: RunDirectory,
    held_out: data.Examples,
    rows: list[dict[str, float]],
    quiet: bool,
    announce: Announce,
) -> list[keras.callbacks.Callback]:
    """In the order in which they must see an epoch's logs; `rows` are the epochs that lie behind."""
    recipe, watch = experiment.train, experiment.watch
    watched = held_out.take(slice(watch.images))
    information = callbacks.Information(watched.images, every=watch.every)
    alarm = callbacks.CollapseAlarm(**watch.alarm.model_dump(), announce=announce)
    with_memory: list[keras.callbacks.Callback] = [alarm]
    with_memory += plateau(recipe.schedule)
    first_rate = None if recipe.schedule.name == "cosine" else recipe.optimizer.learning_rate
    monitor = callbacks.TensorBoardMonitor(run.tensorboard, information, experiment.flat(), watch.pictures)
    projector = callbacks.Projector(
        run.tensorboard / "validation", lambda: load_split(experiment, "test"), watch.images, announce
    )
    return [
        callbacks.StopOnNaN(),
        information,
        callbacks.Probe(information, watched.labels),
        *([] if quiet else [callbacks.Progress(recipe.epochs)]),
        *with_memory,
        callbacks.Replay(rows, with_memory, first_rate),
        monitor,
        projector,
        callbacks.Record(run.metrics),
        callbacks.Clock(run.seconds),
        callbacks.Checkpoint(run.checkpoints),
    ]


def _save(model: VAE, path: Path) -> None:
    """Writes a `.keras` file, whole or not at all."""
    require_space(path.parent, model)
    sibling = path.with_name(f".{path.name}.tmp.keras")
    model.save(sibling)
    sibling.replace(path)


def load_model(run: RunDirectory) -> VAE:
    """The trained model of a run.

    Raises:
        RunError: there is none yet, its file is damaged, or it is of another version of the zoo (which is named).
    """
    path = run.require_model()
    try:
        with run.loading():
            anew = f"write it anew from the last checkpoint with: rm {path}; zoo train --resume {run.path}"
            return read_model(path, anew)
    except ValueError as error:
        raise RunError(str(error)) from None


def read_model(path: Path, remedy: str = "no whole .keras file") -> keras.Model:
    """The model of a `.keras` file.

    Args:
        path: of the file.
        remedy: what the error says of a damaged file.

    Raises:
        RunError: the file is damaged, or no `.keras` file.
        ValueError: it is whole, and cannot be loaded.
    """
    logging.getLogger("absl").setLevel(logging.ERROR)
    try:
        return keras.saving.load_model(path)
    except Exception as error:  # Keras lets through whatever zip, JSON, HDF5 and layers raise.
        if not _is_whole(path):
            raise RunError(f"{path}: is damaged; {remedy}") from None
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"{path}: cannot be loaded: {reason}") from None


def _is_whole(path: Path) -> bool:
    """Whether a `.keras` file has its three parts, each with the right checksum."""
    try:
        with zipfile.ZipFile(path) as file:
            if file.testzip() is not None or not {"metadata.json", "model.weights.h5"} <= {*file.namelist()}:
                return False
            return "class_name" in json.loads(file.read("config.json"))
    except PermissionError:
        raise
    except Exception:  # zipfile has an error of its own for each kind of damage.
        return False


def export_run(path: Path, to: Path | None = None) -> Path:
    """Exports a trained run as a SavedModel whose card holds what has been evaluated so far.

    Args:
        path: the run's directory.
        to: the export's directory; the run's own `export` by default.

    Returns:
        The export's directory.

    Raises:
        RunError: no run, one that has not ended, or a place that cannot be written.
        ValueError: `to` is something else than an export.
    """
    run = RunDirectory.open(path)
    model = load_model(run)
    evaluation, environment = run.evaluated(), run.read(run.environment)
    target = to or run.export
    try:
        return export_model(model, target, Card.of(run.experiment(), model, evaluation, environment))
    except OSError as error:
        raise RunError(f"{target}: cannot be written: {error.strerror or error}") from None
