"""What a paper's table needs: which runs, of which configurations and seeds, and what of their evaluations."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from zoo.experiments.run_directory import RunDirectory
from zoo.experiments.schema import Experiment
from zoo.models import canonical
from zoo.papers.entries import Evaluation
from zoo.papers.jobs import Job
from zoo.papers.needs import Needs, needs_of
from zoo.papers.table import Budget, Cell, PaperTable
from zoo.parameters import nearest


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
        runs: the folder of runs; those of a paper lie in `papers/<paper>` below, those of the leaderboards in
            `leaderboard`, under a name that follows from their configuration, so that tables share what they have in
            common.

    Raises:
        ValueError: something in `only` that the table does not have.
    """
    changes = () if epochs is None else (f"train.epochs={epochs}",)
    cells = table.cells(budget, changes)
    data, rows = {cell.data for cell in cells}, {cell.row for cell in cells}
    for name in only:
        if name not in data | rows:
            raise ValueError(f"--only: {table.name} has no {name!r}; {nearest(name, data | rows)}")
    chosen = [
        cell
        for cell in cells
        if (not data.intersection(only) or cell.data in only) and (not rows.intersection(only) or cell.row in only)
    ]
    if not chosen:
        raise ValueError(f"--only: no row of {table.name} fits all of {', '.join(only)}")
    small = budget == "small"
    if small and table.small.data is not None and not data.intersection(only):
        chosen = [cell for cell in chosen if cell.data in table.small.data]
    count = seeds or (table.small.seeds if small else table.seeds)
    jobs = {}
    for cell in chosen:
        if cell.experiment is not None:
            of_cell = [_job(cell, cell.experiment, seed, runs / table.folder) for seed in range(count)]
            jobs[cell.row, cell.data] = of_cell
    evaluation = table.small.evaluate if small else table.evaluate
    return Plan(table, chosen, jobs, evaluation)


def _job(cell: Cell, experiment: Experiment, seed: int, folder: Path) -> Job:
    train = experiment.train.model_copy(update={"seed": seed})
    experiment = experiment.model_copy(update={"train": train})
    method = "-".join(canonical(experiment.model.method))
    run = RunDirectory(folder / f"{cell.data}-{method}-{experiment.fingerprint()}-seed{seed}")
    return Job(f"{cell.row} on {cell.data}, seed {seed}", experiment, run)


def needs(plan: Plan) -> dict[str, Needs]:
    """What the evaluations of a plan's runs must hold, by split."""
    return needs_of(plan.table.columns, plan.evaluation)
