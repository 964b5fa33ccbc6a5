"""KerasTuner hypermodels out of configurations."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import keras_tuner

from zoo import data
from zoo.data.pipeline import evaluation_pipeline, steps_per_epoch, training_pipeline
from zoo.experiments import configurations
from zoo.experiments.building import build_model, feature_domain, load_split, plateau
from zoo.experiments.schema import Experiment, validate
from zoo.models.vae import VAE
from zoo.parameters import nearest
from zoo.training import callbacks
from zoo.training.callbacks.nan import TrainingDivergedError

OBJECTIVE = keras_tuner.Objective("val_mutual_information", "max")

# Registers a hyperparameter and returns its value; the last argument is the default.
_Draw = Callable[[keras_tuner.HyperParameters, str, Any], Any]


def hypermodel(config: str | Path | Experiment, space: Mapping[str, Any]) -> ConfiguredHyperModel:
    """A KerasTuner hypermodel that varies keys of a configuration.

    It brings its own data, so that `search` takes none; each epoch's logs have `val_mutual_information` (nats),
    `val_marginal_kl` and `val_active_units`, besides the terms of the loss. The objective must not depend on what is
    searched over: the loss does, as soon as a weight such as `model.gamma` is varied; `OBJECTIVE`, the mutual
    information between held-out images and their codes, does not.

    Example:
        >>> space = {"model.gamma": (0.0, 1.0), "train.optimizer.learning_rate": (1e-4, 1e-2, "log")}
        >>> tuner = keras_tuner.RandomSearch(zoo.tuning.hypermodel("digits/contrastive", space), zoo.tuning.OBJECTIVE)
        >>> tuner.search(epochs=3)

    Args:
        config: name or path of a configuration, or an experiment.
        space: for each dotted key below `model` or `train`: a range (low, high), (low, high, step) or (low, high,
            "log"), both ends included, of whole numbers where the ends and the key are; or a list of choices.

    Raises:
        ConfigurationError: no such configuration, or a value of the space that the key does not take.
        ValueError: an unknown key, an empty range, or something that is neither a range nor a list.
    """
    experiment = config if isinstance(config, Experiment) else configurations.load(config)
    if not space:
        raise ValueError("space: empty; give ranges for keys such as 'model.beta' or 'train.optimizer.learning_rate'")
    present = {key: value for key, value in experiment.flat().items() if key.startswith(("model.", "train."))}
    draws: dict[str, _Draw] = {}
    for key, given in space.items():
        if key not in present:
            raise ValueError(f"space: no key {key!r}; {nearest(key, present)}")
        candidates, draws[key] = _range(key, given, present[key])
        for value in candidates:
            _with(experiment, {key: value})
    return ConfiguredHyperModel(experiment, draws)


class ConfiguredHyperModel(keras_tuner.HyperModel):
    """What `hypermodel` returns.

    Args:
        experiment: the configuration.
        draws: by key of the configuration, what draws its value.
    """

    def __init__(self, experiment: Experiment, draws: Mapping[str, _Draw]) -> None:
        super().__init__()
        self.experiment = experiment
        self.draws = dict(draws)

    @functools.cached_property
    def examples(self) -> tuple[data.Examples, data.Examples]:
        """Training and validation data, read when first needed."""
        return load_split(self.experiment, "train"), load_split(self.experiment, "validation")

    def configured(self, hp: keras_tuner.HyperParameters) -> Experiment:
        """The experiment of a trial."""
        present = self.experiment.flat()
        return _with(self.experiment, {key: draw(hp, key, present[key]) for key, draw in self.draws.items()})

    def build(self, hp: keras_tuner.HyperParameters) -> VAE:
        """The compiled model of a trial."""
        experiment = self.configured(hp)
        images = self.examples[0].images
        steps = steps_per_epoch(len(images), experiment.train.batch_size)
        model = build_model(
            experiment, images.shape[1:], steps, len(images), feature_domain(experiment, self.examples[0])
        )
        # Searches that go on with an earlier trial load its optimiser's state too.
        model.optimizer.build(model.trainable_variables)
        return model

    def fit(
        self,
        hp: keras_tuner.HyperParameters,
        model: VAE,
        *args: Any,
        epochs: int | None = None,
        initial_epoch: int = 0,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        verbose: Any = "auto",
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Trains on the configuration's data.

        Args:
            hp: of the trial.
            model: as `build` made it.
            *args: none; the data are the configuration's.
            epochs: the configuration's where it is not given.
            initial_epoch: which one is first.
            callbacks: the tuner's and yours.
            verbose: as Keras's.
            **kwargs: none.

        Raises:
            ValueError: further arguments, or data that do not fit the model.
            keras_tuner.errors.FailedTrialError: the loss became NaN; the search goes on with the next trial.
        """
        if args or kwargs:
            given = ", ".join(["data"] * bool(args) + sorted(kwargs))
            raise ValueError(f"search: takes epochs, callbacks and verbose, not {given}; data are the configuration's")
        experiment = self.configured(hp)
        recipe = experiment.train
        examples, held_out = self.examples
        for name, part in (("train", examples), ("validation", held_out)):
            model.check(part.images, f"data.{name}")
        epochs = recipe.epochs if epochs is None else epochs
        batches = training_pipeline(
            examples,
            batch_size=recipe.batch_size,
            seed=recipe.seed,
            epochs=epochs,
            start_epoch=initial_epoch,
            binarize="dynamic" if experiment.data.binarize == "dynamic" else None,
            index=model.takes_index,
        )
        try:
            return model.fit(
                batches,
                epochs=epochs,
                initial_epoch=initial_epoch,
                steps_per_epoch=steps_per_epoch(len(examples.images), recipe.batch_size),
                validation_data=evaluation_pipeline(held_out, batch_size=recipe.batch_size),
                callbacks=[*self._callbacks(experiment), *callbacks],
                shuffle=False,  # the pipeline does
                verbose=verbose,
            )
        except TrainingDivergedError as error:
            raise keras_tuner.errors.FailedTrialError(str(error)) from None

    def _callbacks(self, experiment: Experiment) -> list[keras.callbacks.Callback]:
        images = self.examples[1].images[: experiment.watch.images]
        found: list[keras.callbacks.Callback] = [callbacks.StopOnNaN(), callbacks.Information(images, every=1)]
        return [*found, *plateau(experiment.train)]


