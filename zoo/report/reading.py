"""What a run has to say in a row of a report: its configuration, its evaluation and its figures."""

from __future__ import annotations

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
        from zoo.training.metrics_file import rows

        seconds = [row["seconds"] for row in rows(run.seconds)]
        return sum(seconds) / 3600 if seconds else None
    found = evaluation.get(column.split, {}).get(name.minus or column.metric)
    if found is None:
        return None
    sign = -1.0 if name.minus else 1.0
    return sign * found["value"] * (100.0 if column.percent else 1.0)
