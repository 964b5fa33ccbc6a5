"""Labels that number the examples of a training set, in one dimension or several."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf


class ExampleLabels:
    """A label for each example: one of `count`, written as one digit or as several.

    Every label goes to as many examples as any other, but for one; which ones is up to the seed. The digits of a label
    count as independent, so a classifier of the digits gives the label the product of their probabilities.

    Attributes:
        count: V, the number of labels in use.
        sizes: how many values each digit takes; their product is V or above.
        table: the digits of each example's label, [examples, digits], int32.

    Args:
        examples: N, the number of examples.
        count: V; None for a label of its own for each example, V = N.
        dimensions: the sizes; or a number D of digits, all of the smallest size that is enough; None for one digit.
        seed: decides who gets which label.

    Raises:
        ValueError: more labels than examples, or sizes whose product is below V.
    """

    def __init__(self, examples: int, count: int | None, dimensions: int | list[int] | None, seed: int) -> None:
        if count is not None and count > examples:
            raise ValueError(f"labels: {count} is above the number of examples, {examples}")
        self.count = count or examples
        self.sizes = _sizes(self.count, dimensions)
        # The legacy generator's numbers are promised never to change: a model that is trained on keeps its labels.
        rest = np.random.RandomState(seed).permutation(examples) % self.count
        digits = []
        for size in reversed(self.sizes):
            digits.append(rest % size)
            rest //= size
        self.table = np.stack(digits[::-1], axis=1).astype(np.int32)

    def of(self, index: tf.Tensor) -> tf.Tensor:
        """The labels of the examples with these numbers: [batch] → digits [batch, digits].

        Raises:
            ValueError: anything but one whole number for each example.
            tf.errors.InvalidArgumentError: a number out of range.
        """
        index = tf.convert_to_tensor(index)
        if index.shape.rank != 1 or not index.dtype.is_integer:
            found = f"{index.dtype.name} of shape {index.shape}"
            raise ValueError(f"index: must be one whole number for each image of the batch, got {found}")
        index, count = tf.cast(index, tf.int64), len(self.table)
        inside = tf.reduce_all((index >= 0) & (index < count))
        message = f"index: must lie in 0..{count - 1}, the numbers of the examples, got"
        with tf.control_dependencies([tf.debugging.Assert(inside, [message, index])]):
            return tf.gather(tf.constant(self.table), index)

    def split(self, logits: tf.Tensor) -> list[tf.Tensor]:
        """The logits of each digit: [..., sum of sizes] → [..., size] each."""
        return tf.split(logits, self.sizes, axis=-1)

    def entropy(self, logits: tf.Tensor) -> tf.Tensor:
        """Of the label, in nats: logits [..., sum of sizes] → [...]."""
        normalised = [tf.nn.log_softmax(digit) for digit in self.split(logits)]
        return tf.add_n([-tf.reduce_sum(tf.exp(digit) * digit, axis=-1) for digit in normalised])

    def log_probability(self, logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Of given labels, in nats: logits [..., batch, sum of sizes], digits [batch, digits] → [..., batch]."""
        found = []
        for digit, label in zip(self.split(logits), tf.unstack(labels, axis=1), strict=True):
            everywhere = tf.broadcast_to(label, tf.shape(digit)[:-1])
            found.append(tf.nn.sparse_softmax_cross_entropy_with_logits(everywhere, digit))
        return -tf.add_n(found)


def _sizes(count: int, dimensions: int | list[int] | None) -> tuple[int, ...]:
    if isinstance(dimensions, int):
        size = round(count ** (1 / dimensions))
        return (size + (size**dimensions < count),) * dimensions
    sizes = tuple(dimensions or (count,))
    if (product := math.prod(sizes)) < count:
        factors = " · ".join(map(str, sizes))
        raise ValueError(f"label_dimensions: {factors} = {product} is below the {count} labels that are needed")
    return sizes
