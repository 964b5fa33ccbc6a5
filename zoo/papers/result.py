"""A paper's table with our numbers beside its own, from the runs as they lie there."""

from __future__ import annotations

import datetime
import statistics
from dataclasses import replace
from pathlib import Path

from zoo.experiments.run_directory import RunDirectory, RunError
from zoo.experiments.run_files import environment
from zoo.papers.claims import judgements
from zoo.papers.differences import differences
from zoo.papers.plan import Plan
from zoo.papers.table import Cell
from zoo.report.content import Illustration, Report, Row
from zoo.report.gallery.plot import OF_ONE
from zoo.report.illustrating import (
    Announce,
    drawn_images,
    illustration,
    images_of,
    rests_on,
    seed_labels,
    watched_images,
)
from zoo.report.reading import add_run


def collect(plan: Plan, wrong: dict[Path, str], command: str, announce: Announce) -> Report:
    """Puts a report together from the runs as they lie there.

    Args:
        plan: what was to be done.
        wrong: what went wrong, by the run's path.
        command: what gives this report.
        announce: is told of figures that cannot be drawn.
    """
    table = plan.table
    rows = [_row(plan, cell, wrong) for cell in plan.cells]
    for column in (column for column in table.columns if column.metric == "training_factor"):
        for data in dict.fromkeys(row.data for row in rows):
            here = [row for row in rows if row.data == data and column.key in row.values]
            factors = relative({row.name: row.values[column.key] for row in here}, next(iter(table.rows)))
            for row in here:
                row.values[column.key] = factors.get(row.name, [])
    return Report(
        title=table.title,
        source=table.source,
        command=command,
        columns=table.columns,
        rows=rows,
        judgements=judgements(table, rows),
        differs=[*differences(table, plan.cells, rows, plan.evaluation), *table.differs],
        illustrations=_illustrations(plan, announce),
        created=datetime.date.today().isoformat(),
        versions=environment(),
        baseline=table.baseline,
    )


def _row(plan: Plan, cell: Cell, wrong: dict[Path, str]) -> Row:
    table, settings = plan.table, plan.table.rows[cell.row]
    printed = {column.key: table.number(cell.data, cell.row, column) for column in table.columns}
    row = Row(
        cell.row,
        cell.data,
        printed={key: number for key, number in printed.items() if number is not None},
        status=f"not in the zoo yet: {cell.missing}" if cell.missing else "",
        recipe=settings.recipe,
        note=settings.note,
    )
    search, jobs = plan.searches.get((cell.row, cell.data)), plan.jobs.get((cell.row, cell.data), [])
    if search and jobs:
        row = replace(row, note="; ".join(filter(None, [settings.note, search.note()])))
    paths = [*([search.place.path] if search else []), *(job.run.path for job in jobs)]
    failed = [wrong[path] for path in paths if path in wrong]
    reasons: dict[str, None] = {}
    for job in jobs:
        if not job.run.model.is_file():
            continue
        try:
            add_run(row, job.run, table.columns)
            reasons |= {f"{metric}: {why}": None for metric, why in job.run.left_out("test").items()}
        except RunError as error:
            failed.append(str(error))
    if cell.missing or row.values:
        return replace(row, note="; ".join([*filter(None, [row.note]), *dict.fromkeys(failed), *reasons]))
    return replace(row, status="; ".join(dict.fromkeys(failed)) or "; ".join(reasons) or "not measured")


def _illustrations(plan: Plan, announce: Announce) -> list[Illustration]:
    """The table's figures for every data set that has runs, and what its models make of images."""
    found: list[Illustration] = []
    several = len(plan.table.experiments) > 1
    for figure in plan.table.figures:
        for data in [figure.data] if figure.data else dict.fromkeys(cell.data for cell in plan.cells):
            rows = _runs(plan, data, figure.rows)
            runs = seed_labels(rows)
            if figure.plot in OF_ONE:
                rows = {name: group[:1] for name, group in list(rows.items())[:1]}
                runs = seed_labels(rows)
            if runs:
                caption = f"{figure.caption} ({data})" if several else figure.caption
                images = images_of(figure.plot, figure.options) or watched_images(rows)
                caption += f": {rests_on(rows, images)}."
                name = f"{len(found) + 1:02d}-{figure.plot}-{data}"
                found += illustration(name, figure.plot, runs, caption, announce, **figure.options)
    for data in dict.fromkeys(cell.data for cell in plan.cells):
        found += drawn_images(f"{len(found) + 1:02d}-images-{data}", _runs(plan, data), announce)
    return found


def _runs(plan: Plan, data: str, rows: list[str] | None = None) -> dict[str, list[RunDirectory]]:
    """The trained runs of a data set's rows, those named or all; all seeds."""
    wanted = rows or list(dict.fromkeys(cell.row for cell in plan.cells))
    found = {row: [job.run for job in plan.jobs.get((row, data), []) if job.run.model.is_file()] for row in wanted}
    return {row: runs for row, runs in found.items() if runs}


def relative(values: dict[str, list[float]], base: str) -> dict[str, list[float]]:
    """Rows' hours of training as factors of the mean of one of them; nothing where that one was not measured."""
    if not values.get(base):
        return {}
    unit = statistics.fmean(values[base])
    return {row: [value / unit for value in of_row] for row, of_row in values.items()}
