"""A report on runs of one's own: seeds of one configuration make a row."""

from __future__ import annotations

import datetime
from collections.abc import Callable

from zoo.experiments.run_directory import RunDirectory, RunError
from zoo.experiments.run_files import environment
from zoo.metrics.names import named
from zoo.models import canonical
from zoo.report.columns import Column
from zoo.report.content import Report, Row
from zoo.report.illustrating import illustration
from zoo.report.reading import add_run

# What such a report shows, as far as one of the runs has it.
METRICS = (
    *("nll", "bits_per_dimension", "elbo", "distortion", "sum_of_squares", "rate", "mutual_information", "marginal_kl"),
    *("active_units", "consistency", "knn_accuracy", "linear_accuracy", "svm_accuracy", "softmax_accuracy"),
)
_DIGITS = {"bits_per_dimension": 3, "active_units": 1}


def _column(metric: str) -> Column:
    name = named(metric)
    percent = name.unit == "fraction"
    header = f"{name.heading} %" if percent else name.heading
    return Column(metric=metric, header=header, better=name.better, percent=percent, digits=_DIGITS.get(metric, 2))


COLUMNS = [_column(metric) for metric in METRICS]


def check(runs: list[RunDirectory]) -> None:
    """Raises what `side_by_side` would, before anything heavy is imported."""
    if len({run.path.resolve() for run in runs}) < len(runs):
        raise RunError("a report names each run once")
    configurations: dict[tuple[str, int], RunDirectory] = {}
    for run in runs:
        run.require_model()
        same = run.experiment().fingerprint(), run.experiment().train.seed
        if same in configurations:
            raise RunError(f"{run.path}: is the same run as {configurations[same].path}, seed included: it counts once")
        configurations[same] = run
        if not run.figures("test"):
            raise RunError(f"{run.path}: has not been evaluated; first: zoo evaluate {run.path}")
        mine, theirs = (one.experiment().data.model_dump() for one in (runs[0], run))
        for key in ("name", "path", "test", "size", "channels", "binarize", "labels"):
            if mine[key] != theirs[key]:
                raise RunError(
                    f"a report is of one data set: data.{key} is {mine[key]!r} in {runs[0].path}, "
                    f"{theirs[key]!r} in {run.path}"
                )


def side_by_side(runs: list[RunDirectory], command: str, announce: Callable[[str], None]) -> Report:
    """Puts the evaluations of finished runs side by side.

    Args:
        runs: of one data set; those that differ in their seed alone make a row together.
        command: what gives this report.
        announce: is told of figures that cannot be drawn.

    Raises:
        RunError: a run without a model or evaluation, runs of different data sets, or one run twice.
    """
    check(runs)
    groups: dict[str, list[RunDirectory]] = {}
    for run in runs:
        groups.setdefault(run.experiment().fingerprint(), []).append(run)
    named = dict(zip(_names([group[0] for group in groups.values()]), groups.values(), strict=True))
    rows = [_row(name, group) for name, group in named.items()]
    labelled = {f"{name} seed {run.experiment().train.seed}": run for name, group in named.items() for run in group}
    first = {name: group[0] for name, group in named.items()}
    return Report(
        title=f"{', '.join(named)} on {runs[0].experiment().data.name}",
        source="",
        command=command,
        columns=[column for column in COLUMNS if any(column.key in row.values for row in rows)],
        rows=rows,
        differs=_likelihoods(rows),
        illustrations=[
            *illustration("history", "history", labelled, "Information against the epoch", announce),
            *illustration("rate-per-unit", "rate_per_unit", first, "Rate of each latent unit", announce),
        ],
        created=datetime.date.today().isoformat(),
        versions=environment(),
    )


def _names(runs: list[RunDirectory]) -> list[str]:
    """Each configuration's methods, and behind them the settings in which those of the same methods differ."""
    flat = [run.experiment().flat() for run in runs]
    methods = ["+".join(canonical(values["model.method"])) for values in flat]
    names = []
    for method, values in zip(methods, flat, strict=True):
        alike = [other for other, name in zip(flat, methods, strict=True) if name == method]
        keys = [k for k in values if k != "train.seed" and any(other.get(k) != values[k] for other in alike)]
        names.append(", ".join([method, *(f"{key} {values[key]}" for key in keys)]))
    return names


def _row(name: str, runs: list[RunDirectory]) -> Row:
    row = Row(name, runs[0].experiment().data.name, recipe="zoo")
    for run in runs:
        add_run(row, run, COLUMNS)
    return row


def _likelihoods(rows: list[Row]) -> list[str]:
    """A sentence where likelihoods are not from as many samples of as many images."""
    found: dict[tuple[str, int], None] = {}
    for run in (run for row in rows for run in row.runs):
        if nll := run.evaluation.get("test", {}).get("nll"):
            found[nll["note"].partition(";")[0], nll["examples"]] = None
    if len(found) < 2:
        return []
    return ["The likelihoods are not alike: " + " / ".join(f"{note}, {n:,} images" for note, n in found) + "."]
