"""Tables and progress bars for the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

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
    table.add_column("value ± standard error", no_wrap=True)
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


@contextmanager
def progress_over_tasks(quiet: bool) -> Iterator[Callable[[str, float], None] | None]:
    """A bar on standard error that is told what is being done, and the share of all that is done."""
    console = Console(stderr=True, markup=False)
    if quiet or not console.is_terminal:
        yield None
        return
    # Drawn when it is told something, not by a thread of its own: rich imports while it draws, which fails in a thread
    # while TensorFlow Datasets is being loaded.
    with Progress(console=console, transient=True, auto_refresh=False) as bar:
        number = bar.add_task("loading", total=1.0)
        yield lambda task, done: bar.update(number, description=task, completed=done, refresh=True)
