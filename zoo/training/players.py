"""Players: groups of variables that move apart, each with its own loss, optimiser and rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

# The player that owns all trainable variables which no other one names.
MAIN = "model"


@dataclass(frozen=True)
class Player:
    """Variables that move together, against the loss of the terms that name the player.

    The loss of a player is Σ weight · value over the terms `Term(value, weight, player=name)`. Players move one after
    the other, in the order of `VAE.players`; each sees the batch with draws of its own.

    Attributes:
        name: also the key of its optimiser in `compile(optimizers={name: …})`.
        variables: that it moves; those of the main player are all that no other player names.
        updates: how often it moves in a step.
        every: it moves in every n-th step only, beginning with the first.
        until: gives a scalar boolean; once it is true the player rests. None: it never rests.
    """

    name: str
    variables: Sequence[keras.Variable] = ()
    updates: int = 1
    every: int = 1
    until: Callable[[], tf.Tensor] | None = None

    def __post_init__(self) -> None:
        for what in ("updates", "every"):
            if getattr(self, what) < 1:
                raise ValueError(f"player {self.name!r}: {what} must be at least 1, got {getattr(self, what)}")

    @property
    def always(self) -> bool:
        """Whether it moves in every step."""
        return self.every == 1 and self.until is None

    def moves(self, step: Any) -> tf.Tensor:
        """Whether it moves in this step: a scalar boolean."""
        due = tf.cast(step, tf.int64) % self.every == 0
        return due if self.until is None else due & ~tf.cast(self.until(), tf.bool)
