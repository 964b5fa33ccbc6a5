"""The commands that write reports: on runs of one's own, and on a paper's table."""

from __future__ import annotations

import functools
import shlex
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from zoo.cli.app import Quiet, app, fail, load_tensorflow, say

if TYPE_CHECKING:
    from zoo.papers.plan import Plan


def _command() -> str:
    return shlex.join(["zoo", *sys.argv[1:]])


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN…", help="Evaluated runs of one data set.")],
    to: Annotated[Path, typer.Option(help="The folder of the report.")] = Path("report"),
) -> None:
    """Put runs side by side: report.html, .md, .csv and .tex."""
    from zoo.experiments.run_directory import RunDirectory
    from zoo.report.comparable import check_comparable
    from zoo.report.writers.folder import check_replaceable

    directories = [RunDirectory.open(run) for run in runs]
    check_comparable(directories)
    check_replaceable(to)
    from zoo.report.side_by_side import side_by_side
    from zoo.report.writers.folder import write

    write(side_by_side(directories, _command(), say), to)
    print(to / "report.html")


@app.command()
def reproduce(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="TABLE", help="Such as papers/contrastive/table3 or leaderboard/images.", show_default=False
        ),
    ] = None,
    budget: Annotated[str, typer.Option(help="full, or small: minutes to an hour on two cores.")] = "full",
    only: Annotated[
        str | None, typer.Option(help="Only these data sets or rows, with commas.", show_default=False)
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Instead of the table's.", show_default=False)] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Instead of the table's.", show_default=False)] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Runs at a time.")] = 1,
    runs: Annotated[Path, typer.Option(help="The folder of runs.")] = Path("runs"),
    to: Annotated[
        Path | None, typer.Option(help="The report's folder.  [default: reports/TABLE]", show_default=False)
    ] = None,
    listing: Annotated[bool, typer.Option("--list", help="List the tables and figures.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done.")] = False,
    quiet: Quiet = False,
) -> None:
    """Train what a table needs: a paper's, with our numbers beside the printed ones, or a leaderboard of the zoo's.

    What is trained already is not trained again: an interrupted reproduction goes on with the same command. The exit
    code is 1 where some runs could not be carried out; the report says which.
    """
    from zoo.papers import table as tables
    from zoo.parameters import nearest

    if listing:
        return _list_tables()
    if name is None:
        fail(f"reproduce: needs a TABLE; {nearest('', tables.names())}")
    if budget not in tables.BUDGETS:
        fail(f"--budget: no {budget!r}; {nearest(budget, tables.BUDGETS)}")
    table = tables.load(name)
    chosen = tuple(part.strip() for part in (only or "").split(",") if part.strip())
    from zoo.papers.plan import plan

    # The rows' hyperparameters are checked by the methods' classes.
    load_tensorflow()
    size = cast("tables.Budget", budget)
    plan_now = functools.partial(plan, table, budget=size, only=chosen, epochs=epochs, seeds=seeds, runs=runs)
    planned = plan_now()
    folder = to or Path("reports") / (table.name + ("-small" if budget == "small" else ""))
    for line in planned.missing():
        say(line)
    if dry_run:
        return _list_work(planned)
    if not planned.jobs and not planned.searches:
        fail(f"{table.name}: nothing of it can run yet")
    from zoo.report.writers.folder import check_replaceable, write

    check_replaceable(folder)
    from zoo.papers.reproduction import carry_out
    from zoo.papers.result import collect

    # What ends a batch job ends its trainings too; they are gone on with like any other.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        planned, wrong = carry_out(plan_now, jobs, quiet)
    except KeyboardInterrupt:
        fail("interrupted; go on with the same command", 130)
    for path, text in wrong.items():
        say(f"{path.name}: {text}")
    if wrong and len(wrong) >= len(planned.all_jobs()) + len(planned.to_search()):
        fail(f"{table.name}: none of its runs could be carried out; the first: {next(iter(wrong.values()))}")
    found = collect(planned, wrong, _command(), say)
    write(found, folder)
    for one in found.judgements:
        say(f"{one.verdict}: {one.says} ({one.data}): {one.because}")
    print(folder / "report.html")
    # The report is there, and says which rows are not; a script should know.
    raise typer.Exit(int(bool(wrong)))


def _list_work(planned: Plan) -> None:
    """A line for each search that has not ended, and for each run."""
    for search in planned.to_search():
        print(f"{search.label}  {search.done()} of {search.trials} trials  {search.place.path}  to be tuned")
    for job in planned.all_jobs():
        state = "trained" if job.run.model.is_file() else "to be trained"
        print(f"{job.label}  {job.experiment.train.epochs} epochs  {job.run.path}  {state}")


def _list_tables() -> None:
    """A line for each table: its name, what it shows, and what it waits for."""
    from zoo.papers import table as tables

    for name in tables.names():
        table = tables.load(name)
        lacking = sorted({cell.missing for cell in table.cells("full", resolve=False) if cell.missing})
        waits = f"  (not in the zoo yet: {'; '.join(lacking)})" if lacking else ""
        print(f"{name}  {table.title}{waits}")
