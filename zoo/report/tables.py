"""Tables and progress bars for the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

if TYPE_CHECKING:
    from zoo.evaluation import Measured


def evaluation_table(found: dict[str, Measured], title: str) -> None:
    """Prints figures with their units and sample sizes."""
    table = Table(title=title, title_justify="left")
    table.add_column("metric", no_wrap=True)
    table.add_column("value", justify="right")
    table.add_column("unit")
    table.add_column("examples", justify="right")
    table.add_column("note")
    for name, measured in found.items():
        digits = 0 if float(measured.value).is_integer() and name == "active_units" else 4
        table.add_row(name, f"{measured.value:.{digits}f}", measured.unit, f"{measured.examples:,}", measured.note)
    Console().print(table)


@contextmanager
def progress_of(task: str, total: int, quiet: bool) -> Iterator[Callable[[int], None] | None]:
    """A bar on standard error that is told how many are done; None where it would show nothing."""
    if quiet or not total:
        yield None
        return
    with Progress(console=Console(stderr=True), transient=True) as bar:
        number = bar.add_task(task, total=total)
        yield lambda done: bar.update(number, completed=done)
