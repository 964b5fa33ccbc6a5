"""Categories: whole numbers of any shape, such as levels of pixels or answers of a questionnaire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from zoo.domains.domain import Domain
from zoo.parameters import Count, checked

if TYPE_CHECKING:
    import tensorflow as tf


@keras.saving.register_keras_serializable("zoo")
class Categories(Domain):
    """Whole numbers [n, ...] from 0 to `categories` − 1, which nothing scales.

    Args:
        categories: how many there are.

    Raises:
        ValueError: a value out of range.
    """

    noun = "examples"
    types: tuple[str, ...] = ("int32", "int64", "uint8", "float32")
    supports = ("categories",)

    @checked
    def __init__(self, categories: Count) -> None:
        self.categories = categories

    def check(self, x: np.ndarray, where: str, support: str = "real") -> None:
        """Rank 2 or more, whole numbers from 0 to `categories` − 1."""
        if x.ndim < 2 or x.size == 0 or not np.issubdtype(x.dtype, np.integer):
            found = f"{x.dtype} of shape {x.shape}"
            raise ValueError(f"{where}: must hold {self.noun} of whole numbers, [n, ...], got {found}")
        if x.min() < 0 or x.max() >= self.categories:
            raise ValueError(f"{where}: must lie in {self.limits()}, found {x.min()}..{x.max()}")

    def limits(self) -> str:
        """What its numbers lie in, for messages."""
        return f"0..{self.categories - 1}"

    def check_likelihood(self, likelihood: Any) -> None:
        """As in `Domain`; nor one that knows fewer categories."""
        super().check_likelihood(likelihood)
        known = getattr(likelihood, "categories", self.categories)
        if known < self.categories:
            raise ValueError(f"domain: has {self.categories} categories, but the likelihood {known}")

    def invalid(self, x: tf.Tensor, support: str = "real") -> tf.Tensor:
        """How many entries are none of the categories."""
        import tensorflow as tf

        return tf.math.count_nonzero(~((x >= 0) & (x < self.categories) & (x == tf.round(x))))

    def draw(self, x: np.ndarray, below: np.ndarray | None = None) -> np.ndarray:
        """Images of levels as a grid, anything else as rows in shades."""
        from zoo.domains import pictures

        parts = [np.asarray(part, np.float32) / max(self.categories - 1, 1) for part in (x, below) if part is not None]
        if x.ndim == 4 and x.shape[-1] in (1, 3):
            return pictures.grid(parts[0], 16) if below is None else pictures.pairs(parts[0], parts[1])
        rows = [part.reshape(len(part), 1, -1, 1) for part in parts]
        return pictures.grid(np.concatenate(rows, axis=1), 1)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"categories": self.categories}
