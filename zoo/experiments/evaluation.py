"""Measures a trained model: the objective's terms, information, probes and likelihood, each with its sample size."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from zoo import data
from zoo.experiments import measures, pictures
from zoo.experiments.building import load_split
from zoo.experiments.finished import load_model
from zoo.experiments.measures import Measured, Subject, groups_to_measure
from zoo.experiments.printed_measures import printed_information
from zoo.experiments.run_directory import RunDirectory
from zoo.experiments.run_files import CHECKSUM, LEFT_OUT, checksum
from zoo.experiments.same_data import check_data
from zoo.files import replacing
from zoo.metrics.names import PROBES
from zoo.models.vae import VAE
from zoo.parameters import nearest
from zoo.training.callbacks.monitor import write_figures
from zoo.training.metrics_file import rows

__all__ = ["Measured", "evaluate", "evaluate_model", "lines", "write_evaluation"]


def evaluate_model(
    model: VAE,
    train: data.Examples,
    held_out: data.Examples,
    *,
    only: tuple[str, ...] = (),
    nll_samples: int = 0,
    nll_images: int | None = 1000,
    prior_variance: float | None = None,
    progress: Callable[[str, float], None] | None = None,
    validation: Callable[[], data.Examples] | None = None,
) -> tuple[dict[str, Measured], dict[str, str]]:
    """All metrics that fit.

    Means over examples have a standard error: of terms, rates and likelihoods from each image's own value, of an
    accuracy as `zoo.experiments.measures.accuracy_error` has it.

    Args:
        model: trained.
        train: what probes learn from.
        held_out: what everything is measured on.
        only: of `GROUPS`; all by default.
        nll_samples: importance samples an image; 0 leaves the negative log-likelihood out.
        nll_images: on how many images, from the first; None for all.
        prior_variance: v of a prior N(0, v·I) to take rate and ELBO under too, as `…_chosen_prior`.
        progress: is told the group that is being measured, and the share of all that is done.
        validation: reads the validation split, for methods that tune the test's prior on it; without it, such figures
            are missing.

    Returns:
        The figures by name, and why others were left out: by group, or by figure where it is not finite.

    Raises:
        ValueError: an unknown group, samples for a likelihood that is not asked for, nothing among those asked for
            that the data allow, or images that the model does not take.
    """
    wanted = groups_to_measure(only, nll_samples)
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
        return {**measures.terms(subject), **measures.under_priors(subject, priors)}

    def likelihood() -> dict[str, Measured]:
        count = min(nll_images or len(held_out.images), len(held_out.images))
        share = None if progress is None else lambda done: tell("nll", done / count)
        return measures.likelihood(subject, nll_samples, count, share)

    def tell(name: str, done: float = 0.0) -> None:
        if progress:
            progress(name, (wanted.index(name) + done) / len(wanted))

    groups: dict[str, Callable[[], dict[str, Measured]]] = {
        "terms": terms,
        "information": lambda: {**measures.information(subject), **printed_information(subject)},
        "consistency": lambda: measures.consistency(subject),
        **{name: lambda name=name: measures.probe(subject, name) for name in PROBES},
        "nll": likelihood,
    }
    found: dict[str, Measured] = {}
    left_out: dict[str, str] = {}
    for name in wanted:
        tell(name)
        try:
            figures = groups[name]()
        except ValueError as error:
            left_out[name] = str(error)
            continue
        for figure, measured in figures.items():
            if math.isfinite(measured.value):
                found[figure] = measured
            else:
                left_out[figure] = f"is {measured.value} on these images"
    if not found:
        raise ValueError(f"nothing could be measured: {'; '.join(lines(left_out))}")
    return found, left_out


def lines(left_out: Mapping[str, str]) -> list[str]:
    """What was left out, a line for each reason."""
    names: dict[str, list[str]] = {}
    for name, reason in left_out.items():
        names.setdefault(reason, []).append(name)
    return [f"{', '.join(alike)}: {reason}" for reason, alike in names.items()]


def evaluate(path: Path, split: str = "test", **arguments: Any) -> tuple[dict[str, Measured], dict[str, str]]:
    """Evaluates a finished run on a split, and keeps figures and reasons in its `evaluation.json`.

    On the test split, what the model makes of a few images is kept beside them, for reports.
    The figures stand in the run's row of TensorBoard's HParams page, too.

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
    experiment, model = run.experiment(), load_model(run)
    held_out = load_split(experiment, split)
    train = held_out if split == "train" else load_split(experiment, "train")
    check_data(run, experiment, {"train": train})

    def validation() -> data.Examples:
        return held_out if split == "validation" else load_split(experiment, "validation")

    found, left_out = evaluate_model(model, train, held_out, validation=validation, **arguments)
    tried = groups_to_measure(arguments.get("only", ()), arguments.get("nll_samples", 0))
    reasons = {**dict.fromkeys(tried), **left_out}
    write_evaluation(run, split, {name: measured._asdict() for name, measured in found.items()}, reasons)
    if split == "test":
        _draw(run, model, held_out)
    epoch = len(rows(run.metrics))
    write_figures(run.tensorboard, split, {name: measured.value for name, measured in found.items()}, epoch)
    return found, left_out


def _draw(run: RunDirectory, model: VAE, held_out: data.Examples) -> None:
    """Keeps the pictures for reports; warns of a model that cannot draw them."""
    try:
        drawn = pictures.take(model, held_out)
        if drawn is not None:
            pictures.write(run, drawn)
    except (ValueError, OSError, tf.errors.OpError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        warnings.warn(f"{run.path}: reports will have no pictures of this run: {reason}", stacklevel=3)


def write_evaluation(
    run: RunDirectory, split: str, found: dict[str, Any], left_out: dict[str, str | None] | None = None
) -> None:
    """Puts the evaluation of a split into the run's `evaluation.json`, over what it held of the same figures.

    Args:
        run: the run.
        split: that was evaluated.
        found: figures by name.
        left_out: why groups or figures are missing, by name; None takes an older reason away, as a figure does.
    """
    known = run.read(run.evaluation)
    given = left_out or {}
    figures = {**known.get(split, {}), **{name: _storable(one) for name, one in found.items()}}
    reasons = {name: text for name, text in {**run.left_out(split), **given}.items() if text and name not in found}
    content = {**known, split: {name: one for name, one in figures.items() if name not in reasons}}
    by_split = {name: texts for name, texts in {**known.get(LEFT_OUT, {}), split: reasons}.items() if texts}
    content.pop(LEFT_OUT, None)
    if by_split:
        content[LEFT_OUT] = by_split
    content[CHECKSUM] = checksum(content)
    with replacing(run.evaluation) as sibling:
        sibling.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _storable(figure: Mapping[str, Any]) -> dict[str, Any]:
    """A figure without an error that is no number (of values that are too large to square), which no reader takes."""
    error = figure.get("error")
    return {**figure, "error": None} if error is not None and not math.isfinite(error) else dict(figure)
