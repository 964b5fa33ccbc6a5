"""Measures a trained model: the objective's terms, information, probes and likelihood, each with its sample size."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zoo import __version__, data, measurement
from zoo.measurement import GROUPS, PROBES, Measured, Subject, check_groups
from zoo.models.vae import VAE
from zoo.parameters import nearest
from zoo.run import load_model, load_split, write_evaluation
from zoo.run_directory import RunDirectory, RunError

__all__ = ["GROUPS", "PROBES", "Measured", "evaluate", "evaluate_model", "loading", "other_version"]


def evaluate_model(
    model: VAE,
    train: data.Examples,
    held_out: data.Examples,
    *,
    only: tuple[str, ...] = (),
    nll_samples: int = 0,
    nll_images: int = 1000,
    prior_variance: float | None = None,
    progress: Callable[[str, float], None] | None = None,
    validation: Callable[[], data.Examples] | None = None,
) -> tuple[dict[str, Measured], list[str]]:
    """All metrics that fit.

    Means over examples have a standard error: of terms, rates and likelihoods from each image's own value, of an
    accuracy the binomial one.

    Args:
        model: trained.
        train: what probes learn from.
        held_out: what everything is measured on.
        only: of `GROUPS`; all by default.
        nll_samples: importance samples an image; 0 leaves the negative log-likelihood out.
        nll_images: on how many images, from the first.
        prior_variance: v of a prior N(0, v·I) to take rate and ELBO under too, as `…_chosen_prior`.
        progress: is told the group that is being measured, and the share of all that is done.
        validation: reads the validation split, for methods that tune the test's prior on it; without it, such figures
            are missing.

    Returns:
        The figures by name, and what was left out and why, a line each.

    Raises:
        ValueError: an unknown group, nothing among those asked for that the data allow, or images that the model does
            not take.
    """
    wanted = tuple(name for name in GROUPS if name in (check_groups(only) or GROUPS))
    if "nll" in only and not nll_samples:
        raise ValueError("metrics: nll needs a number of samples (--nll-samples)")
    if not nll_samples:
        wanted = tuple(name for name in wanted if name != "nll")
    if prior_variance is not None:
        if not 0 < prior_variance < math.inf:
            raise ValueError(f"prior variance: must be positive and finite, got {prior_variance!r}")
        if "terms" not in wanted:
            raise ValueError("prior variance: its rate and ELBO are among the terms, which are not asked for")
    subject = Subject(model, train, held_out)

    def terms() -> dict[str, Measured]:
        tune = None if validation is None else lambda: model.posteriors(validation().images)
        chosen = {} if prior_variance is None else {"chosen": prior_variance}
        priors = {**model.evaluation_priors(tune), **chosen}
        return {**measurement.terms(subject), **measurement.under_priors(subject, priors)}

    def likelihood() -> dict[str, Measured]:
        count = min(nll_images, len(held_out.images))
        share = None if progress is None else lambda done: tell("nll", done / count)
        return measurement.likelihood(subject, nll_samples, nll_images, share)

    def tell(name: str, done: float = 0.0) -> None:
        if progress:
            progress(name, (wanted.index(name) + done) / len(wanted))

    measures: dict[str, Callable[[], dict[str, Measured]]] = {
        "terms": terms,
        "information": lambda: measurement.information(subject),
        "consistency": lambda: measurement.consistency(subject),
        **{name: lambda name=name: measurement.probe(subject, name) for name in PROBES},
        "nll": likelihood,
    }
    found: dict[str, Measured] = {}
    reasons: dict[str, list[str]] = {}
    for name in wanted:
        tell(name)
        try:
            figures = measures[name]()
        except ValueError as error:
            reasons.setdefault(str(error), []).append(name)
            continue
        for figure, measured in figures.items():
            if math.isfinite(measured.value):
                found[figure] = measured
            else:
                reasons.setdefault(f"is {measured.value} on these images", []).append(figure)
    left_out = [f"{', '.join(names)}: {reason}" for reason, names in reasons.items()]
    if not found:
        raise ValueError(f"nothing could be measured: {'; '.join(left_out)}")
    return found, left_out


def evaluate(path: Path, split: str = "test", **arguments: Any) -> tuple[dict[str, Measured], list[str]]:
    """Evaluates a finished run on a split, and keeps the figures in its `evaluation.json`.

    Args:
        path: the run's directory.
        split: `train`, `validation` or `test`.
        **arguments: those of `evaluate_model`, but for `validation`.

    Raises:
        ValueError: an unknown split, or as `evaluate_model`.
        RunError: no run, one that has not ended, or one that this version of the zoo cannot load.
    """
    splits = ("train", "validation", "test")
    if split not in splits:
        raise ValueError(f"split: no {split!r}; {nearest(split, splits)}")
    run = RunDirectory.open(path)
    run.require_model()
    run.read(run.evaluation)
    with loading(run):
        experiment = run.experiment()
        model = load_model(run)
    held_out = load_split(experiment, split)
    train = held_out if split == "train" else load_split(experiment, "train")

    def validation() -> data.Examples:
        return held_out if split == "validation" else load_split(experiment, "validation")

    found, left_out = evaluate_model(model, train, held_out, validation=validation, **arguments)
    write_evaluation(run, split, {name: measured._asdict() for name, measured in found.items()})
    return found, left_out


def other_version(run: RunDirectory) -> str | None:
    """The version of the zoo that wrote a run, where it is not this one (and is known)."""
    theirs = run.read(run.environment).get("zoo")
    return None if theirs is None or theirs == __version__ else str(theirs)


@contextmanager
def loading(run: RunDirectory) -> Iterator[None]:
    """Around what reads a run: where that fails, and another version wrote the run, the error names both.

    Raises:
        RunError: in place of any error, if another version of the zoo wrote the run; else errors are left as they are.
    """
    try:
        yield
    except Exception as error:
        theirs = other_version(run)
        if theirs is None:
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        versions = f"was written by version {theirs} of the zoo, and version {__version__} cannot load it"
        raise RunError(f"{run.path}: {versions}: {reason}") from None
