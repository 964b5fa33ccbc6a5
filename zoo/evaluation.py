"""Measures a trained model: the objective's terms, information, probes and likelihood, each with its sample size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from zoo import data, metrics
from zoo.models.codec import Posterior
from zoo.models.vae import VAE
from zoo.parameters import nearest
from zoo.run import load_model, load_split, write_evaluation
from zoo.run_directory import RunDirectory

PROBES = ("knn", "linear")
GROUPS = ("terms", "information", *PROBES, "nll")


class Measured(NamedTuple):
    """A figure with what is needed to read it."""

    value: float
    unit: str
    examples: int
    note: str = ""


# What is no sum of nats.
_UNITS = {"sum_of_squares": "squared pixels", "triplet": "squared distance of codes"}


def _terms(model: VAE, images: np.ndarray, numbered: bool) -> dict[str, Measured]:
    size = min(500, len(images))
    # Only the training set's images have the numbers that a classifier of them knows.
    x = data.with_index(images) if numbered else images
    values = model.evaluate(x, batch_size=size, verbose=0, return_dict=True)
    among = {"critic", "triplet"} | ({"info_nce"} if getattr(model, "queue_size", None) == 0 else set())
    found = {}
    for name, value in values.items():
        note = f"among batches of {size} images" if name in among else ""
        unit = _UNITS.get(name.removeprefix("transformed_"), "nats")
        found[name] = Measured(float(value), unit, len(images), note)
    return found


def _under_priors(priors: dict[str, float], posteriors: Posterior, distortion: float) -> dict[str, Measured]:
    """Rate and ELBO with N(0, v·I) in place of N(0, I), for each of the priors v."""
    found, n = {}, len(posteriors.loc)
    for name, variance in priors.items():
        rate = float(np.mean(metrics.rate(*posteriors, prior_variance=variance)))
        note = f"prior variance {variance:.4g}"
        found[f"rate_{name}_prior"] = Measured(rate, "nats", n, note)
        found[f"elbo_{name}_prior"] = Measured(-distortion - rate, "nats", n, note)
    return found


def _information(loc: np.ndarray, scale: np.ndarray) -> dict[str, Measured]:
    n, dim = loc.shape
    found = metrics.decompose_rate(loc, scale)
    bound = f"cannot exceed log n = {np.log(n):.2f}"
    return {
        "mutual_information": Measured(found.mutual_information, "nats", n, bound),
        "marginal_kl": Measured(found.marginal_kl, "nats", n),
        "active_units": Measured(metrics.active_units(loc), f"units of {dim}", n),
    }


def _probes(
    model: VAE, train: data.Examples, held_out: data.Examples, loc: np.ndarray, names: list[str]
) -> tuple[dict[str, Measured], list[str]]:
    """Accuracies of the probes that the data allow, and why others are left out; loc are the held-out codes."""
    if train.labels is None or held_out.labels is None:
        return {}, [f"{' and '.join(names)}: the data have no labels, which a probe needs"]
    if not np.isin(held_out.labels, train.labels).any():
        return {}, [f"{' and '.join(names)}: no class of this split occurs in the training split"]
    train_codes = loc if train is held_out else model.posteriors(train.images).loc
    codes = (train_codes, train.labels, loc, held_out.labels)
    n, found, left_out = len(train.images), {}, []
    neighbours = min(200, n)
    for name in names:
        try:
            if name == "knn":
                value = metrics.knn_accuracy(*codes, neighbours=neighbours)
                note = f"{neighbours} neighbours among {n:,} training codes"
            else:
                value, note = metrics.linear_accuracy(*codes), f"logistic regression on {n:,} training codes"
            found[f"{name}_accuracy"] = Measured(value, "fraction", len(held_out.images), note)
        except ValueError as error:
            left_out.append(f"{name}: {error}")
    return found, left_out


def evaluate_model(
    model: VAE,
    train: data.Examples,
    held_out: data.Examples,
    *,
    only: tuple[str, ...] = (),
    nll_samples: int = 0,
    nll_images: int = 1000,
    progress: Callable[[int], None] | None = None,
    validation: Callable[[], data.Examples] | None = None,
) -> tuple[dict[str, Measured], list[str]]:
    """All metrics that fit.

    Args:
        model: trained.
        train: what probes learn from.
        held_out: what everything is measured on.
        only: of `GROUPS`; all by default.
        nll_samples: importance samples an image; 0 leaves the negative log-likelihood out.
        nll_images: on how many images, from the first.
        progress: is told how many images of the likelihood are done.
        validation: reads the validation split, for methods that tune the test's prior on it; without it, such figures
            are missing.

    Returns:
        The figures by name, and what was left out and why, a line each.

    Raises:
        ValueError: an unknown group, or one asked for that the data do not allow.
    """
    for name in only:
        if name not in GROUPS:
            raise ValueError(f"metrics: no {name!r}; {nearest(name, GROUPS)}")
    if "nll" in only and not nll_samples:
        raise ValueError("metrics: nll needs a number of samples (--nll-samples)")
    wanted = only or GROUPS
    found: dict[str, Measured] = {}
    left_out: list[str] = []
    priors: dict[str, float] = {}
    if "terms" in wanted:
        found |= _terms(model, held_out.images, model.needs_index and held_out is train)
        tune = None if validation is None else lambda: model.posteriors(validation().images)
        priors = model.evaluation_priors(tune)
    probes = [name for name in PROBES if name in wanted]
    if probes or priors or "information" in wanted:
        posteriors = model.posteriors(held_out.images)
    if priors:
        found |= _under_priors(priors, posteriors, found["distortion"].value)
    if "information" in wanted:
        found |= _information(*posteriors)
    if probes:
        measured, left_out = _probes(model, train, held_out, posteriors.loc, probes)
        if left_out and only:
            raise ValueError(left_out[0])
        found |= measured
    if "nll" in wanted and nll_samples:
        values = metrics.negative_log_likelihood(model, held_out.images[:nll_images], nll_samples, progress=progress)
        error = float(np.std(values) / np.sqrt(len(values)))
        note = f"{nll_samples} importance samples an image; ± {error:.2f}"
        found["nll"] = Measured(float(np.mean(values)), "nats", len(values), note)
    return found, left_out


def evaluate(path: Path, split: str = "test", **arguments: Any) -> tuple[dict[str, Measured], list[str]]:
    """Evaluates a finished run on a split, and keeps the figures in its `evaluation.json`.

    Args:
        path: the run's directory.
        split: `train`, `validation` or `test`.
        **arguments: those of `evaluate_model`, but for `validation`.

    Raises:
        ValueError: an unknown split.
        RunError: no run, or one that has not ended.
    """
    splits = ("train", "validation", "test")
    if split not in splits:
        raise ValueError(f"split: no {split!r}; {nearest(split, splits)}")
    run = RunDirectory.open(path)
    run.require_model()
    run.read(run.evaluation)
    experiment = run.experiment()
    held_out = load_split(experiment, split)
    train = held_out if split == "train" else load_split(experiment, "train")

    def validation() -> data.Examples:
        return held_out if split == "validation" else load_split(experiment, "validation")

    found, left_out = evaluate_model(load_model(run), train, held_out, validation=validation, **arguments)
    write_evaluation(run, split, {name: measured._asdict() for name, measured in found.items()})
    return found, left_out
