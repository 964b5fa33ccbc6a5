"""What a run has to say in a row of a report: its configuration, its evaluation and its figures."""

from __future__ import annotations

import statistics
from typing import Any

from zoo.doctor.examination import recorded
from zoo.experiments.run_directory import RunDirectory
from zoo.metrics.names import TRAINING, named
from zoo.report.columns import Column
from zoo.report.content import Row, RunSummary


def add_run(row: Row, run: RunDirectory, columns: list[Column]) -> None:
    """Puts a run, and its figures for a table's columns, into its row.

    Raises:
        RunError: a damaged evaluation.
    """
    evaluation, text = run.evaluated(), run.config.read_text(encoding="utf-8")
    seed = run.experiment().train.seed
    row.runs.append(RunSummary(seed, run.path.as_posix(), text, evaluation, recorded(run)))
    for column in columns:
        value = _figure_of(run, evaluation, column)
        if value is not None:
            row.values.setdefault(column.key, []).append(value)


def _figure_of(run: RunDirectory, evaluation: dict[str, Any], column: Column) -> float | None:
    """A run's figure for a column, in the column's unit; None where it was not measured."""
    name = named(column.metric)
    if name.group == TRAINING:
        return _of_training(run, column.metric)
    found = evaluation.get(column.split, {}).get(name.minus or column.metric)
    if found is None:
        return None
    sign = -1.0 if name.minus else 1.0
    return sign * found["value"] * (100.0 if column.percent else 1.0)


def _of_training(run: RunDirectory, metric: str) -> float | None:
    """Hours of the whole, or milliseconds of a step in the median epoch; None where neither is known.

    The first epoch has the tracing of the step, and others what the machine did beside.
    """
    from zoo.training.metrics_file import rows

    seconds, history = [row["seconds"] for row in rows(run.seconds)], rows(run.metrics)
    if not seconds:
        return None
    if metric != "step_milliseconds":
        return sum(seconds) / 3600
    last = history[-1] if history else {}
    return 1000 * statistics.median(seconds) * last["epoch"] / last["step"] if "step" in last else None
