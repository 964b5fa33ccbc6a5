"""A paper's table with our numbers beside its own: plans the runs, has them trained, and reads the results."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from zoo.experiments.run_directory import RunDirectory, RunError, environment
from zoo.experiments.schema import Experiment
from zoo.models import canonical
from zoo.parameters import nearest
from zoo.report.claims import judgements
from zoo.report.comparison import Comparison, Picture, Row
from zoo.report.differences import differences
from zoo.report.inline import picture
from zoo.report.jobs import Job
from zoo.report.needs import Needs, add_run, needs_of, relative
from zoo.report.paper_table import Budget, Cell, Evaluation, PaperTable


class Plan(NamedTuple):
    """What a reproduction has to do.

    Attributes:
        table: which.
        cells: rows on data sets, those that cannot run included.
        jobs: the runs of each cell, one a seed, by (row, data set).
        evaluation: how likelihoods are estimated.
    """

    table: PaperTable
    cells: list[Cell]
    jobs: dict[tuple[str, str], list[Job]]
    evaluation: Evaluation

    def all_jobs(self) -> list[Job]:
        """Of all cells; seeds outermost, so that an interrupted reproduction has whole rows early."""
        most = max((len(jobs) for jobs in self.jobs.values()), default=0)
        found = [jobs[seed] for seed in range(most) for jobs in self.jobs.values() if seed < len(jobs)]
        # Rows of one configuration (test priors of one model) share their runs.
        return list({job.run.path: job for job in reversed(found)}.values())[::-1]

    def missing(self) -> list[str]:
        """What the zoo does not have yet, and which rows wait for it, a line each."""
        waiting: dict[str, list[str]] = {}
        for cell in self.cells:
            if cell.missing:
                waiting.setdefault(cell.missing, []).append(cell.row)
        return [f"not in the zoo yet: {what}, for {', '.join(dict.fromkeys(rows))}" for what, rows in waiting.items()]


def plan(
    table: PaperTable,
    *,
    budget: Budget = "full",
    only: tuple[str, ...] = (),
    epochs: int | None = None,
    seeds: int | None = None,
    runs: Path = Path("runs"),
) -> Plan:
    """Finds out what a table needs.

    Args:
        table: of `paper_table.load`.
        budget: `small` for minutes to an hour on two cores.
        only: data sets and rows to restrict it to.
        epochs: of every run instead of the table's.
        seeds: 0, 1, … instead of the table's.
        runs: the folder of runs; those of a paper lie in `papers/<paper>` below, under a name that follows from their
            configuration, so that tables share what they have in common.

    Raises:
        ValueError: something in `only` that the table does not have.
    """
    changes = () if epochs is None else (f"train.epochs={epochs}",)
    cells = table.cells(budget, changes)
    data, rows = {cell.data for cell in cells}, {cell.row for cell in cells}
    for name in only:
        if name not in data | rows:
            raise ValueError(f"--only: papers/{table.name} has no {name!r}; {nearest(name, data | rows)}")
    chosen = [
        cell
        for cell in cells
        if (not data.intersection(only) or cell.data in only) and (not rows.intersection(only) or cell.row in only)
    ]
    if not chosen:
        raise ValueError(f"--only: no row of papers/{table.name} fits all of {', '.join(only)}")
    small = budget == "small"
    if small and table.small.data is not None and not data.intersection(only):
        chosen = [cell for cell in chosen if cell.data in table.small.data]
    count = seeds or (table.small.seeds if small else table.seeds)
    jobs = {}
    for cell in chosen:
        if cell.experiment is not None:
            of_cell = [_job(cell, cell.experiment, seed, runs / "papers" / table.paper) for seed in range(count)]
            jobs[cell.row, cell.data] = of_cell
    evaluation = table.small.evaluate if small else table.evaluate
    return Plan(table, chosen, jobs, evaluation)


def _job(cell: Cell, experiment: Experiment, seed: int, folder: Path) -> Job:
    train = experiment.train.model_copy(update={"seed": seed})
    experiment = experiment.model_copy(update={"train": train})
    method = "-".join(canonical(experiment.model.method))
    run = RunDirectory(folder / f"{cell.data}-{method}-{experiment.fingerprint()}-seed{seed}")
    return Job(f"{cell.row} on {cell.data}, seed {seed}", experiment, run)


def collect(plan: Plan, wrong: dict[Path, str], command: str, announce: Callable[[str], None]) -> Comparison:
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
    return Comparison(
        title=table.title,
        source=table.source,
        command=command,
        columns=table.columns,
        rows=rows,
        judgements=judgements(table, rows),
        differs=[*differences(table, plan.cells, rows, plan.evaluation), *table.differs],
        pictures=_pictures(plan, announce),
        created=datetime.date.today().isoformat(),
        versions=environment(),
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
    failed = [wrong[job.run.path] for job in plan.jobs.get((cell.row, cell.data), []) if job.run.path in wrong]
    reasons: dict[str, None] = {}
    for job in plan.jobs.get((cell.row, cell.data), []):
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


def _pictures(plan: Plan, announce: Callable[[str], None]) -> list[Picture]:
    """The table's figures for every data set that has runs."""
    found: list[Picture] = []
    for figure in plan.table.figures:
        for data in [figure.data] if figure.data else dict.fromkeys(cell.data for cell in plan.cells):
            wanted = figure.rows or dict.fromkeys(cell.row for cell in plan.cells)
            jobs = [(row, job) for row in wanted for job in plan.jobs.get((row, data), []) if job.run.model.is_file()]
            if figure.plot == "history":  # the one that shows a spread over seeds
                runs = {f"{row} seed {job.experiment.train.seed}": job.run for row, job in jobs}
            else:
                runs = {row: job.run for row, job in reversed(jobs)}
                runs = dict(reversed(runs.items()))
            if runs:
                caption = f"{figure.caption} ({data})" if len(plan.table.experiments) > 1 else figure.caption
                name = f"{len(found) + 1:02d}-{figure.plot}-{data}"
                found += picture(name, figure.plot, runs, caption, announce, **figure.options)
    return found


def needs(plan: Plan) -> dict[str, Needs]:
    """What the evaluations of a plan's runs must hold, by split."""
    return needs_of(plan.table.columns, plan.evaluation)
