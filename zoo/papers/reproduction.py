"""Carries a plan out: first the searches of the rows that are tuned, then the runs, theirs included."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from zoo.papers.jobs import Jobs
from zoo.papers.plan import Plan, needs


def carry_out(planned: Callable[[], Plan], workers: int = 1, quiet: bool = False) -> tuple[Plan, dict[Path, str]]:
    """Tunes, trains and evaluates what is missing.

    Args:
        planned: gives the plan as things stand; what a search has found is in it once that has ended.
        workers: how many processes at a time.
        quiet: no progress bars.

    Returns:
        The plan with all that was found, and what went wrong, in one line, by the path of the search or run.

    Raises:
        KeyboardInterrupt: after all processes have been stopped; what they did so far is kept, and gone on with.
    """
    wrong: dict[Path, str] = {}
    if searches := planned().to_search():
        wrong = Jobs(workers, {}, quiet).search(searches)
    found = planned()
    return found, wrong | Jobs(workers, needs(found), quiet).carry_out(found.all_jobs())
