"""The files of tables and figures: base experiments, grid, seeds, printed numbers and claims.

A table is a YAML file: of a paper `configs/papers/<paper>/<table>.yaml`, of the zoo itself, which prints no numbers but
its own, `configs/leaderboard/<name>.yaml`. Its rows are settings over a base experiment, one base a data set. Nothing
here imports TensorFlow.
"""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator

from zoo.experiments import configurations
from zoo.experiments.schema import ConfigurationError, Experiment, Section, validate
from zoo.papers.entries import Claim, Evaluation, Figure, RowSettings, Small, Tuning, read_printed
from zoo.papers.planned import not_built
from zoo.parameters import Count, nearest, one_line
from zoo.report.columns import Column, Printed

Budget = Literal["full", "small"]
BUDGETS = ("full", "small")


class Cell(NamedTuple):
    """A row on a data set: what is to be trained, or why it cannot be."""

    row: str
    data: str
    experiment: Experiment | None
    missing: str


class PaperTable(Section):
    """A table or figure of a paper, or a leaderboard.

    Attributes:
        name: `papers/contrastive/table3`, or `leaderboard/images`.
        title: what it shows.
        source: authors, year and number; empty where there is no paper.
        seeds: how many the paper ran.
        experiments: the base of each data set's rows, by the data set's name.
        columns: in the order of the printed numbers.
        rows: settings by the row's name.
        printed: data set → row → a number for each column.
        claims: what the paper says of them.
        baseline: the row that all others are set against, in a leaderboard.
        figures: pictures for the report.
        differs: what differs from the paper even in the full run, a sentence each.
        tuning: of the rows with `tune`, in the full run.
        evaluate: of the full run.
        small: of the small one.
    """

    name: str
    title: str
    source: str = ""
    seeds: Count = 1
    experiments: dict[str, str] = Field(min_length=1)
    columns: list[Column] = Field(default_factory=list)
    rows: dict[str, RowSettings] = Field(min_length=1)
    printed: dict[str, dict[str, list[Annotated[Printed | None, BeforeValidator(read_printed)]]]] = Field(
        default_factory=dict
    )
    claims: list[Claim] = Field(default_factory=list)
    baseline: str = ""
    figures: list[Figure] = Field(default_factory=list)
    differs: list[str] = Field(default_factory=list)
    tuning: Tuning = Tuning()
    evaluate: Evaluation = Evaluation()
    small: Small = Small()

    @field_validator("rows", mode="before")
    @classmethod
    def _empty_rows(cls, value: Any) -> Any:
        return {str(k): v or {} for k, v in value.items()} if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _names(self) -> Self:
        for row in self.rows:
            if "," in row:
                raise ValueError(f"rows: {row!r} has a comma, which parts the names of --only")
        for one in self.experiments:
            # They become parts of the names of folders and files.
            if not re.fullmatch(r"[\w.-]+", one) or one.startswith("."):
                raise ValueError(f"experiments: {one!r} must be letters, digits, and - _ . between them")
        keys = [column.key for column in self.columns]
        if twice := [key for key in keys if keys.count(key) > 1]:
            raise ValueError(f"columns: {twice[0]!r} stands there twice")
        return self

    @model_validator(mode="after")
    def _refers(self) -> Self:
        keys = [column.key for column in self.columns]
        named = [(f"printed.{data}", row) for data, rows in self.printed.items() for row in rows]
        named += [
            ("claims", row)
            for claim in self.claims
            for row in [*claim.order, *claim.alike, *filter(None, [claim.best])]
        ]
        named += [("figures", row) for figure in self.figures for row in figure.rows or []]
        named += [("baseline", self.baseline)] if self.baseline else []
        named += [("small.rows", row) for row in self.small.rows or []]
        for where, row in named:
            if row not in self.rows:
                raise ValueError(f"{where}: no row {row!r}; {nearest(row, self.rows)}")
        data = [*self.printed, *self.small.experiments, *(self.small.data or [])]
        data += [d for claim in self.claims for d in claim.data or []]
        data += [d for row in self.rows.values() for d in row.data or []]
        data += [figure.data for figure in self.figures if figure.data]
        for one in data:
            if one not in self.experiments:
                raise ValueError(f"experiments: no data set {one!r}; {nearest(one, self.experiments)}")
        for claim in self.claims:
            for metric in claim.metrics:
                if metric not in keys:
                    raise ValueError(f"claims: no column {metric!r}; {nearest(metric, keys)}")
        for one, rows in self.printed.items():
            for row, numbers in rows.items():
                if len(numbers) != len(keys):
                    raise ValueError(f"printed.{one}.{row}: {len(numbers)} numbers for {len(keys)} columns")
        return self

    @cached_property
    def folder(self) -> str:
        """`papers/contrastive`, of `papers/contrastive/table3`: tables of one folder share their runs."""
        return self.name.rpartition("/")[0]

    def number(self, data: str, row: str, column: Column) -> Printed | None:
        """What the paper prints there."""
        numbers = self.printed.get(data, {}).get(row)
        return numbers[self.columns.index(column)] if numbers else None

    def cells(self, budget: Budget, changes: tuple[str, ...] = (), *, resolve: bool = True) -> list[Cell]:
        """All rows on all data sets, in the file's order.

        Args:
            budget: `small` applies that section.
            changes: further `key=value` settings.
            resolve: check and fill in the hyperparameters too, which loads TensorFlow.

        Raises:
            ConfigurationError: an experiment that the zoo could train, but that is wrong.
        """
        small = budget == "small"
        found = []
        for data, base in {**self.experiments, **(self.small.experiments if small else {})}.items():
            for row, settings in self.rows.items():
                if settings.data is not None and data not in settings.data:
                    continue
                if small and self.small.rows is not None and row not in self.small.rows:
                    continue
                assigned = {**settings.set, **(self.small.set if small else {})}
                found.append(self._cell(row, data, base, assigned, changes, resolve))
        return found

    def _cell(
        self, row: str, data: str, base: str, assigned: dict[str, Any], changes: tuple[str, ...], resolve: bool
    ) -> Cell:
        values = configurations.parse(configurations.find(base))
        for key, value in assigned.items():
            values = configurations.assign_value(values, key, value)
        values = configurations.assign(values, list(changes))
        missing = not_built(values)
        where = f"{self.name}: {row} on {data}"
        return Cell(row, data, None if missing else validate(values, where, resolve=resolve), missing)


