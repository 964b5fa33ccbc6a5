"""Numbers that follow the step: how β, or any other weight of an objective, is annealed.

A schedule is one of Keras's (`keras.optimizers.schedules`): a function of the step. Here are those that annealing a
VAE needs and Keras does not have.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import keras
import tensorflow as tf

from zoo.parameters import Count, Fraction, NonNegative, checked, nearest

Schedule: TypeAlias = keras.optimizers.schedules.LearningRateSchedule


@keras.saving.register_keras_serializable("zoo")
class Linear(Schedule):
    """From `start` to `end` in so many steps, and `end` from then on.

    Args:
        start: value at step 0.
        end: value from step `steps` on.
        steps: how long the way is.

    Raises:
        ValueError: a value out of range.
    """

    @checked
    def __init__(self, start: NonNegative = 0.0, end: NonNegative = 1.0, steps: Count = 10_000) -> None:
        self.start, self.end, self.steps = start, end, steps

    def __call__(self, step: Any) -> tf.Tensor:
        """The value at a step: a scalar."""
        share = tf.minimum(1.0, tf.cast(step, tf.float32) / self.steps)
        return self.start + (self.end - self.start) * share

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"start": self.start, "end": self.end, "steps": self.steps}


@keras.saving.register_keras_serializable("zoo")
class Cyclical(Schedule):
    """Cycles of `steps` steps: a linear way from `start` to `end`, then `end` (Fu et al. 2019, section 3.2).

    Args:
        start: value at the beginning of each cycle.
        end: value at the end of each cycle.
        steps: length of a cycle.
        ramp: the share of a cycle that the way takes; 0 jumps to `end` at once.

    Raises:
        ValueError: a value out of range.
    """

    @checked
    def __init__(
        self, start: NonNegative = 0.0, end: NonNegative = 1.0, steps: Count = 10_000, ramp: Fraction = 0.5
    ) -> None:
        self.start, self.end, self.steps, self.ramp = start, end, steps, ramp

    def __call__(self, step: Any) -> tf.Tensor:
        """The value at a step: a scalar."""
        place = tf.cast(tf.cast(step, tf.int64) % self.steps, tf.float32) / self.steps
        share = tf.minimum(1.0, place / self.ramp) if self.ramp else tf.ones_like(place)
        return self.start + (self.end - self.start) * share

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"start": self.start, "end": self.end, "steps": self.steps, "ramp": self.ramp}


SCHEDULES: dict[str, Any] = {
    "linear": Linear,
    "cyclical": Cyclical,
    "cosine": keras.optimizers.schedules.CosineDecay,
    "exponential": keras.optimizers.schedules.ExponentialDecay,
    "piecewise": keras.optimizers.schedules.PiecewiseConstantDecay,
}


def get(value: Any, steps_per_epoch: int | None = None) -> float | Schedule:
    """A number or a schedule, as it is or by its description.

    Args:
        value: a number, a schedule, `{"name": one of SCHEDULES, **its arguments}`, or a Keras configuration of one.
            In place of `steps`, a description may give `epochs`.
        steps_per_epoch: what turns `epochs` into steps.

    Raises:
        ValueError: an unknown schedule or argument, or `epochs` where nobody knows how many steps they have.
    """
    if isinstance(value, Schedule):
        return value
    if not isinstance(value, Mapping):
        return float(value)
    if "class_name" in value:
        return keras.saving.deserialize_keras_object(dict(value))
    arguments = dict(value)
    name = arguments.pop("name", None)
    if name not in SCHEDULES:
        raise ValueError(f"schedule: no {name!r}; {nearest(name, SCHEDULES)}")
    if "epochs" in arguments:
        if steps_per_epoch is None:
            raise ValueError(f"schedule: {name}: give `steps` here; `epochs` are for configurations")
        arguments["steps"] = max(1, round(arguments.pop("epochs") * steps_per_epoch))
    try:
        return SCHEDULES[name](**arguments)
    except TypeError as error:
        raise ValueError(f"schedule: {name}: {error}") from None
