"""Which figures a report needs of a run's evaluation, and where they come from."""

from __future__ import annotations

import statistics
from typing import Any, NamedTuple

from zoo.report.paper_table import Column, Evaluation
from zoo.run_directory import RunDirectory

# The group of `zoo evaluate --metrics` that gives a metric; whatever is not named here is a term of the objective.
GROUPS = {
    "mutual_information": "information",
    "marginal_kl": "information",
    "active_units": "information",
    "rate_per_unit": "information",
    "unit_variances": "information",
    "info_nce_bound": "information",
    "decoder_sensitivity": "information",
    "consistency": "consistency",
    "knn_accuracy": "knn",
    "linear_accuracy": "linear",
    "softmax_accuracy": "softmax",
    "svm_accuracy": "svm",
    "nll": "nll",
    "bits_per_dimension": "nll",
}
# Not measured on images, but read off the training.
OF_TRAINING = ("training_hours", "training_factor")
# Another sign of a metric.
NEGATED = {
    "negative_elbo": "elbo",
    "negative_elbo_optimal_prior": "elbo_optimal_prior",
    "negative_elbo_tuned_prior": "elbo_tuned_prior",
}


def _group(metric: str) -> str:
    return GROUPS.get(metric, "terms")


class Needs(NamedTuple):
    """The metrics of one split, and how the likelihood is to be estimated."""

    metrics: tuple[str, ...]
    evaluation: Evaluation

    def missing(self, run: RunDirectory, split: str) -> bool:
        """Whether a group of metrics was not measured on a split, or a likelihood with another number of samples.

        A group counts as measured with any of its metrics, for not every method has all of them.
        """
        found = run.read(run.evaluation).get(split, {})
        if {_group(name) for name in self.metrics} - {_group(name) for name in found}:
            return True
        samples = f"{self.evaluation.nll_samples} importance samples"
        return "nll" in self.metrics and not found["nll"]["note"].startswith(samples)

    def arguments(self) -> list[str]:
        """Of `zoo evaluate`."""
        groups = list(dict.fromkeys(map(_group, self.metrics)))
        found = ["--metrics", ",".join(groups)]
        if "nll" in groups:
            samples, images = self.evaluation.nll_samples, self.evaluation.nll_images
            found += ["--nll-samples", str(samples), "--nll-images", str(images)]
        return found


def needs_of(columns: list[Column], evaluation: Evaluation) -> dict[str, Needs]:
    """What the columns of a table need, by split."""
    found: dict[str, list[str]] = {}
    for column in columns:
        if column.metric not in OF_TRAINING:
            found.setdefault(column.split, []).append(NEGATED.get(column.metric, column.metric))
    return {split: Needs(tuple(dict.fromkeys(metrics)), evaluation) for split, metrics in found.items()}


def figure_of(run: RunDirectory, evaluation: dict[str, Any], column: Column) -> float | None:
    """A run's figure for a column, in the column's unit; None where it was not measured."""
    if column.metric in OF_TRAINING:
        from zoo.callbacks.record import rows

        seconds = [row["seconds"] for row in rows(run.seconds)]
        return sum(seconds) / 3600 if seconds else None
    found = evaluation.get(column.split, {}).get(NEGATED.get(column.metric, column.metric))
    if found is None:
        return None
    sign = -1.0 if column.metric in NEGATED else 1.0
    return sign * found["value"] * (100.0 if column.percent else 1.0)


def relative(values: dict[str, list[float]], column: Column) -> dict[str, list[float]]:
    """Rows' hours of training as factors of the first row's mean, for the column `training_factor`."""
    if column.metric != "training_factor" or not values:
        return values
    base = statistics.fmean(next(iter(values.values())))
    return {row: [value / base for value in of_row] for row, of_row in values.items()}
