"""Numbers of an objective that can be changed while it is minimised: β, γ, λ, δ, α and temperatures."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from zoo.parameters import strength, strength_above_zero
from zoo.training import schedules
from zoo.training.schedules import Schedule


class Live:
    """A hyperparameter that is a number or a schedule of the step, and can be set at any time.

    A class states it in its body, `beta = Live()`, and sets it in its constructor, `self.beta = beta`. Then

    - `model.beta` is the number, or the schedule, that acts now, and what `get_config` saves;
    - `model.beta = 4.0` takes effect at the next step, without a new trace, for the number is a variable;
    - inside a step, `self.beta` is that variable's value, or the schedule's at this step: a scalar tensor.

    Another schedule, or a schedule in place of a number, makes `fit` trace its step anew; a compiled loop of one's own
    keeps the old one.

    Args:
        above_zero: refuse 0, as a temperature must.
    """

    def __init__(self, above_zero: bool = False) -> None:
        self.above_zero = above_zero

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, model: Any, owner: type | None = None) -> Any:
        if model is None:
            return self
        if self.name not in _given(model):
            raise AttributeError(f"{type(model).__name__} has no {self.name!r} yet")
        if model.stepping:
            return self.value(model)
        given = _given(model)[self.name]
        if isinstance(given, Schedule):
            return given
        # Another value, loaded from a checkpoint, is the one that acts.
        now = model.live_variables[self.name].numpy()
        return given if now == tf.constant(given, tf.float32).numpy() else float(now)

    def __set__(self, model: Any, value: Any) -> None:
        where = f"{type(model).__name__}: {self.name}"
        try:
            found = schedules.get((strength_above_zero if self.above_zero else strength)(value))
        except ValueError as error:
            raise ValueError(f"{where} {error}, got {value!r}") from None
        if isinstance(found, Schedule):
            starts = [float(found(0)), *(float(one) for one in getattr(found, "values", ()))]
            if min(starts) < 0 or (self.above_zero and min(starts) == 0):
                limit = "above" if self.above_zero else "at least"
                raise ValueError(f"{where} must be {limit} 0, but its schedule has {min(starts):g}")
        given = _given(model)
        before = given.get(self.name)
        number = 0.0 if isinstance(found, Schedule) else found
        if before is None:
            model.live_variables[self.name] = model.add_weight(
                shape=(),
                dtype="float32",
                initializer=keras.initializers.Constant(number),
                trainable=False,
                autocast=False,
                name=self.name,
                aggregation="only_first_replica",
            )
        else:
            model.live_variables[self.name].assign(number)
        given[self.name] = found
        if before is not None and (isinstance(before, Schedule) or isinstance(found, Schedule)):
            model.retrace()

    @staticmethod
    def of(model: Any, name: str) -> tf.Tensor:
        """What acts at a model's present step under a hyperparameter's name: a float32 scalar."""
        return getattr(type(model), name).value(model)

    def value(self, model: Any) -> tf.Tensor:
        """What acts at the model's present step: a float32 scalar."""
        given = _given(model)[self.name]
        if isinstance(given, Schedule):
            return tf.cast(given(model.step.value), tf.float32)
        return tf.convert_to_tensor(model.live_variables[self.name].value)


def _given(model: Any) -> dict[str, float | Schedule]:
    return model.__dict__.setdefault("live_values", {})


def configuration(value: Any) -> Any:
    """A number as it is, a schedule as Keras describes it: for `get_config`."""
    return keras.saving.serialize_keras_object(value) if isinstance(value, Schedule) else value
