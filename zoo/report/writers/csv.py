"""A report as CSV in long form."""

from __future__ import annotations

import csv as _csv
import io

from zoo.report.content import Report

FIELDS = (
    *("data", "row", "recipe", "column", "header", "mean", "deviation", "seeds"),
    *("printed_mean", "printed_deviation", "unit", "status"),
)


def csv(c: Report) -> str:
    """Writes the figures in long form: a line for each row and column, at full precision.

    Fields are those of `FIELDS`; `column` is the metric's name (`metric@split` where it is not the test's), `unit` is
    `%` where the figures are percentages, `seeds` counts those that the mean is of. What was not measured or printed
    is empty.
    """
    text = io.StringIO()
    writer = _csv.writer(text, lineterminator="\n")
    writer.writerow(FIELDS)
    for row in c.rows:
        for column in c.columns:
            ours = row.estimate(column.key) or (None, None, 0)
            printed = row.printed.get(column.key) or (None, None)
            name = (row.data, row.name, row.recipe, column.key, column.header)
            writer.writerow([*name, *ours, *printed, c.unit(column), row.status])
    return text.getvalue()
