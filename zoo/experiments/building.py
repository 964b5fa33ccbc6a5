"""From a configuration to a compiled model and its data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import keras

from zoo import data, likelihoods, models, networks
from zoo.data.overlap import lacking, overlaps
from zoo.experiments.schema import Experiment
from zoo.experiments.sections import PlayerOptimizer, Train
from zoo.metrics.names import named
from zoo.models.combination import combine
from zoo.models.vae import VAE
from zoo.training import schedules
from zoo.training.live import Live
from zoo.training.players import MAIN
from zoo.training.selection import REDUCTIONS

if TYPE_CHECKING:
    from zoo.domains import Domain, Features


SPLITS = ("train", "validation", "test")


def build_optimizer(train: Train, steps_per_epoch: float, player: str = MAIN) -> keras.optimizers.Optimizer:
    """The optimiser of a recipe, with its schedule and clipping: of the main player, or of a further one.

    Args:
        train: the recipe.
        steps_per_epoch: of the player's own, which may be more or fewer than batches.
        player: whose.
    """
    section = train.optimizer if player == MAIN else train.optimizers[player]
    rate: Any = section.learning_rate
    if train.schedule.name == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, math.ceil(train.epochs * steps_per_epoch))
    clip_norm = section.clip_norm if isinstance(section, PlayerOptimizer) else train.clip_norm
    arguments: dict[str, Any] = {"learning_rate": rate, "global_clipnorm": clip_norm}
    if section.name in {"sgd", "rmsprop"}:
        arguments["momentum"] = section.momentum
    if section.weight_decay is not None:
        arguments["weight_decay"] = section.weight_decay
    return keras.optimizers.get({"class_name": section.name, "config": arguments})


class Plateau(keras.callbacks.ReduceLROnPlateau):
    """Lowers the learning rate when a figure stops becoming better, once the warm-up, which raises the loss, is over.

    It logs how often it has done so (`rate_reductions`), so that a training can end with one of them.

    Args:
        warm_up: epochs that do not count.
        **kwargs: those of Keras's callback.
    """

    def __init__(self, warm_up: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.warm_up = warm_up
        self.reductions = 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Forgets everything, as Keras's does."""
        super().on_train_begin(logs)
        self.reductions = 0

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """As Keras's, but for the epochs of the warm-up, of which it only logs the learning rate."""
        logs = {} if logs is None else logs
        before = self._rate()
        if epoch >= self.warm_up:
            super().on_epoch_end(epoch, logs)
        else:
            logs["learning_rate"] = before
        self.reductions += self._rate() < before
        logs[REDUCTIONS] = self.reductions

    def _rate(self) -> float:
        # On replicas the variable is no number for Python.
        return float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))


def plateau(train: Train) -> list[keras.callbacks.Callback]:
    """The callback that lowers the learning rate on a plateau, where the schedule is that one."""
    schedule = train.schedule
    if schedule.name != "plateau":
        return []
    arguments = {"factor": schedule.factor, "patience": schedule.patience, "min_lr": schedule.minimum}
    mode = "max" if named(schedule.monitor.removeprefix("val_")).better == "higher" else "min"
    return [Plateau(train.kl_warmup, monitor=schedule.monitor, mode=mode, **arguments)]


def feature_domain(experiment: Experiment, training: data.Examples) -> Features | None:
    """What x is, with the training split's columns, and its statistics if it is standardised; None for images."""
    if experiment.data.kind != "features":
        return None
    from zoo.domains.features import Features

    scales = data.statistics(training.images) if experiment.data.standardize else ()
    return Features(*scales, columns=training.columns)


def build_model(
    experiment: Experiment,
    example_shape: tuple,
    steps_per_epoch: int,
    examples: int | None = None,
    domain: Domain | None = None,
) -> VAE:
    """A compiled model, initialised from the experiment's seed.

    Args:
        experiment: the configuration.
        example_shape: of one example, such as (h, w, c).
        steps_per_epoch: for warm-up and schedule, which the configuration counts in epochs.
        examples: size of the training split; only methods that tell its examples apart need it.
        domain: what x is; the model infers it where it is not given.

    Raises:
        ValueError: images that the network does not take.
    """
    experiment = experiment.resolved()
    model, train, folders = experiment.model, experiment.train, experiment.folders
    keras.utils.set_random_seed(train.seed)
    likelihood = likelihoods.get(dict(model.likelihood), folders)
    network = dict(model.network)
    # A Gaussian's means lie between 0 and 1 for pixels, and anywhere for features.
    anywhere = experiment.data.kind == "features" and likelihood.support == "real"
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(train.precision)
    try:
        pair = networks.build(
            network.pop("name"),
            example_shape,
            model.latent_dim,
            "linear" if anywhere else likelihood.output_activation,
            parameter_shape=likelihood.parameter_shape(example_shape),
            folders=folders,
            **network,
        )
        method = combine(*models.canonical(model.method), folders=folders)
        hyperparameters = experiment.hyperparameters()
        if method.needs_index:
            hyperparameters["examples"] = examples
        if domain is not None:
            hyperparameters["domain"] = domain
        vae = method(
            *pair,
            likelihood=likelihood,
            prior=dict(model.prior),
            warmup_steps=round(train.kl_warmup * steps_per_epoch),
            seed=train.seed,
            **{key: _scheduled(method, key, value, steps_per_epoch) for key, value in hyperparameters.items()},
        )
        vae.build_if_known()
        moves = {player.name: player.updates / player.every for player in vae.players()}
        vae.compile(
            build_optimizer(train, steps_per_epoch),
            {name: build_optimizer(train, steps_per_epoch * moves.get(name, 1), name) for name in train.optimizers},
            jit_compile=train.jit_compile,
        )
    finally:
        keras.config.set_dtype_policy(policy)
    return vae


def _scheduled(method: type[VAE], key: str, value: Any, steps_per_epoch: int) -> Any:
    """A hyperparameter; of one that may follow a schedule, the schedule, its epochs counted in steps."""
    if isinstance(getattr(method, key, None), Live) and isinstance(value, dict):
        return schedules.get(value, steps_per_epoch)
    return value


def split_warnings(experiment: Experiment, read: Mapping[str, data.Examples]) -> list[str]:
    """What is wrong between the splits, a line each: examples in two of them, and of one's own files lost classes.

    Args:
        experiment: the configuration.
        read: the examples of some of its splits; of the user's own images, equal ones are looked for, too.
    """
    section = experiment.data
    # Binarised pixels differ between splits even where the pictures do not; others' data sets are as they are.
    compare = section.name == "files" and section.kind == "images" and section.binarize is None
    found = overlaps({split: getattr(section, split) for split in SPLITS}, read, compare=compare)
    # In the catalogue some sets are split by class on purpose.
    return [*found, *(lacking(read) if section.name == "files" else [])]


def load_split(experiment: Experiment, split: str) -> data.Examples:
    """The examples of `train`, `validation` or `test`; dynamic binarisation is fixed for the held-out ones.

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
            kind=section.kind,
            label_column=section.label_column,
            skip_unreadable=section.skip_unreadable,
        )
    except ValueError as error:
        raise ValueError(f"data.{split}: {error}") from None
