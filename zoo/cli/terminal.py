"""Tables and progress bars for the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from zoo.experiments.measures import Measured


def figure(measured: Measured) -> str:
    """A figure as people read it: `3.1416 ± 0.0021`; a count without decimals."""
    digits = 0 if measured.unit.startswith("units of") else 4
    value = f"{measured.value:.{digits}f}"
    return value if measured.error is None else f"{value} ± {measured.error:.4f}"


def evaluation_table(found: dict[str, Measured], title: str) -> None:
    """Prints figures with their standard errors, units and sample sizes, and below how they were estimated."""
    table = Table(title=title, title_justify="left")
    table.add_column("metric", no_wrap=True)
    table.add_column("value ± error", no_wrap=True)
    table.add_column("unit")
    table.add_column("examples", justify="right")
    figures = [figure(measured) for measured in found.values()]
    # The decimal points, or the ends of whole numbers, below each other.
    places = [len(text.split(" ")[0].split(".")[0]) for text in figures]
    for (name, measured), text, place in zip(found.items(), figures, places, strict=True):
        table.add_row(name, " " * (max(places) - place) + text, measured.unit, f"{measured.examples:,}")
    console = Console(highlight=False, markup=False)
    console.print(table)
    # In a column they would wrap to a word a line.
    for name, measured in found.items():
        if measured.note:
            console.print(f"{name}: {measured.note}", markup=False, soft_wrap=True)


class Stages:
    """What a command is doing where no bar shows it, a context: a line on standard error that goes when the next comes.

    In a file it shows nothing, as nobody waits there.

    Args:
        quiet: shows nothing.
    """

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self.console = Console(stderr=True, markup=False)
        self.live: Live | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self("")

    def __call__(self, what: str) -> None:
        """Shows what is being done now; nothing is done that takes time if it is empty."""
        if self.live is not None:
            self.live.stop()
            self.live = None
        if self.quiet or not what or not self.console.is_terminal:
            return
        # Not drawn by a thread: rich imports while it draws, which fails in one beside other imports.
        self.live = Live(Text(f"{what} …"), console=self.console, transient=True, auto_refresh=False)
        self.live.start()


@contextmanager
def progress_over_tasks(quiet: bool, loading: str = "loading") -> Iterator[Callable[[str, float], None] | None]:
    """A bar on standard error that is told what is being done, and the share of all that is done.

    Args:
        quiet: shows nothing; there is no function to tell then, nor in a file, where nobody waits.
        loading: what is done before the function is called for the first time.
    """
    console = Console(stderr=True, markup=False)
    if quiet or not console.is_terminal:
        yield None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn())
    bar = Progress(*columns, TimeElapsedColumn(), console=console, transient=True)
    number = bar.add_task("", total=1.0)

    def tell(task: str, done: float) -> None:
        stage("")
        # Only now: its thread imports while it draws, which fails in one beside what is imported for loading.
        bar.start()
        bar.update(number, description=task, completed=done)

    with Stages() as stage:
        stage(loading)
        try:
            yield tell
        finally:
            bar.stop()
