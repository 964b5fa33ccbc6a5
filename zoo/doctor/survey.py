"""What a configuration's data are: every split is read once, so that nothing bad is met in the middle of a training."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from zoo.data import Examples
    from zoo.experiments.schema import Experiment


class Split(NamedTuple):
    """What a split holds.

    Attributes:
        examples: how many.
        left_out: how many more there are that cannot be read.
        shape: of an example.
        low: the smallest value, in the file's units.
        high: the largest.
        classes: how many classes there are; None without labels.
    """

    examples: int
    left_out: int
    shape: tuple[int, ...]
    low: float
    high: float
    classes: int | None


class Survey(NamedTuple):
    """What the data of a configuration are.

    Attributes:
        kind: `images` or `features`.
        splits: by role.
        warnings: what splits have in common, a line each.
    """

    kind: str
    splits: dict[str, Split]
    warnings: list[str]

    @property
    def lines(self) -> list[str]:
        """A line for each split."""
        return [f"{role}: {self._line(split)}" for role, split in self.splits.items()]

    def _line(self, split: Split) -> str:
        shape = "x".join(map(str, split.shape))
        parts = [f"{split.examples:,} {self.kind} of {shape}", f"values in {split.low:g}..{split.high:g}"]
        if split.classes is not None:
            parts.append(f"{split.classes:,} {'class' if split.classes == 1 else 'classes'}")
        if split.left_out:
            parts.append(f"{split.left_out:,} more cannot be read and are left out")
        return ", ".join(parts)


def survey(experiment: Experiment) -> tuple[Survey, Examples]:
    """Reads all splits of a configuration.

    Returns:
        What they are, and the training split.

    Raises:
        ValueError: no such data, pictures that cannot be read (without `data.skip_unreadable`), or no such split.
    """
    from zoo.experiments.building import SPLITS, load_split, split_warnings

    read = {role: load_split(experiment, role) for role in SPLITS}
    splits = {role: _split(examples) for role, examples in read.items()}
    return Survey(str(experiment.data.kind), splits, split_warnings(experiment, read)), read["train"]


def _split(examples: Examples) -> Split:
    import numpy as np

    x, labels = examples
    asked = sum(part.stop - part.start for part in examples.parts)
    classes = None if labels is None else len(np.unique(labels))
    return Split(len(x), asked - len(x), x.shape[1:], float(x.min()), float(x.max()), classes)