def _with(experiment: Experiment, values: Mapping[str, Any]) -> Experiment:
    """The experiment with other values for some dotted keys, checked."""
    tree = experiment.model_dump()
    for key, value in values.items():
        node: Any = value
        for part in reversed(key.split(".")):
            node = {part: node}
        tree = configurations.merge(tree, node)
    return validate(tree, "space")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _range(key: str, given: Any, present: Any) -> tuple[list[Any], _Draw]:
    """The values of an entry of the space to check, and what draws one."""
    if isinstance(given, list):
        return _choices(key, given)
    shape = "a range (low, high), (low, high, step) or (low, high, 'log'), or a list of choices"
    if not isinstance(given, tuple) or len(given) not in {2, 3} or not all(map(_is_number, given[:2])):
        raise ValueError(f"space: {key}: must be {shape}, got {given!r}")
    low, high, *rest = given
    if not low < high:
        raise ValueError(f"space: {key}: the range {given!r} is empty; low must be below high")
    whole = isinstance(low, int) and isinstance(high, int) and not isinstance(present, float)
    arguments: dict[str, Any] = {}
    if rest == ["log"]:
        if low <= 0:
            raise ValueError(f"space: {key}: a 'log' range must begin above 0, got {given!r}")
        arguments["sampling"] = "log"
    elif rest:
        if not _is_number(rest[0]) or not 0 < rest[0] <= high - low or (whole and not isinstance(rest[0], int)):
            raise ValueError(f"space: {key}: must be {shape}, got {given!r}")
        arguments["step"] = rest[0]
    if not whole:
        low, high = float(low), float(high)

    def draw(hp: keras_tuner.HyperParameters, name: str, default: Any) -> Any:
        register = hp.Int if whole else hp.Float
        start = default if default is not None and low <= default <= high and "step" not in arguments else None
        return register(name, low, high, default=start, **arguments)

    return [low, high], draw


def _choices(key: str, given: list[Any]) -> tuple[list[Any], _Draw]:
    if not given:
        raise ValueError(f"space: {key}: the list of choices is empty")
    values = [float(v) for v in given] if all(map(_is_number, given)) and float in map(type, given) else given
    if len(set(map(type, values))) > 1 or not isinstance(values[0], bool | int | float | str):
        raise ValueError(f"space: {key}: choices must be all numbers, all words or all true or false, got {given!r}")

    def draw(hp: keras_tuner.HyperParameters, name: str, default: Any) -> Any:
        return hp.Choice(name, values, default=default if default in values else None)

    return values, draw
