"""A report as CSV in long form."""

from __future__ import annotations

import csv as _csv
import io

from zoo.report.content import Report

FIELDS = (
    "data",
    "row",
    "column",
    "header",
    "unit",
    "mean",
    "deviation",
    "seeds",
    "values",
    "best",
    "collapsed",
    "status",
)
OF_A_PAPER = ("recipe", "printed_mean", "printed_deviation")
_KNOWN = {True: "yes", False: "no", None: ""}


def csv(c: Report) -> str:
    """Writes the figures in long form: a line for each row and column, at full precision.

    Fields are those of `FIELDS` and, where there is a paper, of `OF_A_PAPER`. `column` is the metric's name
    (`metric@split` where it is not the test's), `unit` is `%` where the figures are percentages, `seeds` counts those
    that the mean is of, and `values` has the figure of each, with spaces between. `best` is `yes` where the row is
    shown to be the best of its data set; where it is ahead and that is no statement, it says why: `noise`, `collapsed`
    or `unknown`. `collapsed` is `yes` or `no`, as far as it is known. What was not measured or printed is empty.
    """
    text = io.StringIO()
    writer = _csv.writer(text, lineterminator="\n")
    writer.writerow((*FIELDS, *OF_A_PAPER) if c.source else FIELDS)
    for row in c.rows:
        for column in c.columns:
            ours = row.estimate(column.key) or (None, None, 0)
            each = " ".join(map(repr, row.values.get(column.key, [])))
            standing = c.standings[column.key, row.data]
            best = "yes" if standing.best == row.name else standing.obstacle if standing.leader == row.name else ""
            name = (row.data, row.name, column.key, column.header, c.units[column.key])
            line = [*name, *ours, each, best, _KNOWN[row.collapsed()], row.status]
            writer.writerow([*line, row.recipe, *(row.printed.get(column.key) or (None, None))] if c.source else line)
    return text.getvalue()
