"""Prints what the doctor found: the verdict first, then what it rests on, then what to try."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from zoo.doctor.advice import Remedy
from zoo.doctor.diagnosis import Diagnosis
from zoo.doctor.outlook import Outlook, Row, verdict
from zoo.doctor.survey import Survey

STYLES = {
    "diverged": "bold red",
    "collapsed": "bold red",
    "undertrained": "bold yellow",
    "partial": "bold yellow",
    "healthy": "bold green",
}
# Units in the table; those with the least rate are left to its last line.
SHOWN = 16


def show_diagnosis(subject: str, diagnosis: Diagnosis, tried: list[Remedy]) -> None:
    """The verdict on a run or model."""
    console = Console(highlight=False, markup=False)
    _line(console, f"{subject}: {diagnosis.summary}", STYLES[diagnosis.verdict])
    for finding in diagnosis.findings:
        _line(console, f"  • {finding}")
    table = Table(box=None, padding=(0, 2))
    for heading in ("unit", "rate (nats)", "variance of its mean", ""):
        table.add_column(heading, justify="left" if not heading else "right")
    for unit in diagnosis.units[:SHOWN]:
        state = "" if unit.state == "informative" else unit.state
        table.add_row(str(unit.number), f"{unit.rate:.4f}", f"{unit.variance:.4f}", state)
    if diagnosis.units:
        console.print(table)
    if left := diagnosis.units[SHOWN:]:
        _line(console, f"  and {len(left)} more, none above {left[0].rate:.4f} nats (--json has all)", "dim")
    _try(console, tried)


def show_outlook(subject: str, outlook: Outlook, commands: list[Remedy]) -> None:
    """The outlook of a configuration."""
    console = Console(highlight=False, markup=False)
    style = STYLES.get(verdict(outlook), "bold")
    _line(console, f"{subject}: {outlook.summary}", style)
    if outlook.variance is not None:
        how = " (as it would be learned)" if outlook.learned else ""
        product = f"{outlook.beta:g} · {outlook.variance:.4g} = {outlook.beta * outlook.variance:.4g}"
        _line(console, f"  • β·σ² = {product}{how}; a principal component is kept if its variance is above")
    share = outlook.spectrum.variances.sum() / outlook.spectrum.total if outlook.spectrum.total else 0.0
    _line(
        console,
        f"  • the leading {len(outlook.spectrum.variances)} components have {share:.1%} of the data's variance, "
        f"{outlook.spectrum.total:.4g} in all",
    )
    for note in [*(outlook.rehearsal.findings if outlook.rehearsal else []), *outlook.notes]:
        _line(console, f"  • {note}")
    console.print(_spectrum(outlook) if outlook.kept is None else _limits(outlook))
    _try(console, commands)


def show_survey(survey: Survey) -> None:
    """Prints what was read of each split, and what is wrong with the splits."""
    console = Console(highlight=False)
    _line(console, "data, every example read:", "bold")
    for line in survey.lines:
        _line(console, f"  • {line}")
    for warning in survey.warnings:
        _line(console, f"  ✗ {warning}", "yellow")


def chosen(outlook: Outlook) -> list[Row]:
    """The rows worth a line: powers of two, all units, and where it turns."""
    kept = outlook.kept or 0
    wanted = {1, outlook.latent_dim, kept, kept + 1, *(2**i for i in range(outlook.latent_dim.bit_length()))}
    return [row for row in outlook.rows if row.units in wanted]


def _limits(outlook: Outlook) -> Table:
    table = Table(box=None, padding=(0, 2))
    for heading in ("to keep", "variance of that component", "β below", *([] if outlook.learned else ["or σ² below"])):
        table.add_column(heading, justify="right")
    for row in chosen(outlook):
        limits = [row.beta] if row.variance is None else [row.beta, row.variance]
        mark = " ←" if row.units == outlook.kept else ""
        table.add_row(f"{row.units}", f"{row.component:.4g}", *(f"{limit:.4g}" for limit in limits), mark)
    return table


def _spectrum(outlook: Outlook) -> Table:
    table = Table(box=None, padding=(0, 2))
    for heading in ("component", "variance", "of all"):
        table.add_column(heading, justify="right")
    variances = outlook.spectrum.variances
    for number in sorted({1, len(variances), *(2**i for i in range(len(variances).bit_length()))}):
        if number <= len(variances):
            of_all = variances[number - 1] / outlook.spectrum.total if outlook.spectrum.total else 0.0
            table.add_row(str(number), f"{variances[number - 1]:.4g}", f"{of_all:.1%}")
    return table


def _line(console: Console, text: str, style: Any = None) -> None:
    # Commands and paths must survive copying: no wrapping by us, and no brackets read as markup.
    console.print(text, style=style, markup=False, soft_wrap=True)


def _try(console: Console, tried: list[Remedy]) -> None:
    if tried:
        _line(console, "what to try:", "bold")
    for remedy in tried:
        _line(console, f"  • {remedy.why}")
        _line(console, f"      {remedy.command}", "cyan")
