"""Whether what a paper says of its numbers is shown, contradicted or not shown by ours."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise

from zoo.doctor.diagnosis import INFORMATION, UNITS
from zoo.papers.entries import Claim
from zoo.papers.table import PaperTable
from zoo.report.columns import Column, Estimate, Printed
from zoo.report.content import Judgement, Row, Verdict
from zoo.report.statements import is_shown, not_shown

# What a model has that has not collapsed. An estimate within batches is no greater than the information.
_LEAST = {"active_units": UNITS, "mutual_information": INFORMATION, "mutual_information_in_batches": INFORMATION}


def judge(
    claim: Claim,
    better: str | None,
    found: Mapping[str, Estimate],
    others: Mapping[str, Estimate] | None = None,
    collapsed: Mapping[str, bool | None] | None = None,
) -> tuple[Verdict, str]:
    """Sets a claim against numbers.

    A claim is contradicted as soon as one pair of rows stands the other way round, and shown where every pair stands in
    the claimed order, each by a difference that is shown (`zoo.report.statements`): so never with a single seed. A pair
    in which the row that is ahead has collapsed shows nothing. That rows are alike is contradicted by a difference that
    is shown, and never shown itself, for noise would do.

    Args:
        claim: what is claimed.
        better: whether `higher` or `lower` is better in the claim's column.
        found: by row, for the rows that the paper has.
        others: rows of our own, which a claim about the best does not speak of, but which it may be beaten by.
        collapsed: whether a row's codes or decoder have; None where that is not known. Those that it lacks have not.

    Returns:
        The verdict, and why.
    """
    found = {row: one for row, one in found.items() if not math.isnan(one.mean)}
    if claim.alike:
        return _alike(claim.alike, found)
    return _ranked(claim, -1.0 if better == "lower" else 1.0, found, others or {}, collapsed or {})


def _ranked(
    claim: Claim,
    sign: float,
    found: Mapping[str, Estimate],
    others: Mapping[str, Estimate],
    collapsed: Mapping[str, bool | None],
) -> tuple[Verdict, str]:
    """Whether rows stand as claimed; `sign` is 1 where higher is better, else −1."""
    if claim.best is not None:
        pairs = [(claim.best, row) for row in found if row != claim.best]
        needed = [claim.best]
    else:
        pairs, needed = list(pairwise(claim.order)), claim.order
    pairs = [(a, b) for a, b in pairs if claim.best is None or b in found]
    absent = [row for row in needed if row not in found]
    if absent or not pairs:
        return "not measured", f"no number for {', '.join(absent)}" if absent else "nothing to compare with"
    ahead: list[str] = []
    wrong: list[str] = []
    open_: list[str] = []
    for a, b in pairs:
        gap = sign * (found[a].mean - found[b].mean)
        first, second = (a, b) if gap >= 0 else (b, a)
        text = f"{first} {_pair(found, first, second)}"
        state = collapsed.get(first, False)
        if gap and state is not False:
            has = (
                "has codes that say next to nothing, which is no merit"
                if state
                else "may have collapsed: its evaluation does not tell"
            )
            open_.append(f"{text}: {first} {has}")
        elif not is_shown(found[a], found[b]):
            open_.append(f"{text}: {not_shown(found[a], found[b])}")
        else:
            (ahead if gap > 0 else wrong).append(text)
    if wrong:
        return "contradicted", "; ".join(wrong)
    if open_:
        return "not shown", "; ".join(open_)
    because = "; ".join(ahead[:3])
    if claim.best is not None and others:
        best = found[claim.best]
        for row, other in others.items():
            if sign * (other.mean - best.mean) > 0 and collapsed.get(row, False) is False:
                open_to = "" if is_shown(other, best) else f", which is not shown ({not_shown(other, best)})"
                because += f"; but {row}, not among the paper's, is better ({other.mean:.5g}){open_to}"
    return "shown", because


def _alike(rows: Sequence[str], found: Mapping[str, Estimate]) -> tuple[Verdict, str]:
    """Whether rows that are said to be alike differ."""
    if absent := [row for row in rows if row not in found]:
        return "not measured", f"no number for {', '.join(absent)}"
    pairs = list(combinations(rows, 2))
    apart = [f"{a} {_pair(found, a, b)}" for a, b in pairs if is_shown(found[a], found[b])]
    if apart:
        return "contradicted", "; ".join(apart)
    return "not shown", "; ".join(f"{a} {_pair(found, a, b)}: {not_shown(found[a], found[b])}" for a, b in pairs)


def _pair(found: Mapping[str, Estimate], a: str, b: str) -> str:
    return f"({found[a].mean:.5g}) against {b} ({found[b].mean:.5g})"


def judgements(table: PaperTable, rows: list[Row]) -> list[Judgement]:
    """All claims of a table on all data sets that they speak of and that have rows here, in every column of theirs."""
    columns = {column.key: column for column in table.columns}
    found = []
    for claim in table.claims:
        for data in dict.fromkeys(row.data for row in rows):
            if claim.data is None or data in claim.data:
                here = {row.name: row for row in rows if row.data == data}
                found += [_judgement(table, claim, columns[metric], data, here) for metric in claim.metrics]
    return found


def _judgement(table: PaperTable, claim: Claim, column: Column, data: str, here: Mapping[str, Row]) -> Judgement:
    """Of a claim in one of its columns, which is named where there are several."""
    estimates = {name: row.estimate(column.key) for name, row in here.items()}
    measured = {name: one for name, one in estimates.items() if one is not None}
    papers = {name: one for name, one in measured.items() if table.rows[name].recipe == "printed"}
    ours = {name: one for name, one in measured.items() if name not in papers}
    collapsed = {name: row.collapsed() for name, row in here.items()}
    verdict, because = judge(claim, column.better, papers, ours, collapsed)
    absent = [row for row in table.printed.get(data, {}) if row not in papers]
    if claim.best is not None and absent and verdict != "not measured":
        because += f"; not measured: {', '.join(absent)}"
    says = f"{claim.says} (by {column.header})" if claim.printed_as else claim.says
    return Judgement(says, data, verdict, because, *printed_verdict(table, claim, column, data))


def printed_verdict(table: PaperTable, claim: Claim, column: Column, data: str) -> tuple[Verdict, str]:
    """Whether a claim is shown by the paper's own numbers and seeds; without a spread nothing is."""
    numbers = {row: table.number(data, row, column) for row in table.rows}
    means = {row: _printed(number, table.seeds) for row, number in numbers.items() if number is not None}
    collapsed: dict[str, bool | None] = {row: _printed_collapse(table, data, row) for row in means}
    verdict, because = judge(claim, column.better, means, collapsed=collapsed)
    return ("not printed", "") if verdict == "not measured" else (verdict, because)


def _printed(number: Printed, seeds: int) -> Estimate:
    """A printed number; its spread tells noise only where it is one over seeds."""
    return Estimate(number.mean, number.deviation if seeds > 1 else None, seeds)


def _printed_collapse(table: PaperTable, data: str, row: str) -> bool:
    """Whether a paper prints fewer active units, or less information, than a model has that has not collapsed."""
    for column in table.columns:
        number = table.number(data, row, column)
        least = _LEAST.get(column.key)
        if number is not None and least is not None and number.mean < least:
            return True
    return False
