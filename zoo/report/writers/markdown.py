"""A report as Markdown, for GitHub and for reading as it is."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

from zoo.export.readme import escape, fenced
from zoo.report.against import Difference, against, compared, reading, verdicts
from zoo.report.columns import Column, groups, heading, shown
from zoo.report.content import Report, Row, RunSummary
from zoo.report.legend import legend

SIGNS = {
    "shown": "✓",
    "not shown": "≈",
    "contradicted": "✗",
    "not printed": "–",
    "not measured": "–",
}
NOTHING = "–"


def markdown(c: Report) -> str:
    """Writes tables, differences from a baseline, claims, what differed, figures (files beside it), runs and versions.

    A row's second line is the paper's.
    """
    what = " · ".join(filter(None, [escape(c.source), c.created, c.seeds()]))
    lines = [f"# {escape(c.title)}", "", what, "", "    " + " ".join(c.command.split()), ""]
    for text in legend(c):
        lines += [escape(text), ""]
    for data in c.data_sets():
        lines += [f"## {escape(data)}", ""]
        for group, columns in groups(c.columns) or [("", [])]:
            lines += [*([f"### {escape(group)}", ""] if group else [])]
            lines += [*_figures(c, [row for row in c.rows if row.data == data], columns), ""]
    if c.baseline:
        lines += _baseline(c)
    if c.judgements:
        lines += ["## Claims", "", *_claims(c), ""]
    if c.differs:
        lines += [f"## {c.differs_title()}", "", *(f"- {escape(sentence)}" for sentence in c.differs), ""]
    if c.illustrations:
        lines += ["## Figures", ""]
        for picture in c.illustrations:
            caption = escape(picture.caption)
            lines += [f"![{caption}](figures/{quote(picture.name)}.png)", "", f"*{caption}*", ""]
    if any(row.runs for row in c.rows):
        lines += ["## Runs", ""]
        for of, run in ((row, run) for row in c.rows for run in row.runs):
            lines += [*_run(of, run), ""]
    if c.versions:
        lines += ["## Versions", "", ", ".join(f"{escape(k)} {escape(str(v))}" for k, v in c.versions.items()), ""]
    return "\n".join(lines).rstrip() + "\n"


def _table(heads: Iterable[str], right: range, rows: Iterable[Iterable[str]]) -> list[str]:
    heads = list(heads)
    rule = ("---:" if i in right else "---" for i in range(len(heads)))
    return [f"| {' | '.join(cells)} |" for cells in [heads, rule, *rows]]


def _figures(c: Report, rows: list[Row], columns: list[Column]) -> list[str]:
    heads = ["", *(escape(heading(column)) for column in columns), "seeds", *(["recipe"] if c.source else []), "note"]
    lines: list[list[str]] = []
    for row in rows:
        note = escape("; ".join(filter(None, [row.status, row.health(), row.note])))
        ours = [_ours(c, row, column) for column in columns]
        lines.append(
            [escape(row.name), *ours, row.seeds() or NOTHING, *([row.whose_recipe()] if c.source else []), note]
        )
        if row.printed:
            printed = [row.printed.get(column.key) for column in columns]
            texts = [shown(column, *one) if one else "" for column, one in zip(columns, printed, strict=True)]
            lines.append(["↳ paper", *texts, "", "", ""])
    return _table(heads, range(1, len(columns) + 1), lines)


def _ours(c: Report, row: Row, column: Column) -> str:
    found = row.estimate(column.key)
    if found is None:
        return NOTHING
    mean, *deviation = shown(column, found.mean, found.deviation).split(" ")
    fewer = [f"[{row.of_fewer(found)}]"] if row.of_fewer(found) else []
    return " ".join([f"**{mean}**" if c.is_best(row, column) else mean, *deviation, *map(escape, fewer)])


def _baseline(c: Report) -> list[str]:
    lines = [f"## Against {escape(c.baseline)}", ""]
    for text in reading(c):
        lines += [escape(text), ""]
    columns = compared(c)
    heads = ["", *(escape(heading(column)) for column in columns)]
    for data in c.data_sets():
        found = against(c, data)
        rows = ([escape(row), *(_difference(of.get(one.key)) for one in columns)] for row, of in found.items())
        if found:
            lines += [f"### {escape(data)}", "", *(f"- {escape(text)}" for text in verdicts(c, data)), ""]
            lines += [*_table(heads, range(1, len(columns) + 1), rows), ""]
    return lines


def _difference(one: Difference | None) -> str:
    return escape(f"{one.text()} {one.in_errors()}".strip()) if one else NOTHING


def _claims(c: Report) -> list[str]:
    heads = ["claim", "data", "here", "because", "in the printed numbers"]
    rows = (
        (
            *(escape(one.says), escape(one.data), verdict(one.verdict), escape(one.because)),
            ": ".join(filter(None, [verdict(one.printed), escape(one.printed_because)])),
        )
        for one in c.judgements
    )
    return _table(heads, range(0), rows)


def verdict(word: str) -> str:
    """A verdict with its sign."""
    return f"{SIGNS[word]} {word}"


def _run(row: Row, run: RunSummary) -> list[str]:
    summary = f"{row.name} on {row.data}, seed {run.seed} ({run.path})"
    for mark, name in (("&", "&amp;"), ("<", "&lt;")):
        summary = summary.replace(mark, name)
    lines = [f"<details><summary>{summary}</summary>", "", fenced("yaml", run.configuration.strip()), ""]
    heads = ["split", "metric", "value", "unit", "examples", "note"]
    rows = ([escape(cell) for cell in line] for line in run.figures())
    return [*lines, *_table(heads, range(2, 3), rows), "", "</details>"]
