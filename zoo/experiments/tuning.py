"""KerasTuner hypermodels: out of configurations, or out of one's own build function and arrays."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import keras_tuner

from zoo import data
from zoo.data.pipeline import evaluation_pipeline, steps_per_epoch, training_pipeline
from zoo.experiments import configurations, search_space
from zoo.experiments.building import build_model, feature_domain, load_split, plateau
from zoo.experiments.schema import Experiment
from zoo.models.batch import examples_of
from zoo.models.vae import VAE
from zoo.parameters import nearest
from zoo.training import callbacks
from zoo.training.callbacks.nan import TrainingDivergedError

OBJECTIVE = keras_tuner.Objective("val_mutual_information", "max")

Build = Callable[[keras_tuner.HyperParameters], VAE]


def hypermodel(
    source: str | Path | Experiment | Build,
    space: Mapping[str, Any] | None = None,
    *,
    data: tuple[Any, Any] | None = None,
    epochs: int | None = None,
    batch_size: int = 256,
    watched: int = 1000,
    seed: int = 0,
) -> keras_tuner.HyperModel:
    """A KerasTuner hypermodel, of a configuration whose keys vary, or of a build function and arrays.

    It has its data, so that `search` takes none; each epoch's logs have `val_mutual_information` (nats),
    `val_marginal_kl` and `val_active_units`, besides the terms of the loss. The objective must not depend on what is
    searched over: the loss does, as soon as a weight such as `model.gamma` is varied; `OBJECTIVE`, the mutual
    information between held-out examples and their codes, does not.

    KerasTuner goes on with the next trial where one fails, and says nothing. Mistakes that every trial would share end
    the search: any `ValueError` of building or training is passed on. A build function that wants a trial to count as
    failed raises `keras_tuner.errors.FailedTrialError`.

    Example:
        >>> space = {
        ...     "train.optimizer.learning_rate": (1e-4, 1e-2, "log"),
        ...     "model.method": {"vae": {}, "contrastive": {"model.gamma": (0.1, 10.0, "log")}},
        ... }
        >>> tuner = keras_tuner.RandomSearch(zoo.tuning.hypermodel("digits/contrastive", space), zoo.tuning.OBJECTIVE)
        >>> tuner.search(epochs=3)

        >>> def build(hp):
        ...     model = zoo.VAE(encoder, decoder, latent_dim=16, beta=hp.Float("beta", 0.1, 10.0, sampling="log"))
        ...     model.compile("adam")
        ...     return model
        >>> own = zoo.tuning.hypermodel(build, data=(x_train, x_validation), epochs=5)

    Args:
        source: name or path of a configuration, an experiment, or a function hp → compiled zoo model.
        space: of a configuration. For each dotted key below `model` or `train`: a range (low, high), (low, high,
            step) or (low, high, "log"), both ends included, of whole numbers where the ends and the key are; a list
            of choices; or a mapping from each choice to the space of the keys that come with it. Combined methods
            are one choice, `"consistency+iwae"`.
        data: of a build function: examples to train on, and held-out ones, as `fit` takes them.
        epochs: of a build function, 10 by default, where `search` is not given others; a configuration has its own.
        batch_size: of a build function.
        watched: of a build function: on how many held-out examples, from the first, the information is measured.
        seed: of a build function: of Keras's random numbers, the same for every trial.

    Raises:
        ConfigurationError: no such configuration, or a combination of values that it does not take.
        ValueError: a space that is none, or one for a build function, which draws from hp itself; data for a
            configuration, or none for a function.
    """
    if callable(source) and not isinstance(source, type):
        if space is not None:
            raise ValueError("space: a build function draws its values from hp; leave the space out")
        return ArrayHyperModel(source, _arrays(data), 10 if epochs is None else epochs, batch_size, watched, seed)
    if data is not None or epochs is not None:
        given, key = ("data", "data") if data is not None else ("epochs", "train.epochs")
        raise ValueError(f"{given}: a configuration has its own ({key}); only a build function is given any")
    experiment = source if isinstance(source, Experiment) else configurations.load(source)  # type: ignore[arg-type]
    experiment = experiment.resolved()
    return ConfiguredHyperModel(experiment, search_space.entries(experiment, space or {}))


def _arrays(given: Any) -> tuple[Any, Any]:
    if not isinstance(given, tuple) or len(given) != 2 or any(part is None for part in given):
        what = "nothing" if given is None else f"a {type(given).__name__}"
        raise ValueError(f"data: must be a pair (examples to train on, held-out examples), got {what}")
    for part in given:
        if not hasattr(examples_of(part), "shape") or not hasattr(examples_of(part), "dtype"):
            raise ValueError(f"data: must be two arrays, got a {type(part).__name__}")
    return given


class WatchedHyperModel(keras_tuner.HyperModel):
    """What both kinds of hypermodels share: their data are their own, and mistakes end the search."""

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
        """Trains on the hypermodel's data.

        Args:
            hp: of the trial.
            model: as `build` made it.
            *args: none; the hypermodel has its data.
            epochs: its own where it is not given.
            initial_epoch: which one is first.
            callbacks: the tuner's and yours.
            verbose: as Keras's.
            **kwargs: none.

        Raises:
            ValueError: further arguments, data that do not fit the model, or an objective that is not in the logs.
            keras_tuner.errors.FailedTrialError: the loss became NaN; the search goes on with the next trial.
        """
        with _fatal():
            if args or kwargs:
                given = ", ".join(["data"] * bool(args) + sorted(kwargs))
                raise ValueError(f"search: takes epochs, callbacks and verbose, not {given}; {self.whose_data}")
            try:
                return self._fit(
                    hp,
                    model,
                    epochs=epochs,
                    initial_epoch=initial_epoch,
                    callbacks=[*callbacks, *_objectives(callbacks)],
                    verbose=verbose,
                )
            except TrainingDivergedError as error:
                raise keras_tuner.errors.FailedTrialError(str(error)) from None

    # Ends the error about data that `search` is given.
    whose_data = ""

    def _fit(self, hp: keras_tuner.HyperParameters, model: VAE, **arguments: Any) -> keras.callbacks.History:
        raise NotImplementedError


class ConfiguredHyperModel(WatchedHyperModel):
    """What `hypermodel` makes of a configuration.

    Args:
        experiment: the configuration.
        space: what is drawn.
    """

    whose_data = "data are the configuration's"

    def __init__(self, experiment: Experiment, space: Sequence[search_space.Entry]) -> None:
        super().__init__()
        self.experiment = experiment
        self.space = list(space)

    @functools.cached_property
    def examples(self) -> tuple[data.Examples, data.Examples]:
        """Training and validation data, read when first needed."""
        return load_split(self.experiment, "train"), load_split(self.experiment, "validation")

    def configured(self, hp: keras_tuner.HyperParameters) -> Experiment:
        """The experiment of a trial."""
        return search_space.with_values(self.experiment, search_space.drawn(hp, self.space))

    def build(self, hp: keras_tuner.HyperParameters) -> VAE:
        """The compiled model of a trial."""
        with _fatal():
            experiment = self.configured(hp)
            images = self.examples[0].images
            steps = steps_per_epoch(len(images), experiment.train.batch_size)
            domain = feature_domain(experiment, self.examples[0])
            model = build_model(experiment, images.shape[1:], steps, len(images), domain)
        # Searches that go on with an earlier trial load its optimiser's state too.
        model.build_optimizers()
        return model

    def _fit(self, hp: keras_tuner.HyperParameters, model: VAE, **arguments: Any) -> keras.callbacks.History:
        experiment = self.configured(hp)
        recipe = experiment.train
        examples, held_out = self.examples
        for name, part in (("train", examples), ("validation", held_out)):
            model.check(part.images, f"data.{name}")
        epochs = arguments["epochs"] = recipe.epochs if arguments["epochs"] is None else arguments["epochs"]
        batches = training_pipeline(
            examples,
            batch_size=recipe.batch_size,
            seed=recipe.seed,
            epochs=epochs,
            start_epoch=arguments["initial_epoch"],
            binarize="dynamic" if experiment.data.binarize == "dynamic" else None,
            index=model.takes_index,
        )
        watching = _watching(held_out.images[: experiment.watch.images])
        # KerasTuner itself keeps the best epoch's weights, by the objective.
        ending = callbacks.EndEarly(recipe.selection())
        arguments["callbacks"] = [*watching, *plateau(recipe), ending, *arguments["callbacks"]]
        return model.fit(
            batches,
            steps_per_epoch=steps_per_epoch(len(examples.images), recipe.batch_size),
            validation_data=evaluation_pipeline(held_out, batch_size=recipe.batch_size),
            shuffle=False,  # the pipeline does
            **arguments,
        )


class ArrayHyperModel(WatchedHyperModel):
    """What `hypermodel` makes of a build function.

    Args:
        function: hp → compiled zoo model.
        data: training and held-out examples.
        epochs: where `search` is not given others.
        batch_size: of the training.
        watched: on how many held-out examples the information is measured.
        seed: of Keras's random numbers.
    """

    whose_data = "data were given to zoo.tuning.hypermodel"

    def __init__(
        self, function: Build, data: tuple[Any, Any], epochs: int, batch_size: int, watched: int, seed: int
    ) -> None:
        super().__init__()
        self.function = function
        self.data = data
        self.epochs, self.batch_size, self.watched, self.seed = epochs, batch_size, watched, seed

    def build(self, hp: keras_tuner.HyperParameters) -> VAE:
        """The compiled model of a trial."""
        with _fatal():
            keras.utils.set_random_seed(self.seed)
            model = self.function(hp)
            name = getattr(self.function, "__name__", "build")
            if not isinstance(model, VAE):
                raise ValueError(f"{name}: must return a model of the zoo, got a {type(model).__name__}")
            if not model.compiled:
                raise ValueError(f"{name}: must return a compiled model; call model.compile(…) in it")
            if not hp.space:
                raise ValueError(f"{name}: draws nothing; call hp.Float, hp.Int or hp.Choice in it")
            for where, part in zip(("training", "held-out"), self.data, strict=True):
                model.check(part, f"data ({where})")
        model.build_optimizers()
        return model

    def _fit(self, hp: keras_tuner.HyperParameters, model: VAE, **arguments: Any) -> keras.callbacks.History:
        train, held_out = self.data
        arguments["epochs"] = self.epochs if arguments["epochs"] is None else arguments["epochs"]
        arguments["callbacks"] = [*_watching(examples_of(held_out)[: self.watched]), *arguments["callbacks"]]
        return model.fit(train, batch_size=self.batch_size, validation_data=(held_out,), **arguments)


def _watching(images: Any) -> list[keras.callbacks.Callback]:
    return [callbacks.StopOnNaN(), callbacks.Information(images, every=1)]


class _Objective(keras.callbacks.Callback):
    """Ends a search whose objective is not among an epoch's logs, which KerasTuner would call a failed trial."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.names = names

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        for name in self.names:
            if name not in (logs or {}):
                raise ValueError(f"objective: no {name!r} in the logs; {nearest(name, logs or {})}")


def _objectives(given: Sequence[keras.callbacks.Callback]) -> list[keras.callbacks.Callback]:
    """The check of the objectives that the tuner's own callbacks look at."""
    found = [objective for each in given if (objective := getattr(each, "objective", None)) is not None]
    each = [one for objective in found for one in getattr(objective, "objectives", [objective])]
    names = [one.name for one in each if isinstance(one, keras_tuner.Objective)]
    return [_Objective(names)] if names else []


@contextmanager
def _fatal() -> Iterator[None]:
    """Passes a user's mistake on as an error that KerasTuner does not take for a failed trial."""
    try:
        yield
    except keras_tuner.errors.FatalError:
        raise
    except ValueError as error:
        raise keras_tuner.errors.FatalValueError(str(error)) from error
