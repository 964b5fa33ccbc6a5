"""Transformations that keep an image's meaning: translation, rotation and scaling, as a Keras layer.

Of Sinha & Dieng (2021), section 4.1 and Table 5. As the layers of `images`, it takes the step's `Draws`.
"""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

from zoo.augmentation.view import View
from zoo.parameters import Fraction, NonNegative, checked
from zoo.randomness import Draws


@keras.saving.register_keras_serializable("zoo")
class RandomAffine(View):
    """Shifts, turns and scales an image about its centre, all three in one bilinear resampling.

    The three are uniform and independent: each shift in [−translate, translate] pixels, the angle in [−rotate, rotate]
    degrees, the factor of the size in [1 − scale, 1 + scale]. What comes from beyond the border is black.

    Args:
        translate: in pixels; 0 switches it off.
        rotate: in degrees; 0 switches it off.
        scale: relative; 0 switches it off.
        probability: of applying it to an image.

    Raises:
        ValueError: a scale of 1 or more, which can leave nothing of the image; see `check_size` for shifts.
    """

    @checked
    def __init__(
        self,
        translate: NonNegative = 2.0,
        rotate: NonNegative = 15.0,
        scale: NonNegative = 0.1,
        probability: Fraction = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(probability=probability, **kwargs)
        if scale >= 1:
            raise ValueError(f"scale: {scale} can shrink an image to nothing; it must be below 1")
        self.translate = translate
        self.rotate = rotate
        self.scale = scale

    @property
    def words(self) -> str:
        """What it does, in words."""
        return f"shift to ±{self.translate:g} px, turn to ±{self.rotate:g}°, scale by 1 ± {self.scale:g}"

    def check_size(self, shape: tuple) -> None:
        """Checks that something remains of images, whatever is drawn.

        Args:
            shape: (h, w, c).

        Raises:
            ValueError: another shape, a copy of less than two pixels, or a shift with which the smallest copy can lie
                beyond the border.
        """
        size = "×".join(map(str, shape))
        if len(shape) != 3:
            raise ValueError(f"RandomAffine: takes images of height × width × channels, got {size}")
        if (1 - self.scale) * min(shape[:2]) < 2:
            raise ValueError(f"scale: {self.scale} can shrink images of {size} to less than two pixels")
        # A turned copy comes nearest to leaving over a corner, with its side towards the border's corner.
        angle = math.radians(min(self.rotate, 45.0))
        limit = min(shape[:2]) / 2 * (1 + (1 - self.scale) / (math.cos(angle) + math.sin(angle)))
        if self.translate >= limit:
            below = f"with rotate {self.rotate} and scale {self.scale} it must be below {limit:.4g}"
            raise ValueError(f"translate: {self.translate} pixels can leave nothing of images of {size}; {below}")

    def transform(self, images: tf.Tensor, draws: Draws, stream: str) -> tf.Tensor:
        """The resampled images: [batch, h, w, c]."""
        if not (self.translate or self.rotate or self.scale):
            return images
        height, width, channels = images.shape[1:]
        n = tf.shape(images)[0]
        u = draws.uniform(stream, [n, 4], -1.0, 1.0)[:, :, None]
        factor = 1.0 + self.scale * u[:, 0]
        angle = math.radians(self.rotate) * u[:, 1]
        down, right = self.translate * u[:, 2], self.translate * u[:, 3]
        # Every new pixel looks up where it came from: the inverse of scale, then rotate, then shift.
        rows, columns = (tf.reshape(grid, [1, -1]) for grid in _centred_grid(height, width))
        rows, columns = rows - down, columns - right
        cos, sin = tf.cos(angle) / factor, tf.sin(angle) / factor
        y = cos * rows + sin * columns + (height - 1) / 2
        x = cos * columns - sin * rows + (width - 1) / 2
        top, left = tf.floor(y), tf.floor(x)
        # A black frame of one pixel answers for everything beyond the border.
        framed = tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]])
        pixels = tf.reshape(framed, [-1, channels])
        first = tf.range(n)[:, None] * ((height + 2) * (width + 2))

        def pixel(row: tf.Tensor, column: tf.Tensor) -> tf.Tensor:
            row = tf.clip_by_value(tf.cast(row, tf.int32) + 1, 0, height + 1)
            column = tf.clip_by_value(tf.cast(column, tf.int32) + 1, 0, width + 1)
            return tf.gather(pixels, first + row * (width + 2) + column)

        below, beside = (y - top)[..., None], (x - left)[..., None]
        upper = (1 - beside) * pixel(top, left) + beside * pixel(top, left + 1)
        lower = (1 - beside) * pixel(top + 1, left) + beside * pixel(top + 1, left + 1)
        return tf.reshape((1 - below) * upper + below * lower, tf.shape(images))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {"translate": self.translate, "rotate": self.rotate, "scale": self.scale}
        return {**super().get_config(), **own}


def _centred_grid(height: int, width: int) -> list[tf.Tensor]:
    """Row and column of every pixel, seen from the centre: [h, w] each."""
    axes = (tf.range(size, dtype=tf.float32) - (size - 1) / 2 for size in (height, width))
    return tf.meshgrid(*axes, indexing="ij")
