"""Which epoch's weights become the model, and when a training ends before its last epoch.

Both are functions of the recorded epochs alone, so a resumed training chooses, and ends, as one that was never
interrupted. Nothing here needs TensorFlow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from zoo.metrics.names import named

Rows = Sequence[dict[str, float]]

REDUCTIONS = "rate_reductions"
"""How often the plateau schedule has lowered the learning rate, in the logs of an epoch."""


@dataclass(frozen=True)
class Selection:
    """The rule of a recipe.

    Attributes:
        monitor: a figure on the validation examples, such as `elbo`, `loss` or `mutual_information`.
        best: the model is that of the best epoch by that figure; of the last epoch otherwise.
        patience: the training ends after so many epochs without a better figure; None: it does not.
        min_delta: what an epoch must be better by to count for the patience, in the figure's unit.
        reductions: the training ends with the n-th reduction of the learning rate, n being this; None: it does not.
        warm_up: epochs that do not count, while the weight of the rate still rises.
    """

    monitor: str = "loss"
    best: bool = False
    patience: int | None = None
    min_delta: float = 0.0
    reductions: int | None = None
    warm_up: float = 0.0

    def _gains(self, rows: Rows) -> list[tuple[int, float]]:
        """(epoch, figure, greater is better) of the epochs that count."""
        key, sign = f"val_{self.monitor}", 1.0 if named(self.monitor).better == "higher" else -1.0
        counted = (row for row in rows if row["epoch"] > self.warm_up and key in row)
        return [(int(row["epoch"]), sign * row[key]) for row in counted]

    def chosen(self, rows: Rows) -> int:
        """The epoch, from 1, whose weights are the model; of equal ones the first.

        Args:
            rows: the recorded epochs, of which there is one at least.
        """
        gains = self._gains(rows) if self.best else []
        return max(gains, key=lambda pair: (pair[1], -pair[0]))[0] if gains else int(rows[-1]["epoch"])

    def reason(self, rows: Rows) -> str:
        """Why the training ends with the last of these epochs; nothing where it goes on.

        Args:
            rows: the recorded epochs.
        """
        if self.reductions is not None and rows and rows[-1].get(REDUCTIONS, 0) >= self.reductions:
            return f"the learning rate was lowered for the {_ordinal(self.reductions)} time"
        if self.patience is None:
            return ""
        best, waited = -math.inf, 0
        for _, gain in self._gains(rows):
            best, waited = (gain, 0) if gain - self.min_delta > best else (best, waited + 1)
        if waited < self.patience:
            return ""
        epochs = "epoch" if self.patience == 1 else f"{self.patience} epochs"
        return f"the validation {named(self.monitor).label} has not become better for {epochs}"


def _ordinal(number: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th") if number % 100 not in {11, 12, 13} else "th"
    return f"{number}{ending}"
