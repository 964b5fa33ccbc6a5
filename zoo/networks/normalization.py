"""Batch normalisation in one fused operation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("zoo")
class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Keras's batch normalisation over the channels of images, computed by TensorFlow's fused operation.

    Keras 3 composes it of elementary operations, which on CPUs takes four times as long, a fifth of the whole training
    step of the network `conv`. Weights, configuration and results are those of the Keras layer, but for the moving
    variance, which follows the unbiased estimate of the batch's variance, as PyTorch's does. Each replica normalises by
    its own part of the batch.

    Args:
        synchronized: As Keras's; only `False` works.
        **kwargs: Keras's other arguments.

    Raises:
        ValueError: If it is to be synchronised.
    """

    def __init__(self, *, synchronized: bool = False, **kwargs: Any) -> None:
        if synchronized:
            raise ValueError(
                "FusedBatchNormalization: synchronized=True is not possible in one fused operation; "
                "use keras.layers.BatchNormalization(synchronized=True)"
            )
        super().__init__(**kwargs)

    def build(self, input_shape: tuple) -> None:
        """As Keras's.

        Raises:
            ValueError: what the fused operation cannot do: another axis than the last, or no scale or centre.
        """
        if self.axis not in (-1, 3) or not (self.scale and self.center):
            raise ValueError("FusedBatchNormalization: normalises the last axis of images, with scale and centre")
        super().build(input_shape)

    def call(self, inputs: tf.Tensor, training: bool | None = None, mask: Any = None) -> tf.Tensor:
        """[batch, h, w, channels], normalised by the batch in training, by the moving averages else."""
        training = bool(training and self.trainable)
        x = tf.cast(inputs, tf.float32) if inputs.dtype == tf.float64 else inputs
        normalised, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=x,
            scale=tf.cast(self.gamma, tf.float32),
            offset=tf.cast(self.beta, tf.float32),
            mean=tf.zeros([0]) if training else tf.cast(self.moving_mean, tf.float32),
            variance=tf.zeros([0]) if training else tf.cast(self.moving_variance, tf.float32),
            epsilon=self.epsilon,
            is_training=training,
        )
        if training:
            for average, new in ((self.moving_mean, mean), (self.moving_variance, variance)):
                average.assign(self.momentum * tf.cast(average, tf.float32) + (1.0 - self.momentum) * new)
        return tf.cast(normalised, self.compute_dtype)


@contextmanager
def moving_averages_kept(network: keras.layers.Layer) -> Iterator[None]:
    """Around a call of a network in training: batch normalisation uses the batch, and its moving averages stay."""
    layers = [layer for layer in network._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
    averages = [average for layer in layers for average in (layer.moving_mean, layer.moving_variance)]
    # Not by another momentum meanwhile: replicas are traced by threads, which share the layers.
    before = [tf.identity(average.value) for average in averages]
    yield
    for average, value in zip(averages, before, strict=True):
        average.assign(value)
