"""Which figures a report needs of a run's evaluation, and where they come from."""

from __future__ import annotations

import statistics
from typing import Any, NamedTuple

from zoo.experiments.run_directory import RunDirectory
from zoo.report.comparison import Row, RunSummary
from zoo.report.paper_table import Column, Evaluation
from zoo.report.vocabulary import GROUPS, NEGATED, OF_TRAINING


def _group(metric: str) -> str:
    """Of a metric; a group's own name, as it stands among the reasons, is left as it is."""
    return metric if metric in GROUPS.values() else GROUPS.get(metric, "terms")


class Needs(NamedTuple):
    """The metrics of one split, and how the likelihood is to be estimated."""

    metrics: tuple[str, ...]
    evaluation: Evaluation

    def missing(self, run: RunDirectory, split: str) -> bool:
        """Whether a group of metrics was not measured on a split, or a likelihood of other samples or fewer images.

        A group counts as measured with any of its metrics, for not every method has all of them, and also where an
        evaluation has said why it cannot be.
        """
        found, left_out = run.figures(split), run.left_out(split)
        if {_group(name) for name in self.metrics} - {_group(name) for name in [*found, *left_out]}:
            return True
        if "nll" not in self.metrics or "nll" not in found:
            return False
        size = max(figure["examples"] for figure in found.values())
        fewer = found["nll"]["examples"] < min(self.evaluation.nll_images, size)
        return fewer or not found["nll"]["note"].startswith(f"{self.evaluation.nll_samples} importance samples")

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


def add_run(row: Row, run: RunDirectory, columns: list[Column]) -> None:
    """Puts a run, and its figures for a table's columns, into its row.

    Raises:
        RunError: a damaged evaluation.
    """
    evaluation, text = run.evaluated(), run.config.read_text(encoding="utf-8")
    seed = run.experiment().train.seed
    row.runs.append(RunSummary(seed, run.path.as_posix(), text, evaluation))
    for column in columns:
        value = _figure_of(run, evaluation, column)
        if value is not None:
            row.values.setdefault(column.key, []).append(value)


def _figure_of(run: RunDirectory, evaluation: dict[str, Any], column: Column) -> float | None:
    """A run's figure for a column, in the column's unit; None where it was not measured."""
    if column.metric in OF_TRAINING:
        from zoo.training.callbacks.record import rows

        seconds = [row["seconds"] for row in rows(run.seconds)]
        return sum(seconds) / 3600 if seconds else None
    found = evaluation.get(column.split, {}).get(NEGATED.get(column.metric, column.metric))
    if found is None:
        return None
    sign = -1.0 if column.metric in NEGATED else 1.0
    return sign * found["value"] * (100.0 if column.percent else 1.0)


def relative(values: dict[str, list[float]], base: str) -> dict[str, list[float]]:
    """Rows' hours of training as factors of the mean of one of them; nothing where that one was not measured."""
    if not values.get(base):
        return {}
    unit = statistics.fmean(values[base])
    return {row: [value / unit for value in of_row] for row, of_row in values.items()}
