"""What every kind of example answers: whether an array is one, how a batch is prepared, how it is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    import keras
    import tensorflow as tf


class Domain:
    """What x is. Nothing else in the zoo knows it.

    A subclass says how arrays are checked and prepared; the rest has defaults. Domains are saved with their model.

    Attributes:
        noun: what an example is called in messages.
        types: the types of arrays that an export takes, by NumPy's names; its signature has the first.
        supports: of the likelihoods that go with it.
    """

    noun = "examples"
    types: tuple[str, ...] = ("float32", "float64")
    supports: tuple[str, ...] = ("real", "unit_interval", "categories")

    def check(self, x: np.ndarray, where: str, support: str = "real") -> None:
        """Raises ValueError, in one line that begins with `where`, for an array that holds no examples of this kind.

        Args:
            x: [n, ...].
            where: what holds the array, for the message.
            support: what the likelihood takes: `unit_interval`, `real` or `categories`.
        """
        raise NotImplementedError

    def prepare(self, x: tf.Tensor) -> tf.Tensor:
        """A raw batch as networks and likelihood see it, inside the step: float32 of the same shape."""
        import tensorflow as tf

        return tf.cast(x, tf.float32)

    def prepared(self, x: np.ndarray) -> np.ndarray:
        """`prepare` for an array, outside the step."""
        import tensorflow as tf

        return self.prepare(tf.constant(x)).numpy()

    def restore(self, x: Any) -> Any:
        """Prepared examples, such as samples, in the units of raw ones."""
        return x

    def mask(self, x: tf.Tensor) -> tf.Tensor | None:
        """Which entries of a prepared batch count, True where they do; None where all do."""
        return None

    def invalid(self, x: tf.Tensor, support: str = "real") -> tf.Tensor:
        """How many entries of a prepared batch no example can have, inside the step: a scalar."""
        import tensorflow as tf

        bad = ~tf.math.is_finite(x)
        if support == "unit_interval":
            bad |= (x < 0.0) | (x > 1.0)
        return tf.math.count_nonzero(bad)

    def check_likelihood(self, likelihood: Any) -> None:
        """Raises ValueError for a likelihood that does not take examples of this kind."""
        if likelihood.support not in self.supports:
            kind, name = type(self).__name__, type(likelihood).__name__
            needed = "categories or tokens" if likelihood.support == "categories" else "images or features"
            raise ValueError(f"domain: the likelihood {name} does not take {kind}, but {needed}")

    def views(self, support: str = "real") -> list[keras.layers.Layer]:
        """The random views that a contrastive method takes by default.

        Args:
            support: what the likelihood takes; the views stay in it.

        Raises:
            ValueError: there are none; the message says what to give.
        """
        raise ValueError(f"views: there are none for {self.noun} by default; give a list of layers, views=[…]")

    def transformations(self, support: str = "real") -> list[keras.layers.Layer]:
        """The random transformations that keep an example's meaning, by default. As `views`."""
        raise ValueError(
            f"transformations: there are none for {self.noun} by default; give a list of layers, transformations=[…]"
        )

    def draw(self, x: np.ndarray, below: np.ndarray | None = None) -> np.ndarray:
        """A picture of examples, for TensorBoard and reports: uint8 [height, width, channels].

        Args:
            x: [n, ...], prepared.
            below: others to compare them with, such as reconstructions.
        """
        raise ValueError(f"{type(self).__name__}: {self.noun} cannot be drawn")

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Rebuilds the domain from `get_config`."""
        return cls(**config)


def times(shape: Any) -> str:
    """A shape as people write it: 28×28×1."""
    return "×".join("any" if size is None else str(size) for size in shape)
