"""Random views of a batch, as Keras layers that run inside the training step, on the device.

Each layer takes images [batch, h, w, c] in the unit interval and the step's `Draws`, so that a view is a function of
the seed, the step and the view's name, and a replica sees what a single device would have seen.

The default list is the contrastive paper's (Lygerakis & Rueckert 2023, Table IV): random resized crop, horizontal
flip, colour jitter and, for colour images, random grey scale.
"""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

from zoo.augmentation.view import View
from zoo.parameters import Fraction, NonNegative, Positive, checked
from zoo.randomness import Draws

# ITU-R 601 luma, what a grey copy of a colour image is.
LUMA = (0.299, 0.587, 0.114)
# How often a crop is drawn before it is the middle of the image.
_TRIES = 10


def _grey(images: tf.Tensor) -> tf.Tensor:
    """[batch, h, w, c] → [batch, h, w, 1]."""
    return images if images.shape[-1] == 1 else tf.tensordot(images, tf.constant(LUMA), 1)[..., None]


def _per_image(values: tf.Tensor) -> tf.Tensor:
    """[batch] → [batch, 1, 1, 1]."""
    return values[:, None, None, None]


def _interpolation(start: tf.Tensor, length: tf.Tensor, size: int) -> tf.Tensor:
    """Linear interpolation from `size` pixels to as many inside [start, start + length] of the unit interval.

    start and length are [batch]; the result is [batch, size, size], a row for each new pixel.
    """
    pixels = tf.range(size, dtype=tf.float32)
    places = size * start[:, None] + length[:, None] * (pixels + 0.5) - 0.5
    places = tf.clip_by_value(places, 0.0, size - 1.0)
    return tf.nn.relu(1.0 - tf.abs(places[:, :, None] - pixels))


