"""Figures of numbers, from runs: the history of a training, the rate of each unit, information by samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from zoo.experiments.run_directory import RunError
from zoo.metrics.names import named
from zoo.parameters import nearest
from zoo.report.gallery.runs import Runs, chosen, model_of, posteriors_of, same_but_for_seed

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

# The panels of a history, unless others are asked for.
METRICS = "mutual_information,rate,active_units"


def history(runs: Runs, *, split: str = "validation", metric: str = METRICS) -> Figure:
    """Metrics against epoch; seeds of one configuration as their mean with a band."""
    import numpy as np

    from zoo.report import figures
    from zoo.training import metrics_file

    if split == "test":
        raise ValueError("split: a history has no 'test'; one of: train, validation")
    prefix = "val_" if split == "validation" else ""
    logs = {label: metrics_file.rows(run.metrics) for label, run in runs.items()}
    known = {key for rows in logs.values() for row in rows for key in row if key not in ("epoch", "step")}
    names = {key.removeprefix(prefix) for key in known if key.startswith("val_") == bool(prefix)}
    for label, rows in logs.items():
        if not rows:
            path = runs[label].path
            raise RunError(f"{path}: has not finished an epoch yet; go on with: zoo train --resume {path}")
    metrics = [name.strip() for name in metric.split(",")]
    curves: dict[str, dict[str, list]] = {}
    for name in metrics:
        if name not in names:
            raise ValueError(f"metric: no {name!r} in the {split} history; {nearest(name, names)}")
        for label, seeds in same_but_for_seed(runs).items():
            with_it = [[row for row in logs[seed] if prefix + name in row] for seed in seeds]
            series = [tuple(np.array([row[k] for row in rows]) for k in ("epoch", prefix + name)) for rows in with_it]
            if all(with_it):
                curves.setdefault(name, {})[label] = series
    watched = {run.experiment().watch.images for run in runs.values()}
    n = max(watched)
    units = {name: named(name).unit for name in curves}
    return figures.history(curves, units, {"mutual_information": (f"log {n} = {np.log(n):.2f}", float(np.log(n)))})


def rate_per_unit(runs: Runs, *, split: str = "test", images: int = 2000, seed: int = 0) -> Figure:
    """The rate of each latent unit, in falling order."""
    from zoo import metrics
    from zoo.report import figures

    found = posteriors_of(runs, chosen(runs, split, images, seed).images)
    variances = {label: model_of(run).prior_variance or 1.0 for label, run in runs.items()}
    return figures.rate_per_unit({label: metrics.rate_per_unit(*q, variances[label]) for label, q in found.items()})


def information(runs: Runs, *, split: str = "test", images: int = 10_000, seed: int = 0) -> Figure:
    """Estimates of mutual information and marginal KL against the number of samples."""
    from zoo.report import figures

    shown = chosen(runs, split, images, seed).images
    sizes = [size for size in (10, 50, 100, 500, 1000, 5000, 10_000, 20_000, 50_000) if size < len(shown)]
    sizes.append(len(shown))
    found = {label: information_by_size(*q, sizes=sizes, seed=seed) for label, q in posteriors_of(runs, shown).items()}
    information, marginal = ({label: estimates[k] for label, estimates in found.items()} for k in (0, 1))
    return figures.information_by_samples(sizes, information, marginal)


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
