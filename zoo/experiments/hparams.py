"""What TensorBoard's pages HParams and Custom Scalars show of experiments: the same for all, so that runs compare.

TensorBoard takes the columns from one run of many, whichever comes first. So they are those of every method and every
network; what a run has nothing for stays empty in its row.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from zoo import models, networks
from zoo.experiments import schema
from zoo.experiments.model_section import Parameters, owner, parameters
from zoo.latents.prior import PRIORS
from zoo.likelihoods import LIKELIHOODS
from zoo.parameters import PositiveStrength, Strength, hyperparameters


def values(experiment: schema.Experiment) -> dict[str, Any]:
    """A run's row: all values by dotted key, but for those that are only about watching it."""
    return {_named(key): value for key, value in experiment.flat().items() if not key.startswith("watch.")}


def _named(key: str) -> str:
    """The name of a column: the table puts them in alphabetical order, and the method is to come first."""
    return "method" if key == "model.method" else key


def columns(experiment: schema.Experiment) -> dict[str, Any]:
    """The annotation of every hyperparameter that some configuration can have, by dotted key.

    Args:
        experiment: whose method, network and likelihood may be from outside the zoo; they have columns too.
    """
    # A weight is a number, unless it follows a schedule, whose own keys have columns of their own.
    return {_named(key): float if kind in (Strength, PositiveStrength) else kind for key, kind in _columns(experiment)}


def terms() -> tuple[str, ...]:
    """The terms of all methods' objectives."""
    return tuple(dict.fromkeys(term for method in models.METHODS for term in models.claims(method)))


def _columns(experiment: schema.Experiment) -> Iterator[tuple[str, Any]]:
    sections: dict[str, type[schema.Section]] = {"data": schema.Data, "train": schema.Train}
    nested: dict[str, type[schema.Section]] = {"train.optimizer": schema.Optimizer, "train.schedule": schema.Schedule}
    for name, section in (sections | nested).items():
        keys = {f"{name}.{key}": field.annotation for key, field in section.model_fields.items()}
        # Further players' optimisers bear the players' names: of these a run has columns of its own.
        yield from ((key, kind) for key, kind in keys.items() if key not in (*nested, "train.optimizers"))
    yield from ((f"model.{key}", str) for key in ("method", "network.name", "likelihood.name", "prior.name"))
    model, folders = experiment.model, experiment.folders
    own = (model.likelihood["name"], model.network["name"])
    for name in dict.fromkeys([*LIKELIHOODS, own[0]]):
        yield from _of("model.likelihood", parameters("likelihood", owner("likelihood", name, folders)))
    for prior in PRIORS.values():
        yield from _of("model.prior", hyperparameters(prior))
    for name in dict.fromkeys([*networks.NETWORKS, own[1]]):
        yield from _of("model.network", schema.network_parameters(name, folders))
    for method in [*models.METHODS, model.method]:
        yield from _of("model", schema.method_parameters(method, folders))


def _of(section: str, given: Parameters) -> Iterator[tuple[str, Any]]:
    return ((f"{section}.{key}", kind) for key, (kind, _) in given.items())
