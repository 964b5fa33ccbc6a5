"""The content of a report, before it is written as text, CSV, LaTeX or a page."""

from __future__ import annotations

import functools
import statistics
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from zoo.doctor.diagnosis import Diagnosis
from zoo.report.columns import Column, Estimate, Printed
from zoo.report.statements import Contestant, Standing, standing

Verdict = Literal["shown", "not shown", "contradicted", "not measured", "not printed"]


class Judgement(NamedTuple):
    """A claim on one data set: verdict and reason, of our figures and of the printed ones."""

    says: str
    data: str
    verdict: Verdict
    because: str
    printed: Verdict
    printed_because: str = ""


@dataclass(frozen=True)
class RunSummary:
    """One trained run: where it lies, its configuration as YAML, what it was evaluated to, and what the doctor says.

    There is no diagnosis where the evaluation does not suffice for one.
    """

    seed: int
    path: str
    configuration: str
    evaluation: dict[str, Any]
    diagnosis: Diagnosis | None = None

    def figures(self) -> list[tuple[str, ...]]:
        """The evaluation as lines: split, metric, value (± its standard error), unit, examples, note."""
        found: list[tuple[str, ...]] = []
        for split, metrics in self.evaluation.items():
            for name, one in metrics.items():
                error = one.get("error")
                value = f"{one['value']:.5g}" + ("" if error is None else f" ± {error:.2g}")
                found.append((split, name, value, one["unit"], f"{one['examples']:,}", one.get("note", "")))
        return found


@dataclass(frozen=True)
class Row:
    """A row of a table: a method on a data set, over its seeds.

    Attributes:
        name: the row's.
        data: the data set.
        values: by column's key, a figure for each seed that has one; in the column's unit (percent where it says so).
        printed: by column's key, the paper's number.
        runs: one a seed.
        status: why there are no figures; empty where there are.
        recipe: `printed`, or `zoo` for the recipe that all methods share here.
        note: a word on the row.
    """

    name: str
    data: str
    values: dict[str, list[float]] = field(default_factory=dict)
    printed: dict[str, Printed] = field(default_factory=dict)
    runs: list[RunSummary] = field(default_factory=list)
    status: str = ""
    recipe: str = "printed"
    note: str = ""

    def estimate(self, key: str) -> Estimate | None:
        """Mean and sample standard deviation over seeds; None where nothing was measured."""
        values = self.values.get(key)
        if not values:
            return None
        deviation = statistics.stdev(values) if len(values) > 1 else None
        return Estimate(statistics.fmean(values), deviation, len(values))

    def of_fewer(self, one: Estimate) -> str:
        """`1 of 2 seeds`, where a figure rests on fewer seeds than the row has; else empty."""
        return f"{one.seeds} of {len(self.runs)} seeds" if one.seeds < len(self.runs) else ""

    def collapsed(self) -> bool | None:
        """Whether a seed has a symptom of collapse, be it too early for the verdict; None where that is not known."""
        known = [run.diagnosis.symptom for run in self.runs if run.diagnosis is not None]
        return True if any(known) else False if known and len(known) == len(self.runs) else None

    def health(self) -> str:
        """What the doctor says of seeds that are not well, such as `collapsed (1 of 2 seeds)`; empty if nothing."""
        verdicts = [run.diagnosis.verdict for run in self.runs if run.diagnosis is not None]
        found = []
        for verdict in dict.fromkeys(each for each in verdicts if each in ("collapsed", "diverged", "undertrained")):
            count = verdicts.count(verdict)
            found.append(verdict if count == len(self.runs) else f"{verdict} ({count} of {len(self.runs)} seeds)")
        return ", ".join(found)

    def whose_recipe(self) -> str:
        """In words."""
        return "the zoo's" if self.recipe == "zoo" else "printed"

    def seeds(self) -> str:
        """How many seeds were measured, in words; empty where none was."""
        count = max([len(self.runs), *map(len, self.values.values())])
        return _in_words(count) if count else ""


@dataclass(frozen=True)
class Illustration:
    """A figure of a report: files beside it, and the SVG's text to put into a page."""

    name: str
    caption: str
    png: bytes
    svg: str


@dataclass(frozen=True)
class Report:
    """A report.

    Attributes:
        title: what is compared.
        source: the paper and the number of its table; empty for a report on runs of one's own.
        command: what gives this report.
        columns: of the table.
        rows: grouped by data set, in the table's order.
        judgements: of the paper's claims.
        differs: what differed from the paper, a sentence each.
        illustrations: figures.
        created: the date, ISO.
        versions: of the zoo and what it runs on.
        unsaid: what the rows share that their names leave out, a sentence.
        baseline: the row that all others are set against; empty for none.
    """

    title: str
    source: str
    command: str
    columns: list[Column]
    rows: list[Row]
    judgements: list[Judgement] = field(default_factory=list)
    differs: list[str] = field(default_factory=list)
    illustrations: list[Illustration] = field(default_factory=list)
    created: str = ""
    versions: dict[str, Any] = field(default_factory=dict)
    unsaid: str = ""
    baseline: str = ""

    def data_sets(self) -> list[str]:
        """In the rows' order."""
        return list(dict.fromkeys(row.data for row in self.rows))

    def differs_title(self) -> str:
        """Over `differs`."""
        return "What differed from the paper" if self.source else "What to know"

    def seeds(self) -> str:
        """How many seeds the measured rows have, in words: every mean comes with it."""
        counts = sorted({len(row.runs) for row in self.rows if row.runs})
        if not counts:
            return "nothing measured"
        return " or ".join(map(_in_words, counts))

    def notes(self) -> dict[str, str]:
        """The rows' notes by name; with the data set where a row has not the same one on all of them."""
        found: dict[str, str] = {}
        for row in self.rows:
            notes = {other.note for other in self.rows if other.name == row.name}
            if row.note:
                found[row.name if len(notes) == 1 else f"{row.name} ({row.data})"] = row.note.rstrip(".")
        return found

    @functools.cached_property
    def standings(self) -> dict[tuple[str, str], Standing]:
        """Who is best, by column's key and data set."""
        blocks = {data: [row for row in self.rows if row.data == data] for data in self.data_sets()}
        found = {}
        for data, rows in blocks.items():
            for one in self.columns:
                contestants = [Contestant(row.name, row.estimate(one.key), row.collapsed()) for row in rows]
                found[one.key, data] = standing(one, contestants)
        return found

    def is_best(self, row: Row, column: Column) -> bool:
        """Whether a row is shown to be the best of a column on its data set."""
        return self.standings[column.key, row.data].best == row.name

    @functools.cached_property
    def units(self) -> dict[str, str]:
        """`unit`, by column's key."""
        return {column.key: self.unit(column) for column in self.columns}

    @functools.cached_property
    def printed_keys(self) -> frozenset[str]:
        """The keys of the columns in which the paper has a number."""
        return frozenset(key for row in self.rows for key in row.printed)

    def unit(self, column: Column) -> str:
        """`%`, or as the evaluations have it; empty where nobody measured."""
        if column.percent:
            return "%"
        splits = [run.evaluation.get(column.split, {}) for row in self.rows for run in row.runs]
        units = [split[column.metric]["unit"] for split in splits if column.metric in split]
        return " or ".join(dict.fromkeys(units))


def _in_words(seeds: int) -> str:
    return "one seed" if seeds == 1 else f"{seeds} seeds"
