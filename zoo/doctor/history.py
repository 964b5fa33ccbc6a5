"""What the epochs of a training say: whether codes were still learnt when it ended, were lost, or never came."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from zoo.training.growth import grows, were_lost

# An ELBO that rose by more than this share in the last tenth of the epochs was still on its way.
RISING = 1e-3
LAST = 10
# An ELBO that ends below its best by more than this share of it has diverged.
FALLEN = 1.0

Row = dict[str, float]


class History(NamedTuple):
    """A training in short; all figures are of validation images.

    Attributes:
        steps: of the optimiser until the end; None where it was not recorded.
        measured: (epoch, active units, mutual information in nats) of each measurement.
        growing: what of information and rate still grew at the end, in words; empty if nothing did.
        rising: whether the ELBO still rose.
        lost: whether the codes knew clearly more before.
        fallen: the epoch of the best ELBO, where the last is far below it; else None.
    """

    steps: int | None
    measured: list[tuple[int, int, float]]
    growing: list[str]
    rising: bool
    lost: bool
    fallen: int | None


def summarise(rows: Sequence[Row]) -> History:
    """The epochs of a run, as `metrics.jsonl` has them, in short."""
    names = ("epoch", "val_active_units", "val_mutual_information")
    measured = [
        (int(row["epoch"]), int(row[names[1]]), row[names[2]]) for row in rows if all(name in row for name in names)
    ]
    information = [row[2] for row in measured]
    kinds = {"mutual information": information, "rate": [row["val_rate"] for row in rows if "val_rate" in row]}
    growing = [f"{kind} {values[-2]:.2f} → {values[-1]:.2f} nats" for kind, values in kinds.items() if grows(values)]
    elbos = [(row["val_elbo"], int(row["epoch"])) for row in rows if "val_elbo" in row]
    before = max(1, len(elbos) // LAST)
    rising = len(elbos) > 1 and elbos[-1][0] - elbos[-1 - before][0] > RISING * abs(elbos[-1][0])
    steps = int(rows[-1]["step"]) if rows and "step" in rows[-1] else None
    return History(steps, measured, growing, rising, were_lost(information), _fallen(elbos))


def _fallen(elbos: Sequence[tuple[float, int]]) -> int | None:
    finite = [each for each in elbos if math.isfinite(each[0])]
    if not finite:
        return None
    (best, epoch), last = max(finite), elbos[-1][0]
    return epoch if not math.isfinite(last) or best - last > FALLEN * max(abs(best), 1.0) else None


def since(history: History, collapsed: Callable[[int, float], bool]) -> tuple[int | None, str]:
    """The first epoch of the collapse that lasts to the end, and a sentence about it.

    Args:
        history: of the training.
        collapsed: whether (active units, mutual information) are those of a collapsed posterior.
    """
    before, first = None, None
    for epoch, active, information in history.measured:
        if collapsed(active, information):
            first = epoch if first is None else first
        else:
            before, first = (epoch, active, information), None
    if first is None:
        return None, "when it began is not known: no measurement during training shows it" if history.measured else ""
    if before is None:
        when = "from the first epoch on" if first == 1 else f"from the first measurement on, after epoch {first}"
        return first, f"collapsed {when}"
    return first, (
        f"collapsed since epoch {first}; after epoch {before[0]} there were still {before[1]} active units and "
        f"{before[2]:.2f} nats (validation images)"
    )


def units_lost(history: History) -> str:
    """A sentence about active units that were lost on the way; empty if none were."""
    if not history.measured:
        return ""
    best, last = max(history.measured, key=lambda row: row[1]), history.measured[-1]
    if best[1] == last[1]:
        return ""
    return (
        f"units were lost in training: {best[1]} were active after epoch {best[0]}, {last[1]} after epoch {last[0]} "
        "(validation images)"
    )
