"""The content of a report, before it is written as text, CSV, LaTeX or a page."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from zoo.report.columns import Column, Estimate, Printed, heading, shown

Verdict = Literal["holds", "within the noise", "tied", "does not hold", "not measured", "not printed"]


class Judgement(NamedTuple):
    """A claim on one data set: the verdict, the sentence that it rests on, and the verdict on the printed numbers."""

    says: str
    data: str
    verdict: Verdict
    because: str
    printed: Verdict


@dataclass(frozen=True)
class RunSummary:
    """One trained run: where it lies, its configuration as YAML and what it was evaluated to."""

    seed: int
    path: str
    configuration: str
    evaluation: dict[str, Any]

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

    def data_sets(self) -> list[str]:
        """In the rows' order."""
        return list(dict.fromkeys(row.data for row in self.rows))

    def seeds(self) -> str:
        """How many seeds the measured rows have, in words: every mean comes with it."""
        counts = sorted({len(row.runs) for row in self.rows if row.runs})
        if not counts:
            return "nothing measured"
        return " or ".join(map(_in_words, counts))

    def best(self, column: Column, data: str) -> set[str]:
        """Names of the rows whose mean, as shown, is the best of a data set's; none where fewer than two have one."""
        found = {row.name: row.estimate(column.key) for row in self.rows if row.data == data}
        means = {name: one.mean for name, one in found.items() if one is not None and math.isfinite(one.mean)}
        if column.better is None or len(means) < 2:
            return set()
        top = (max if column.better == "higher" else min)(means.values())
        return {name for name, mean in means.items() if shown(column, mean, None) == shown(column, top, None)}

    def has_printed(self, column: Column) -> bool:
        """Whether the paper has a number in that column."""
        return any(column.key in row.printed for row in self.rows)

    def unit(self, column: Column) -> str:
        """`%`, or as the evaluations have it; empty where nobody measured."""
        if column.percent:
            return "%"
        splits = [run.evaluation.get(column.split, {}) for row in self.rows for run in row.runs]
        units = [split[column.metric]["unit"] for split in splits if column.metric in split]
        return " or ".join(dict.fromkeys(units))

    def legend(self) -> str:
        """What the figures of the table are: the sentences above it."""
        units = {heading(column): self.unit(column) for column in self.columns}
        parts = ["In nats"] if "nats" in units.values() else []
        parts += [f"{name}: {unit}" for name, unit in units.items() if unit not in {"", "%", "nats"}]
        sentences = [f"Mean (standard deviation over seeds), {self.seeds()}", "; ".join(parts)]
        if any(self.best(column, data) for column in self.columns for data in self.data_sets()):
            sentences.append("Bold: the best of our own figures on a data set")
        return " ".join(f"{sentence}." for sentence in sentences if sentence)


def _in_words(seeds: int) -> str:
    return "one seed" if seeds == 1 else f"{seeds} seeds"