@keras.saving.register_keras_serializable("zoo")
class RandomResizedCrop(View):
    """Cuts out a rectangle of random area, aspect and place, and scales it back to the image's size (bilinear).

    As in torchvision, a rectangle that does not fit into the image is drawn anew. After ten draws it is the largest one
    in the middle whose ratio of sides is allowed. Sides are not rounded to whole pixels.

    Args:
        smallest: least area, as a fraction of the image's.
        largest: greatest area.
        aspect: greatest ratio of width to height, in pixels; ratios are log-uniform in [1/aspect, aspect].
        probability: of applying it to an image.
    """

    @checked
    def __init__(
        self,
        smallest: Fraction = 0.08,
        largest: Fraction = 1.0,
        aspect: Positive = 4 / 3,
        probability: Fraction = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(probability=probability, **kwargs)
        if not 0 < smallest <= largest:
            raise ValueError(f"RandomResizedCrop: areas from {smallest} to {largest}: not 0 < smallest ≤ largest")
        if aspect < 1:
            raise ValueError(f"RandomResizedCrop: aspect must be at least 1, got {aspect}")
        self.smallest = smallest
        self.largest = largest
        self.aspect = aspect

    def rectangles(self, images: tf.Tensor, draws: Draws, stream: str) -> tuple[tf.Tensor, ...]:
        """Top, left, height and width of each image's rectangle, [batch] each, as fractions of the image's sides."""
        n, sides = tf.shape(images)[0], images.shape[2] / images.shape[1]
        u = draws.uniform(f"{stream}/sides", [n, _TRIES, 2])
        area = self.smallest + (self.largest - self.smallest) * u[..., 0]
        ratio = tf.exp((2 * u[..., 1] - 1) * math.log(self.aspect)) / sides
        drawn = tf.stack([tf.sqrt(area / ratio), tf.sqrt(area * ratio)], axis=-1)
        fits = tf.reduce_all(drawn <= 1.0, axis=-1)
        first = tf.argmax(tf.cast(fits, tf.int32), axis=1, output_type=tf.int32)
        whole = [min(1.0, sides * self.aspect), min(1.0, self.aspect / sides)]
        fit = tf.reduce_any(fits, axis=1)[:, None]
        height, width = tf.unstack(tf.where(fit, tf.gather(drawn, first, batch_dims=1), whole), axis=1)
        places = tf.where(fit, draws.uniform(f"{stream}/place", [n, 2]), 0.5)
        return (1 - height) * places[:, 0], (1 - width) * places[:, 1], height, width

    def transform(self, images: tf.Tensor, draws: Draws, stream: str) -> tf.Tensor:
        """The crop, resized."""
        top, left, height, width = self.rectangles(images, draws, stream)
        # Two small matrix products an image, not tf.image.crop_and_resize, which XLA cannot compile.
        rows, columns = (
            _interpolation(start, length, size)
            for start, length, size in ((top, height, images.shape[1]), (left, width, images.shape[2]))
        )
        return tf.einsum("nij,njkc,nlk->nilc", rows, images, columns)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {"smallest": self.smallest, "largest": self.largest, "aspect": self.aspect}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable("zoo")
class RandomFlip(View):
    """Mirrors an image left to right.

    Args:
        probability: of applying it to an image.
    """

    @checked
    def __init__(self, probability: Fraction = 0.5, **kwargs: Any) -> None:
        super().__init__(probability=probability, **kwargs)

    def transform(self, images: tf.Tensor, draws: Draws, stream: str) -> tf.Tensor:
        """The mirrored images."""
        return tf.reverse(images, axis=[2])


@keras.saving.register_keras_serializable("zoo")
class ColorJitter(View):
    """Changes brightness, contrast, saturation and hue, in this order, and clips to the unit interval.

    Factors are uniform in [1 − strength, 1 + strength], the hue's shift in [−hue, hue] turns. Saturation and hue
    leave images of one channel alone.

    Args:
        brightness: strength; the factor multiplies the pixels.
        contrast: strength; the factor stretches around the image's mean grey.
        saturation: strength; the factor stretches around each pixel's grey.
        hue: greatest shift in turns of the colour circle.
        probability: of applying it to an image.
    """

    # It cannot take pixels beyond the unit interval: see `zoo.models.checks`.
    clips = True

    @checked
    def __init__(
        self,
        brightness: NonNegative = 0.4,
        contrast: NonNegative = 0.4,
        saturation: NonNegative = 0.4,
        hue: NonNegative = 0.1,
        probability: Fraction = 0.8,
        **kwargs: Any,
    ) -> None:
        super().__init__(probability=probability, **kwargs)
        self.brightness = brightness
        self.contrast = contrast
        self.saturation = saturation
        self.hue = hue

    def transform(self, images: tf.Tensor, draws: Draws, stream: str) -> tf.Tensor:
        """The jittered images."""
        u = draws.uniform(stream, [tf.shape(images)[0], 4], -1.0, 1.0)
        brightness, contrast, saturation = (
            _per_image(tf.maximum(0.0, 1 + strength * u[:, i]))
            for i, strength in enumerate((self.brightness, self.contrast, self.saturation))
        )
        images = tf.clip_by_value(images * brightness, 0.0, 1.0)
        mean = tf.reduce_mean(_grey(images), axis=[1, 2, 3], keepdims=True)
        images = tf.clip_by_value(mean + contrast * (images - mean), 0.0, 1.0)
        if images.shape[-1] == 3:
            grey = _grey(images)
            images = tf.clip_by_value(grey + saturation * (images - grey), 0.0, 1.0)
            hsv = tf.image.rgb_to_hsv(images)
            turned = tf.math.floormod(hsv[..., :1] + self.hue * _per_image(u[:, 3]), 1.0)
            images = tf.image.hsv_to_rgb(tf.concat([turned, hsv[..., 1:]], axis=-1))
        return images

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = ("brightness", "contrast", "saturation", "hue")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}


@keras.saving.register_keras_serializable("zoo")
class RandomGrayscale(View):
    """Replaces a colour image by its grey copy; leaves images of one channel alone.

    Args:
        probability: of applying it to an image.
    """

    @checked
    def __init__(self, probability: Fraction = 0.2, **kwargs: Any) -> None:
        super().__init__(probability=probability, **kwargs)

    def applies(self, x: tf.Tensor) -> bool:
        """Images of one channel are grey already."""
        return super().applies(x) and x.shape[-1] > 1

    def transform(self, images: tf.Tensor, draws: Draws, stream: str) -> tf.Tensor:
        """The grey copies, with as many channels."""
        return tf.broadcast_to(_grey(images), tf.shape(images))


def contrastive_views() -> list[keras.layers.Layer]:
    """The contrastive paper's list (Table IV), with the strengths that it prints."""
    return [RandomResizedCrop(), RandomFlip(), ColorJitter(), RandomGrayscale()]
