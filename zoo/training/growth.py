"""What tells codes that are *not yet* learnt from codes that are lost: one rule for the alarm and for the doctor."""

from __future__ import annotations

from collections.abc import Sequence

from zoo.metrics.thresholds import FAINT

# Growth from one measurement to the next that is no noise: by this share, and by so many nats at least.
GROWTH = 0.05
NATS = 0.02
# Codes that once knew so many times what they know now were lost.
LOST = 1.5
# Before so many steps nothing is called a collapse that the rate does not show: on digits a healthy run has 0.3 nats
# of information after 18 steps and 1.6 after 36.
EARLY = 100


def grows(values: Sequence[float]) -> bool:
    """Whether the last of some measurements is above the one before by more than noise."""
    return len(values) > 1 and values[-1] - values[-2] > max(NATS, GROWTH * abs(values[-2]))


def were_lost(information: Sequence[float]) -> bool:
    """Whether codes knew clearly more before; measurements in nats, in their order."""
    return bool(information) and max(information) > LOST * information[-1] + NATS


def is_early(step: int | None, rate: float) -> bool:
    """Whether too few steps were taken to call a rate (in nats) that is not nought a collapse."""
    return step is not None and step < EARLY and rate >= FAINT
