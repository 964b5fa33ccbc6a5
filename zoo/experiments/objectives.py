"""What a search improves: a figure of `zoo evaluate`, and which way is better; importing it loads nothing heavy."""

from __future__ import annotations

from typing import Literal, NamedTuple, cast

from zoo.metrics.names import GROUPS, NAMES, named
from zoo.models import METHODS, claims
from zoo.parameters import nearest

Direction = Literal["min", "max"]

_DIRECTIONS: dict[str, Direction] = {"lower": "min", "higher": "max"}


class Objective(NamedTuple):
    """A figure of the validation split, as `zoo evaluate RUN --split validation` gives it.

    Attributes:
        name: as in `zoo.metrics.names`, or a term of a method.
        direction: `min` or `max`.
    """

    name: str
    direction: Direction

    @property
    def group(self) -> str:
        """Of `zoo evaluate --metrics`, which measures it."""
        return named(self.name).group

    @property
    def label(self) -> str:
        """In words, with the unit."""
        return named(self.name).titled

    @property
    def is_term(self) -> bool:
        """Whether some methods have it, and others do not."""
        return self.name not in NAMES or self.name == "triplet"

    def is_term_of(self, method: str) -> bool:
        """Whether it is a term that a method adds."""
        return self.name.removesuffix("_term") in claims(method)


def figures() -> set[str]:
    """All figures that `zoo evaluate` may give: those of the table of names, and the methods' own terms."""
    table = {name for name, row in NAMES.items() if row.group in GROUPS and not row.minus}
    terms = {term for method in METHODS for term in claims(method)}
    # The consistency method's own term has a name of its own in an evaluation.
    return table | {"consistency_term" if term == "consistency" else term for term in terms}


def parse(text: str) -> Objective:
    """An objective, given as `mutual_information:max`, or as `mutual_information` where one way is the better one.

    Raises:
        ValueError: no such figure, no such direction, or none where it cannot be guessed.
    """
    name, colon, given = text.partition(":")
    if name not in figures():
        raise ValueError(f"objective: no {name!r}; {nearest(name, figures())}")
    if colon and given not in {"min", "max"}:
        raise ValueError(f"objective: no direction {given!r}; give {name}:min or {name}:max")
    better = named(name).better
    if not colon and better is None:
        raise ValueError(f"objective: {name} may be wanted high or low; give {name}:min or {name}:max")
    return Objective(name, cast("Direction", given) if colon else _DIRECTIONS[better or "lower"])