def names() -> list[str]:
    """The leaderboards, and the tables and figures of papers, such as `papers/contrastive/table3`."""
    root = configurations.folder()
    papers = [
        path for path in root.glob("papers/*/*.yaml") if re.match(r"((table|figure|experiment)\d|appendix_)", path.stem)
    ]
    found = [*root.glob("leaderboard/*.yaml"), *papers]
    return sorted(path.relative_to(root).with_suffix("").as_posix() for path in found)


def load(name: str) -> PaperTable:
    """A table by name, of a paper's with or without `papers/` before it, or a file of one's own.

    Args:
        name: such as `papers/contrastive/table3`, or the path of a YAML file, whose table is then called `own/STEM`.

    Raises:
        ConfigurationError: no such table, or a mistake in its file.
    """
    own = Path(name)
    if own.suffix in {".yaml", ".yml"} and own.is_file():
        path, short = own, f"own/{own.stem}"
    else:
        short, known = name.removesuffix(".yaml"), names()
        short = f"papers/{short}" if f"papers/{short}" in known else short
        if short not in known:
            raise ConfigurationError(f"{short}: no such table or figure; {nearest(short, known)}")
        path = configurations.folder() / f"{short}.yaml"
    try:
        return PaperTable.model_validate({**configurations.parse(path), "name": short})
    except ValidationError as error:
        raise ConfigurationError(f"{path}: {one_line(error, {(): PaperTable.model_fields})}") from None
