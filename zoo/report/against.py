"""How the rows of a report differ from one of them, its baseline: which are better, in what, by how many errors."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

from zoo.report.columns import Column, Estimate, heading
from zoo.report.content import Report, Row
from zoo.report.statements import RULE, SHOWN_FROM, is_shown

Side = Literal["better", "worse", "open", "collapsed"]
"""`open`: the difference is not shown. `collapsed`: the row is ahead by codes that say nothing, or may be."""

SIGNS: dict[Side, str] = {"better": "▲", "worse": "▼", "open": "", "collapsed": "∅"}


class Difference(NamedTuple):
    """A row's figure less the baseline's.

    Attributes:
        column: in which.
        gap: of the means, in the column's unit.
        errors: the gap in standard errors of the difference over seeds; not a number where one has a single seed.
        side: what it states.
    """

    column: Column
    gap: float
    errors: float
    side: Side

    def text(self) -> str:
        """`▲ −1.21`: what it states, and the gap."""
        gap = f"{self.gap:+.{self.column.digits}f}".replace("-", "−")
        return f"{SIGNS[self.side]} {gap}".strip()

    def in_errors(self) -> str:
        """`(4.0 se)`; empty where there is no spread over seeds."""
        return f"({self.errors:.1f} se)" if math.isfinite(self.errors) else ""


def compared(c: Report) -> list[Column]:
    """The columns in which one way is better."""
    return [column for column in c.columns if column.better is not None]


def against(c: Report, data: str) -> dict[str, dict[str, Difference]]:
    """Row → column's key → its difference from the baseline, on a data set; of what both have.

    Args:
        c: a report with a baseline.
        data: one of its data sets.
    """
    here = [row for row in c.rows if row.data == data]
    found = {}
    for base in (row for row in here if row.name == c.baseline):
        for row in (row for row in here if row is not base):
            pairs = [(column, row.estimate(column.key), base.estimate(column.key)) for column in compared(c)]
            found[row.name] = {column.key: _difference(column, row, base, a, b) for column, a, b in pairs if a and b}
    return {name: of for name, of in found.items() if of}


def _difference(column: Column, row: Row, base: Row, mine: Estimate, its: Estimate) -> Difference:
    gap = mine.mean - its.mean
    noise = math.hypot(mine.standard_error, its.standard_error)
    errors = abs(gap) / noise if noise > 0 else math.inf if gap and not math.isnan(noise) else math.nan
    if not is_shown(mine, its):
        return Difference(column, gap, errors, "open")
    is_ahead = (gap > 0) == (column.better == "higher")
    if (row if is_ahead else base).collapsed() is not False:
        return Difference(column, gap, errors, "collapsed")
    return Difference(column, gap, errors, "better" if is_ahead else "worse")


def verdicts(c: Report, data: str) -> list[str]:
    """A sentence for each column: which rows are better than the baseline, and which are worse."""
    found = against(c, data)
    sentences = []
    for column in compared(c):
        sides = {row: of[column.key].side for row, of in found.items() if column.key in of}
        parts = [f"{word} {_listed(sides, word)}" for word in ("better", "worse") if word in sides.values()]
        if parts:
            sentences.append(f"{heading(column)}: {'; '.join(parts)}.")
        elif sides:
            sentences.append(f"{heading(column)}: no difference is shown.")
    return sentences


def reading(c: Report) -> list[str]:
    """How the differences are to be read: the rule, and how often chance alone satisfies it."""
    texts = [
        f"Each row's mean less that of {c.baseline}, with the number of standard errors of the difference over seeds "
        f"(se). {SIGNS['better']} better and {SIGNS['worse']} worse by {RULE}; {SIGNS['collapsed']} the model "
        "that is ahead has collapsed, or may have, which is no merit."
    ]
    seeds = [len(row.runs) for row in c.rows if len(row.runs) > 1]
    if not seeds:
        return texts
    from scipy.stats import t

    count = sum(len(of) for data in c.data_sets() for of in against(c, data).values())
    chance = 2 * float(t.sf(SHOWN_FROM, 2 * (min(seeds) - 1)))
    texts.append(
        f"These are {count:,} comparisons. With {min(seeds)} seeds a side, two methods that are alike differ by "
        f"{SHOWN_FROM:g} standard errors with a probability of about {chance:.2f}: of the differences that stand near "
        "the rule some are chance."
    )
    return texts


def _listed(sides: dict[str, Side], word: str) -> str:
    return ", ".join(row for row, side in sides.items() if side == word)
