"""What stands above a report's table: what its figures are, what they rest on, and what bold states."""

from __future__ import annotations

from zoo.metrics.names import named
from zoo.report.columns import Column, heading
from zoo.report.content import Report
from zoo.report.statements import RULE, obstacles


def legend(c: Report) -> list[str]:
    """Paragraphs: the figures; what the rows' names leave out; what is bold; why a leader is not."""
    figures = [f"Mean (standard deviation over seeds), {c.seeds()}", _units(c), _examples(c)]
    standings = c.standings.values()
    ours = "our own figures" if c.source else "the figures"
    bold = ""
    if any(one.best for one in standings):
        bold = f"Bold: the best of {ours} on a data set, ahead of every other row by {RULE}."
    elif any(one.obstacle == "noise" for one in standings):
        bold = f"Nothing is bold: no row is ahead of every other by {RULE}, which a single seed cannot show."
    text = " ".join(f"{sentence}." for sentence in figures if sentence)
    return [*filter(None, [text, c.unsaid, bold]), *obstacles(c.columns, c.standings)]


def _units(c: Report) -> str:
    units = {heading(column): c.units[column.key] for column in c.columns}
    parts = ["In nats"] if "nats" in units.values() else []
    # A count needs no unit beside its name.
    counts = {heading(column) for column in c.columns if column.metric == "active_units"}
    parts += [f"{name}: {unit}" for name, unit in units.items() if unit not in {"", "%", "nats"} and name not in counts]
    return "; ".join(parts)


def _examples(c: Report) -> str:
    """On how many examples the columns were measured: one number for most, others by name."""
    counts = {heading(column): _counted(c, column) for column in c.columns}
    found = [count for count in counts.values() if count]
    if not found:
        return ""
    usual = max(found, key=found.count)
    others: dict[str, list[str]] = {}
    for name, count in counts.items():
        if count not in ("", usual):
            others.setdefault(count, []).append(name)
    return "; ".join([f"Measured on {usual}", *(f"{', '.join(names)}: {count}" for count, names in others.items())])


def _counted(c: Report, column: Column) -> str:
    metric = named(column.metric).minus or column.metric
    figures = [run.evaluation.get(column.split, {}).get(metric) for row in c.rows for run in row.runs]
    numbers = sorted({figure["examples"] for figure in figures if figure})
    if not numbers:
        return ""
    few = f"{numbers[0]:,}" if len(numbers) == 1 else f"{numbers[0]:,} to {numbers[-1]:,}"
    return f"{few} {column.split} examples"
