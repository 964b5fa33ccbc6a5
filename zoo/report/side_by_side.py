"""A report on runs of one's own: seeds of one configuration make a row."""

from __future__ import annotations

import datetime

from zoo.experiments.run_directory import RunDirectory
from zoo.experiments.run_files import environment
from zoo.metrics.names import named
from zoo.report import naming
from zoo.report.columns import Column
from zoo.report.comparable import check_comparable
from zoo.report.content import Illustration, Report, Row
from zoo.report.illustrating import (
    Announce,
    RowRuns,
    drawn_images,
    first_of,
    illustration,
    rate_per_unit,
    rests_on,
    seed_labels,
    watched_images,
)
from zoo.report.reading import add_run

# What such a report shows, as far as one of the runs has it.
GROUPS = {
    "fit": ("elbo", "distortion", "sum_of_squares", "nll", "bits_per_dimension"),
    "information": ("rate", "mutual_information", "marginal_kl", "active_units"),
    "codes": ("consistency", "knn_accuracy", "linear_accuracy", "svm_accuracy", "softmax_accuracy"),
}
# The group of what fewer than half of the rows have.
_RARE = "of some rows only"
_DIGITS = {"bits_per_dimension": 3, "active_units": 1}


def _column(group: str, metric: str) -> Column:
    name = named(metric)
    percent = name.unit == "fraction"
    header, digits = f"{name.heading} %" if percent else name.heading, 1 if percent else _DIGITS.get(metric, 2)
    return Column(metric=metric, header=header, group=group, better=name.better, percent=percent, digits=digits)


COLUMNS = [_column(group, metric) for group, metrics in GROUPS.items() for metric in metrics]


def columns_of(rows: list[Row]) -> list[Column]:
    """The columns in which a row has a figure; those that fewer than half of the rows have come last."""
    counts = {column.key: sum(column.key in row.values for row in rows) for column in COLUMNS}
    common = [column for column in COLUMNS if 2 * counts[column.key] >= len(rows)]
    rare = [column for column in COLUMNS if 0 < 2 * counts[column.key] < len(rows)]
    return [*common, *(column.model_copy(update={"group": _RARE}) for column in rare)]


def side_by_side(runs: list[RunDirectory], command: str, announce: Announce) -> Report:
    """Puts the evaluations of finished runs side by side.

    Args:
        runs: of one data set; those that differ in their seed alone make a row together.
        command: what gives this report.
        announce: is told of figures that cannot be drawn.

    Raises:
        RunError: a run without a model or evaluation, runs of different data sets, or one run twice.
    """
    check_comparable(runs)
    groups: dict[str, list[RunDirectory]] = {}
    for run in runs:
        groups.setdefault(run.experiment().fingerprint(), []).append(run)
    experiments = [group[0].experiment() for group in groups.values()]
    called = naming.names(experiments)
    named_runs = dict(zip(called.names, groups.values(), strict=True))
    data = naming.data_name(experiments[0])
    rows = [_row(name, data, group) for name, group in named_runs.items()]
    return Report(
        title=f"{_title(called.names)} on {data}",
        source="",
        command=command,
        columns=columns_of(rows),
        rows=rows,
        differs=_likelihoods(rows),
        illustrations=[
            *drawn_images("images", named_runs, announce),
            *_history(named_runs, announce),
            *rate_per_unit(named_runs, announce),
        ],
        created=datetime.date.today().isoformat(),
        versions=environment(),
        unsaid=called.unsaid,
    )


def _title(names: list[str]) -> str:
    return " · ".join(names) if len(names) <= 4 else f"{len(names):,} configurations"


def _row(name: str, data: str, runs: list[RunDirectory]) -> Row:
    row = Row(name, data)
    for run in runs:
        add_run(row, run, COLUMNS)
    return row


def _history(rows: RowRuns, announce: Announce) -> list[Illustration]:
    """Information against the epoch, of all seeds."""
    shown = first_of(rows, None)
    caption = f"Information against the epoch, means over seeds: {rests_on(shown, watched_images(shown), rows)}."
    return illustration("history", "history", seed_labels(shown), caption, announce)


def _likelihoods(rows: list[Row]) -> list[str]:
    """A sentence where likelihoods are not from as many samples of as many images."""
    found: dict[tuple[str, int], None] = {}
    for run in (run for row in rows for run in row.runs):
        if nll := run.evaluation.get("test", {}).get("nll"):
            found[nll["note"].partition(";")[0], nll["examples"]] = None
    if len(found) < 2:
        return []
    return ["The likelihoods are not alike: " + " / ".join(f"{note}, {n:,} images" for note, n in found) + "."]
