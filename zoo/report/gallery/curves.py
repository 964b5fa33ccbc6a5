"""Figures of numbers, from runs: the history of a training, the rate of each unit, information by samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from zoo.experiments.run_directory import RunError
from zoo.metrics.names import named
from zoo.parameters import nearest
from zoo.report.gallery.runs import (
    Runs,
    chosen,
    data_in_short,
    model_of,
    posteriors_of,
    same_but_for_seed,
    sample,
)

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

# The panels of a history, unless others are asked for.
METRICS = "mutual_information,active_units,rate,elbo"
_SPLITS = {"validation": "val_", "train": ""}


def history(runs: Runs, *, split: str = "", metric: str = METRICS) -> Figure:
    """Metrics against epoch, in training and validation; seeds of one configuration as their mean with a band."""
    import numpy as np

    from zoo.experiments.continuing import recorded_epochs
    from zoo.report import figures

    if split == "test":
        raise ValueError("split: a history has no 'test'; one of: train, validation")
    logs = {label: recorded_epochs(run) for label, run in runs.items()}
    for label, rows in logs.items():
        if not rows:
            path = runs[label].path
            raise RunError(f"{path}: has not finished an epoch yet; go on with: zoo train --resume {path}")
    metrics = [name.strip() for name in metric.split(",")]
    alike = same_but_for_seed(runs)
    drawn = {each: _of_split(logs, alike, metrics, each) for each in ([split] if split else _SPLITS)}
    for name in metrics:
        if not any(name in found for found in drawn.values()):
            known = {name for each in drawn for name in _known(logs, each)}
            raise ValueError(f"metric: no {name!r} in the {split or 'run'}'s history; {nearest(name, known)}")
    watched = [run.experiment().watch.images for run in runs.values()]
    n = max(watched)
    bounds = {"mutual_information": (f"log {n} = {np.log(n):.2f}", float(np.log(n)))}
    units = {name: named(name).unit for name in metrics}
    figure = figures.history(drawn.get("validation", {}), units, bounds, drawn.get("train"))
    of = f"{n:,}" if min(watched) == n else f"{min(watched):,} to {n:,}"
    seeds = "" if len(alike) == len(runs) else f"; means of up to {max(map(len, alike.values()))} seeds"
    whole = "terms: all examples of a split"
    return figures.noted(
        figure, f"{data_in_short(runs)}; {whole}; information, units and probes: n = {of} of validation{seeds}"
    )


def _known(logs: Mapping[str, list[dict[str, float]]], split: str) -> set[str]:
    """The names that some run's lines have for a split."""
    keys = {key for rows in logs.values() for row in rows for key in row if key not in ("epoch", "step")}
    prefix = _SPLITS[split]
    return {key.removeprefix(prefix) for key in keys if key.startswith("val_") == bool(prefix)}


def _of_split(
    logs: Mapping[str, list[dict[str, float]]], alike: Mapping[str, list[str]], metrics: Sequence[str], split: str
) -> dict[str, dict[str, list[tuple[np.ndarray, np.ndarray]]]]:
    """Metric → label of a configuration → (epochs, values) of each seed, of what all of them have."""
    import numpy as np

    found: dict[str, dict[str, list]] = {}
    for name in metrics:
        key = _SPLITS[split] + name
        for label, seeds in alike.items():
            with_it = [[row for row in logs[seed] if key in row] for seed in seeds]
            if all(with_it):
                series = [(np.array([r["epoch"] for r in rows]), np.array([r[key] for r in rows])) for rows in with_it]
                found.setdefault(name, {})[label] = series
    return found


def rate_distortion(runs: Runs, *, split: str = "test") -> Figure:
    """Distortion against rate, as evaluated, with lines of equal ELBO; a dot a seed around their mean."""
    from zoo.report import figures

    found, examples = {}, set()
    for label, run in runs.items():
        terms = run.figures(split)
        if "rate" not in terms or "distortion" not in terms:
            raise RunError(
                f"{run.path}: has no rate and distortion of {split}; first: zoo evaluate {run.path}"
                f"{'' if split == 'test' else f' --split {split}'} --metrics terms"
            )
        found[label] = terms["rate"]["value"], terms["distortion"]["value"]
        examples.add(terms["rate"]["examples"])
    drawn = figures.rate_distortion(
        {name: [found[seed] for seed in alike] for name, alike in same_but_for_seed(runs).items()}
    )
    n = " to ".join(f"{size:,}" for size in dict.fromkeys((min(examples), max(examples))))
    return figures.noted(drawn, f"{data_in_short(runs)}, {split}; n = {n}")


def rate_per_unit(runs: Runs, *, split: str = "test", images: int = 2000, seed: int = 0) -> Figure:
    """The rate of each latent unit, in falling order."""
    from zoo import metrics
    from zoo.report import figures

    shown = chosen(runs, split, images, seed).images
    found = posteriors_of(runs, shown)
    variances = {label: model_of(run).prior_variance or 1.0 for label, run in runs.items()}
    drawn = figures.rate_per_unit({label: metrics.rate_per_unit(*q, variances[label]) for label, q in found.items()})
    return figures.noted(drawn, sample(runs, split, len(shown)))


def information(runs: Runs, *, split: str = "test", images: int = 10_000, seed: int = 0) -> Figure:
    """Estimates of mutual information and marginal KL against the number of samples."""
    from zoo.report import figures

    shown = chosen(runs, split, images, seed).images
    sizes = [size for size in (10, 50, 100, 500, 1000, 5000, 10_000, 20_000, 50_000) if size < len(shown)]
    sizes.append(len(shown))
    found = {label: information_by_size(*q, sizes=sizes, seed=seed) for label, q in posteriors_of(runs, shown).items()}
    information, marginal = ({label: estimates[k] for label, estimates in found.items()} for k in (0, 1))
    drawn = figures.information_by_samples(sizes, information, marginal)
    return figures.noted(drawn, f"{sample(runs, split, len(shown))}; each N: random subsets of them")


def information_by_size(
    loc: np.ndarray, scale: np.ndarray, sizes: Sequence[int], seed: int = 0, subsets: int = 3
) -> np.ndarray:
    """Mutual information and marginal KL estimated on random subsets of posteriors, each within the next larger one.

    Args:
        loc: posterior means, [n, d].
        scale: posterior standard deviations, [n, d].
        sizes: of the subsets, at most n, [s].
        seed: of the subsets and of the estimator's draws.
        subsets: of each size; those of all n differ in the estimator's draws alone.

    Returns:
        `zoo.metrics.decompose_rate`'s two estimates in nats: [2, subsets, s].
    """
    import numpy as np

    from zoo import metrics

    found = np.empty((2, subsets, len(sizes)))
    for subset in range(subsets):
        order = np.random.default_rng((seed, subset)).permutation(len(loc))
        for column, size in enumerate(sizes):
            rows = order[:size]
            found[:, subset, column] = metrics.decompose_rate(loc[rows], scale[rows], seed=seed + subset)
    return found
