"""What a report may state: that two means differ, and that a row is the best of its column.

Bold and ✓ are statements. None rests on a difference within the noise, and none on a model that leads by having
collapsed: a code that says nothing has the least marginal KL and the most consistent codes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from zoo.report.columns import Column, Estimate, heading, shown

# A difference is shown from so many of its standard errors on.
SHOWN_FROM = 2.0
RULE = "at least two standard errors of the difference over seeds"


def is_shown(a: Estimate, b: Estimate) -> bool:
    """Whether two means differ by `SHOWN_FROM` standard errors of the difference or more; never with one seed."""
    if a.deviation is None or b.deviation is None:
        return False
    gap = abs(a.mean - b.mean)
    return gap > 0 and gap >= SHOWN_FROM * math.hypot(a.standard_error, b.standard_error)


def not_shown(a: Estimate, b: Estimate) -> str:
    """Why a difference is not shown, in a few words."""
    if a.mean == b.mean:
        return "equal"
    if a.deviation is None or b.deviation is None:
        return "a spread over seeds is missing"
    noise = math.hypot(a.standard_error, b.standard_error)
    return f"{abs(a.mean - b.mean):.2g} apart, two standard errors are {SHOWN_FROM * noise:.2g}"


class Contestant(NamedTuple):
    """A row in a column: its figure, and whether its model has collapsed (None where that is not known)."""

    name: str
    estimate: Estimate | None
    collapsed: bool | None


class Standing(NamedTuple):
    """Who is best in a column, on a data set.

    Attributes:
        best: the row's name; empty where no row is shown to be.
        leader: the row with the best mean, if several have one.
        obstacle: why the leader is not `best`: `collapsed`, `unknown` (whether it has collapsed), `noise`; or empty.
    """

    best: str = ""
    leader: str = ""
    obstacle: str = ""


def standing(column: Column, rows: Sequence[Contestant]) -> Standing:
    """Who is best among the rows of a data set: better than every other row by a difference that is shown."""
    measured = [(row, one) for row in rows if (one := row.estimate) is not None and math.isfinite(one.mean)]
    if column.better is None or len(measured) < 2:
        return Standing()
    sign = 1.0 if column.better == "higher" else -1.0
    (leader, top), *others = sorted(measured, key=lambda each: -sign * each[1].mean)
    alike = [leader, *(row for row, one in others if shown(column, one.mean, None) == shown(column, top.mean, None))]
    if all(row.collapsed for row in alike):
        return Standing("", leader.name, "collapsed")
    if len(alike) > 1 or not all(is_shown(top, one) for _, one in others):
        return Standing("", leader.name, "noise")
    return Standing("", leader.name, "unknown") if leader.collapsed is None else Standing(leader.name, leader.name)


def obstacles(columns: Sequence[Column], standings: Mapping[tuple[str, str], Standing]) -> list[str]:
    """Sentences on the columns in which a leader is not bold though it is ahead: it has collapsed, or may have.

    Args:
        columns: of the table.
        standings: by column's key and data set.
    """
    held: dict[tuple[str, str, str], list[str]] = {}
    headings = {column.key: heading(column) for column in columns}
    for (key, data), one in standings.items():
        if one.obstacle in ("collapsed", "unknown"):
            held.setdefault((one.obstacle, one.leader, data), []).append(headings[key])
    several = len({data for _, data in standings}) > 1
    found = []
    for (obstacle, leader, data), names in held.items():
        where = f"{', '.join(names)}{f' on {data}' if several else ''}"
        if obstacle == "collapsed":
            found.append(
                f"No bold in {where}: no row is ahead of {leader} there, whose codes say next to nothing, or whose "
                "decoder does not heed them (zoo doctor): that is no merit."
            )
        else:
            found.append(
                f"No bold in {where}: {leader} leads there, and whether it has collapsed is not known "
                "(zoo evaluate RUN --metrics terms,information tells)."
            )
    return found
