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
from zoo.papers.strengths import StrengthSearch, search_of
from zoo.papers.table import Budget, Cell, PaperTable
from zoo.parameters import nearest


class Plan(NamedTuple):
    """What a reproduction has to do.

    Attributes:
        table: which.
        cells: rows on data sets, those that cannot run included.
        jobs: the runs of each cell, one a seed, by (row, data set); of a cell that is still to be tuned, none.
        evaluation: how likelihoods are estimated.
        searches: of the cells whose hyperparameters are tuned, likewise.
    """

    table: PaperTable
    cells: list[Cell]
    jobs: dict[tuple[str, str], list[Job]]
    evaluation: Evaluation
    searches: dict[tuple[str, str], StrengthSearch]

    def to_search(self) -> list[StrengthSearch]:
        """The searches that have not ended."""
        # Rows that differ in their test alone share one.
        found = {search.place.path: search for search in self.searches.values()}
        return [search for search in found.values() if not search.ended()]

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
    trials = table.small.trials if small else table.tuning.trials
    folder, jobs, searches = runs / table.folder, {}, {}
    for i, cell in enumerate(chosen):
        if cell.experiment is None:
            continue
        place, tuned = (cell.row, cell.data), cell.experiment
        if space := table.rows[cell.row].tune:
            label, stem = f"{cell.row} on {cell.data}", _stem(cell, cell.experiment)
            search = search_of(label, cell.experiment, space, table.tuning, trials, folder / "searches", stem)
            searches[place] = search
            if not (found := search.tuned()):
                continue
            chosen[i], tuned = cell._replace(experiment=found), found
        jobs[place] = [_job(cell, tuned, seed, folder, searches.get(place)) for seed in range(count)]
    evaluation = table.small.evaluate if small else table.evaluate
    return Plan(table, chosen, jobs, evaluation, searches)


def _stem(cell: Cell, experiment: Experiment) -> str:
    return "-".join([cell.data, *canonical(experiment.model.method)])


def _job(cell: Cell, experiment: Experiment, seed: int, folder: Path, search: StrengthSearch | None) -> Job:
    label = f"{cell.row} on {cell.data}, seed {seed}"
    if search and seed == search.experiment.train.seed:
        # The best trial is that run.
        return Job(label, experiment, search.run())
    train = experiment.train.model_copy(update={"seed": seed})
    experiment = experiment.model_copy(update={"train": train})
    run = RunDirectory(folder / f"{_stem(cell, experiment)}-{experiment.fingerprint()}-seed{seed}")
    return Job(label, experiment, run)


def needs(plan: Plan) -> dict[str, Needs]:
    """What the evaluations of a plan's runs must hold, by split."""
    return needs_of(plan.table.columns, plan.evaluation)
