"""A report as one HTML page that needs nothing else."""

from __future__ import annotations

import base64
from collections import Counter
from importlib import resources
from typing import Any

from zoo.report.against import Difference, against, compared, reading, verdicts
from zoo.report.columns import Estimate, Printed, groups, heading, shown
from zoo.report.content import Illustration, Report, Row
from zoo.report.legend import legend
from zoo.report.writers.markdown import SIGNS

# A larger SVG (a scatter of ten thousand points) makes browsers slow; its PNG is taken instead.
LARGEST_SVG = 300_000

# Of more numbers in a row than these the table is set smaller, so that it fits 1,300 pixels.
_WIDE = 10


def page(c: Report) -> str:
    """Writes the page: style, script and figures are in it, and its security policy forbids to fetch anything.

    Tables sort within their data sets by a click on a header or by keyboard; light, dark and print are provided for.
    All text is escaped.
    """
    import jinja2
    from markupsafe import Markup

    html, style, script = (
        resources.files("zoo.report.writers").joinpath(f"page.{kind}").read_text(encoding="utf-8")
        for kind in ("html", "css", "js")
    )
    environment = jinja2.Environment(
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.from_string(html).render(
        c=c,
        style=Markup(style),
        script=Markup(script),
        legend=legend(c),
        wide=len(c.columns) + sum(column.key in c.printed_keys for column in c.columns) > _WIDE,
        groups=[(name, len(columns)) for name, columns in groups(c.columns) if name],
        heads=[(heading(column), column.key in c.printed_keys, column.better) for column in c.columns],
        blocks={data: [(row, _cells(c, row)) for row in c.rows if row.data == data] for data in c.data_sets()},
        notes=c.notes(),
        compared=[heading(column) for column in compared(c)],
        differences=_differences(c),
        reading=reading(c) if c.baseline else [],
        tally=Counter(one.verdict for one in c.judgements),
        signs=SIGNS,
        image=_image,
    )


def _differences(c: Report) -> dict[str, tuple[list[str], list[tuple[str, list[Difference | None]]]]]:
    """By data set: what is better and worse than the baseline, and the differences of each row, None where missing."""
    found = {data: against(c, data) for data in c.data_sets()} if c.baseline else {}
    keys = [column.key for column in compared(c)]
    return {
        data: (verdicts(c, data), [(row, [of.get(key) for key in keys]) for row, of in rows.items()])
        for data, rows in found.items()
        if rows
    }


def _cells(c: Report, row: Row) -> list[dict[str, Any]]:
    """Of a row: ours and, where the paper prints the column, its figure."""
    found = []
    for column in c.columns:
        pairs: list[tuple[str, Estimate | Printed | None]] = [("ours", row.estimate(column.key))]
        pairs += [("paper", row.printed.get(column.key))] if column.key in c.printed_keys else []
        for whose, one in pairs:
            mean, _, deviation = shown(column, one[0], one[1]).partition(" ") if one else ("", "", "")
            fewer = row.of_fewer(one) if isinstance(one, Estimate) else ""
            best = whose == "ours" and c.is_best(row, column)
            value = "" if one is None else repr(float(one[0]))
            small = " ".join(filter(None, [deviation, fewer]))
            found.append({"whose": whose, "value": value, "mean": mean, "deviation": small, "best": best})
    return found


def _image(picture: Illustration) -> str:
    """A data URI. An SVG as an image shares neither ids nor style with the page, and runs no script."""
    svg = picture.svg.encode()
    kind, content = ("svg+xml", svg) if len(svg) <= LARGEST_SVG else ("png", picture.png)
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
