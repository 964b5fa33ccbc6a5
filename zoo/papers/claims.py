"""Whether what a paper says of its numbers holds in ours."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise

from zoo.papers.entries import Claim
from zoo.papers.table import PaperTable
from zoo.report.columns import Column, Estimate
from zoo.report.content import Judgement, Row, Verdict


def judge(
    claim: Claim, better: str | None, found: Mapping[str, Estimate], others: Mapping[str, Estimate] | None = None
) -> tuple[Verdict, str]:
    """Sets a claim against numbers.

    A claim holds where every pair of rows stands in the claimed order; it is tied where some are equal; it is within
    the noise where a pair lies closer than the standard error of its difference, as seeds tell it (one seed tells
    nothing); it does not hold as soon as one pair stands the other way round, which is then named.

    Args:
        claim: what is claimed.
        better: whether `higher` or `lower` is better in the claim's column.
        found: by row, for the rows that the paper has.
        others: rows of our own, which a claim about the best does not speak of, but which it may be beaten by.

    Returns:
        The verdict, and why.
    """
    sign = -1.0 if better == "lower" else 1.0
    if claim.best is not None:
        pairs = [(claim.best, row) for row in found if row != claim.best]
        needed = [claim.best]
    else:
        pairs, needed = list(pairwise(claim.order)), claim.order
    found = {row: one for row, one in found.items() if not math.isnan(one.mean)}
    pairs = [(a, b) for a, b in pairs if claim.best is None or b in found]
    absent = [row for row in needed if row not in found]
    if absent or not pairs:
        return "not measured", f"no number for {', '.join(absent)}" if absent else "nothing to compare with"
    gaps = {(a, b): sign * (found[a].mean - found[b].mean) for a, b in pairs}
    wrong = [pair for pair, gap in gaps.items() if gap < 0]
    if wrong:
        return "does not hold", "; ".join(f"{b} {_pair(found, b, a)}" for a, b in wrong)
    tied = [pair for pair, gap in gaps.items() if gap == 0]
    close = [(a, b) for (a, b), gap in gaps.items() if 0 < gap < math.hypot(*(found[r].standard_error for r in (a, b)))]
    because = "; ".join(f"{a} {_pair(found, a, b)}" for a, b in (tied or close or pairs[:3]))
    if claim.best is not None and others:
        above = [row for row, other in others.items() if sign * (other.mean - found[claim.best].mean) > 0]
        because += "".join(f"; but {row}, not among the paper's, is better ({others[row].mean:.5g})" for row in above)
    return ("tied" if tied else "within the noise" if close else "holds"), because


def _pair(found: Mapping[str, Estimate], a: str, b: str) -> str:
    return f"({found[a].mean:.5g}) against {b} ({found[b].mean:.5g})"


def judgements(table: PaperTable, rows: list[Row]) -> list[Judgement]:
    """All claims of a table on all data sets that they speak of and that have rows here."""
    columns = {column.key: column for column in table.columns}
    found = []
    for claim in table.claims:
        column = columns[claim.metric]
        for data in dict.fromkeys(row.data for row in rows):
            if claim.data is not None and data not in claim.data:
                continue
            here = {row.name: row for row in rows if row.data == data}
            estimates = {name: row.estimate(claim.metric) for name, row in here.items()}
            measured = {name: one for name, one in estimates.items() if one is not None}
            papers = {name: one for name, one in measured.items() if table.rows[name].recipe == "printed"}
            ours = {name: one for name, one in measured.items() if name not in papers}
            verdict, because = judge(claim, column.better, papers, ours)
            absent = [row for row in table.printed.get(data, {}) if row not in papers]
            if claim.best is not None and absent and verdict != "not measured":
                because += f"; not measured: {', '.join(absent)}"
            if verdict != "not measured" and any(one.seeds == 1 for one in papers.values()):
                because += "; one seed"
            found.append(Judgement(claim.says, data, verdict, because, printed_verdict(table, claim, column, data)))
    return found


def printed_verdict(table: PaperTable, claim: Claim, column: Column, data: str) -> Verdict:
    """Whether a claim holds in the paper's own numbers."""
    numbers = {row: table.number(data, row, column) for row in table.rows}
    means = {row: Estimate(number.mean, None, 1) for row, number in numbers.items() if number is not None}
    verdict, _ = judge(claim, column.better, means)
    return "not printed" if verdict == "not measured" else verdict
