"""What an exported signature refuses: assertions inside the graph, where the zoo's own checks cannot go along."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from zoo.domains.domain import Domain


def batch_of(x: tf.Tensor, shape: tuple[int | None, ...], takes: str) -> tf.Tensor:
    """The same tensor, asserted to be a batch [n, *shape].

    Args:
        x: of any shape.
        shape: of an entry of the batch; None for a size that may be any.
        takes: begins the message: who takes what.

    Returns:
        x, with its static shape.
    """
    # A signature's shape is a declaration that TensorFlow does not enforce. It would simplify away what compares the
    # shape with it; a placeholder hides where x comes from.
    hidden = tf.raw_ops.PlaceholderWithDefault(input=x, shape=tf.TensorShape(None))
    found, rank = tf.shape(hidden), 1 + len(shape)
    known = [1 + i for i, size in enumerate(shape) if size is not None]
    # Padded, so that a shape of too few axes can be compared as well.
    sizes = tf.gather(tf.pad(found, [[0, rank]]), known)
    right = (tf.size(found) == rank) & tf.reduce_all(sizes == [size for size in shape if size is not None])
    wanted = ", ".join("any" if size is None else str(size) for size in (None, *shape))
    message = f"{takes} of shape [{wanted}], got"
    with tf.control_dependencies([tf.debugging.Assert(right, [message, found], summarize=16)]):
        return tf.ensure_shape(tf.identity(hidden), [None, *shape])


def examples(x: tf.Tensor, raw: tf.DType, domain: Domain, likelihood: Any, takes: str) -> tf.Tensor:
    """The same prepared examples, asserted to be such as the domain and the likelihood take.

    Args:
        x: [n, ...], prepared.
        raw: the type that they had before.
        domain: what x is.
        likelihood: of the model.
        takes: begins the message.
    """
    if raw in (tf.uint8, tf.bool) and likelihood.support != "categories":
        return x
    kinds = {
        "unit_interval": "numbers in [0, 1]",
        "categories": f"whole numbers from 0 to {getattr(likelihood, 'categories', 1) - 1}",
    }
    count = domain.invalid(x, likelihood.support)
    message = f"{takes} of {kinds.get(likelihood.support, 'finite numbers')}; others, in this batch:"
    return _unless(count, message, x)


def finite(x: tf.Tensor, takes: str) -> tf.Tensor:
    """The same tensor, asserted to hold neither NaN nor infinite numbers."""
    count = tf.math.count_nonzero(~tf.math.is_finite(x))
    return _unless(count, f"{takes} of finite numbers; others, in this batch:", x)


def _unless(count: tf.Tensor, message: str, x: tf.Tensor) -> tf.Tensor:
    # NaN would hide the others' range.
    some = tf.where(tf.math.is_nan(x), tf.zeros_like(x), x)
    facts = [message, count, "of values between", tf.reduce_min(some), "and", tf.reduce_max(some)]
    with tf.control_dependencies([tf.debugging.Assert(count == 0, facts)]):
        return tf.identity(x)


def count_of(n: tf.Tensor, takes: str) -> tf.Tensor:
    """The same scalar, asserted not to be negative."""
    with tf.control_dependencies([tf.debugging.Assert(n >= 0, [f"{takes} n of at least 0, got", n])]):
        return tf.identity(n)
