"""The columns of a report, and the numbers under them: ours with their spread over seeds, and printed ones."""

from __future__ import annotations

import functools
import itertools
import math
from typing import Literal, NamedTuple

from pydantic import field_validator

from zoo.experiments.schema import Section
from zoo.metrics.names import NAMES, Better
from zoo.models import METHODS, claims
from zoo.parameters import Size, nearest


@functools.cache
def known_metrics() -> frozenset[str]:
    """All figures that a column may have: those of an evaluation, of a training, and with another sign."""
    terms = {term for method in METHODS for term in claims(method)}
    priors = {f"{term}_{prior}_prior" for term in ("rate", "elbo") for prior in ("optimal", "tuned", "chosen")}
    return frozenset(terms | priors | {metric for metric, name in NAMES.items() if name.group})


class Column(Section):
    """A metric of `zoo evaluate` under a header of its own; neighbours of one `group` share a heading."""

    metric: str
    header: str
    group: str = ""
    split: Literal["train", "validation", "test"] = "test"
    better: Better | None = None
    percent: bool = False
    digits: Size = 2

    @field_validator("metric")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in known_metrics():
            raise ValueError(f"no metric {value!r}; {nearest(value, known_metrics())}")
        return value

    @property
    def key(self) -> str:
        """The metric, and its split where that is another one than the test's."""
        return self.metric if self.split == "test" else f"{self.metric}@{self.split}"


class Printed(NamedTuple):
    """A number as a paper prints it: a mean, and its standard deviation where there is one."""

    mean: float
    deviation: float | None = None


class Estimate(NamedTuple):
    """A mean over seeds with its sample standard deviation, which one seed does not have."""

    mean: float
    deviation: float | None
    seeds: int

    @property
    def standard_error(self) -> float:
        """Of the mean; not a number where there is but one seed."""
        return math.nan if self.deviation is None else self.deviation / math.sqrt(self.seeds)


def groups(columns: list[Column]) -> list[tuple[str, list[Column]]]:
    """Neighbours of one group, with its name; all columns under no name where they have no groups."""
    return [(name, list(each)) for name, each in itertools.groupby(columns, key=lambda column: column.group)]


def heading(column: Column) -> str:
    """A column's header, with the percent sign where its figures are percentages."""
    return f"{column.header} (%)" if column.percent and "%" not in column.header else column.header


def shown(column: Column, mean: float, deviation: float | None) -> str:
    """`22.24 (0.10)`: a mean and, where there is one, its standard deviation in the column's digits."""
    text = f"{mean:.{column.digits}f}"
    return text if deviation is None else f"{text} ({deviation:.{column.digits}f})"
