"""Random numbers of a step, drawn without any hidden state.

Every draw is a function of the model's seed, the number of the step and the draw's name. A step that is redone
after a crash is the same step; the order in which terms are computed changes nothing; and a replica that holds
rows a to b of the global batch gets rows a to b of the noise that a single device would have drawn.
"""

from __future__ import annotations

import zlib
from typing import Any

import tensorflow as tf

from zoo.replicas import rows_of_replica


class Draws:
    """The random numbers of one step, for batches of one size.

    Args:
        seed: of the model.
        step: scalar integer tensor, the number of the step.
        phase: keeps training, evaluation and other uses of the same step number apart.
    """

    def __init__(self, seed: int, step: tf.Tensor | int, phase: str) -> None:
        self.seed = seed
        self.step = step
        self.phase = phase
        self.place: Any = None
        self._place: tuple[Any, Any] | None = None

    def at(self, place: Any) -> Draws:
        """The numbers of one place in a sequence of draws of the same name.

        Args:
            place: its number, a scalar.
        """
        other = Draws(self.seed, self.step, self.phase)
        other.place, other._place = place, self._place
        return other

    def _rows(self, shape: tf.Tensor | list) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """(shape of the global batch's numbers, this replica's first row, the row behind its last one)."""
        local, *rest = tf.unstack(tf.convert_to_tensor(shape))
        # Replicas tell each other how many rows they have: once, not for every draw.
        if self._place is None:
            self._place = rows_of_replica(local)
        first, rows = self._place
        return tf.stack([rows, *rest]), first, first + local

    def _key(self, stream: str) -> tf.Tensor:
        name = zlib.crc32(f"{self.seed}/{self.phase}/{stream}".encode())
        key = tf.stack([tf.constant(name, tf.int64), tf.cast(self.step, tf.int64)])
        return key if self.place is None else tf.random.experimental.stateless_fold_in(key, self.place)

    def normal(self, stream: str, shape: tf.Tensor | list) -> tf.Tensor:
        """Standard normal numbers; `shape[0]` counts this replica's examples."""
        whole, first, end = self._rows(shape)
        return tf.random.stateless_normal(whole, self._key(stream))[first:end]

    def uniform(self, stream: str, shape: tf.Tensor | list, low: float = 0.0, high: float = 1.0) -> tf.Tensor:
        """Uniform numbers in [low, high); `shape[0]` counts this replica's examples."""
        whole, first, end = self._rows(shape)
        return tf.random.stateless_uniform(whole, self._key(stream), low, high)[first:end]


def normal_for_each(seed: Any, count: tf.Tensor | int, shape: list[int]) -> tf.Tensor:
    """Standard normal numbers of the shape [samples, dim] for each example: [samples, count, dim].

    Args:
        seed: a whole number, or a key of two for each example [count, 2], which alone decides on its numbers.
        count: of examples.
        shape: [samples, dim].
    """
    keys = tf.convert_to_tensor(seed)
    if keys.shape.rank == 0:
        keys = tf.stack([tf.fill([count], keys), tf.range(count, dtype=keys.dtype)], axis=1)
    noise = tf.map_fn(lambda key: tf.random.stateless_normal(shape, key), keys, fn_output_signature=tf.float32)
    return tf.transpose(noise, [1, 0, 2])
