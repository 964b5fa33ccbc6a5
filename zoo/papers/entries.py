"""The parts of a table's file: rows, claims, figures, and what evaluations and the small budget take."""

from __future__ import annotations

import re
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from zoo.experiments.objectives import parse
from zoo.experiments.schema import Section
from zoo.parameters import Count, Seed
from zoo.report.columns import Printed
from zoo.report.gallery.plot import check_options


def read_printed(value: Any) -> Any:
    """Reads `89.30`, `89.30 ± 0.01` and nothing."""
    if value is None or isinstance(value, int | float):
        return None if value is None else Printed(float(value))
    number = r"\d+(?:\.\d*)?"
    found = re.fullmatch(rf"(-?{number})(?:\s*±\s*({number}))?", str(value).strip())
    if not found:
        raise ValueError("must be a number, or a mean and its deviation such as 89.30 ± 0.01")
    return Printed(float(found[1]), None if found[2] is None else float(found[2]))


class RowSettings(Section):
    """A row of the grid: settings over the base, and whose recipe they make.

    `tune` is the space of a search, as a space's file has it (docs/tuning.md); the row takes the best values found.
    """

    set: dict[str, Any] = Field(default_factory=dict)
    tune: dict[str, Any] = Field(default_factory=dict)
    recipe: Literal["printed", "zoo"] = "printed"
    data: list[str] | None = None
    note: str = ""


class Claim(Section):
    """What a paper says of its numbers: rows from best to worst in a column, one row above all others, or rows alike.

    Where a paper's column measures something else than its name says, `printed_as` has the columns of what it measures;
    the claim is judged in these too.
    """

    says: str
    metric: str
    printed_as: list[str] = Field(default_factory=list)
    order: list[str] = Field(default_factory=list)
    best: str | None = None
    alike: list[str] = Field(default_factory=list)
    data: list[str] | None = None

    @property
    def metrics(self) -> list[str]:
        """The columns in which the claim is judged, that of the quantity which it names first."""
        return [self.metric, *self.printed_as]

    @model_validator(mode="after")
    def _either(self) -> Self:
        if sum(map(bool, (self.best, self.order, self.alike))) != 1:
            raise ValueError("a claim has one of `best`, `order` and `alike`")
        for name, rows in (("order", self.order), ("alike", self.alike)):
            if len(rows) == 1:
                raise ValueError(f"{name}: needs two rows or more")
        return self


class Figure(Section):
    """A picture of the report: a figure of `zoo plot`, of the first seed of the rows named, or of all rows."""

    plot: str
    caption: str
    rows: list[str] | None = None
    data: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _drawable(self) -> Self:
        check_options(self.plot, self.options)
        return self


class Evaluation(Section):
    """What the likelihood costs: importance samples of an image, and of how many images of a split: all by default."""

    nll_samples: Count = 500
    nll_images: Count | None = None


class Tuning(Section):
    """How the rows with `tune` are searched, all alike: by which figure of the validation split, and how often.

    Trials have the seed of the rows' base experiment; `seed` is that of what is drawn from the space.
    """

    trials: Count = 8
    objective: str = "elbo:max"
    tuner: Literal["random", "bayesian", "grid"] = "bayesian"
    seed: Seed = 0

    @field_validator("objective")
    @classmethod
    def _known(cls, value: str) -> str:
        parse(value)
        return value


class Small(Section):
    """What changes for a run in minutes to an hour on two cores.

    `data` are the data sets that it takes, unless others are asked for by name; `trials` those of each tuned row.
    """

    experiments: dict[str, str] = Field(default_factory=dict)
    set: dict[str, Any] = Field(default_factory=dict)
    seeds: Count = 1
    trials: Count = 2
    rows: list[str] | None = None
    data: list[str] | None = None
    evaluate: Evaluation = Evaluation(nll_samples=500, nll_images=200)
