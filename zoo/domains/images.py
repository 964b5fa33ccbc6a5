"""Images: pixels in the unit interval, bytes scaled on the way."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import keras
import numpy as np

from zoo.data.pixels import check_pixels, to_unit_interval
from zoo.domains import pictures
from zoo.domains.domain import Domain

if TYPE_CHECKING:
    import tensorflow as tf


@keras.saving.register_keras_serializable("zoo")
class Images(Domain):
    """Images [n, height, width, channels]: integers 0 to 255 (divided by 255 inside the step), booleans, or floats."""

    noun = "images"
    types = ("float32", "uint8", "float64")
    supports = ("real", "unit_interval")

    def check(self, x: np.ndarray, where: str, support: str = "real") -> None:
        """Rank 4, pixels of a known type, finite, in the unit interval where the likelihood needs it.

        Warns:
            UserWarning: integers that are all 0 or 1.
        """
        check_pixels(x, where=where, unit_interval=support == "unit_interval")
        if x.dtype.kind in "iu" and x.max() == 1:
            warnings.warn(
                f"{where}: integer pixels are all 0 or 1, nearly black on the scale 0..255; give bool, or 0 and 255",
                stacklevel=2,
            )

    def prepare(self, x: tf.Tensor) -> tf.Tensor:
        """Integers are divided by 255, booleans become 0 and 1, floats keep their values."""
        return to_unit_interval(x)

    def views(self, support: str = "real") -> list[keras.layers.Layer]:
        """The contrastive paper's: crop, flip, colour jitter, grey scale."""
        from zoo.augmentation.images import contrastive_views

        return contrastive_views()

    def transformations(self, support: str = "real") -> list[keras.layers.Layer]:
        """The consistency paper's: shift, turn, scale."""
        from zoo.augmentation.affine import RandomAffine

        return [RandomAffine()]

    def draw(self, x: np.ndarray, below: np.ndarray | None = None) -> np.ndarray:
        """A grid of images, each over its counterpart."""
        return pictures.grid(x, 16) if below is None else pictures.pairs(x, below)
