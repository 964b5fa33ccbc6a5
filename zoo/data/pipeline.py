"""From examples in memory to `tf.data`: an order that depends on the seed and the epoch, and on nothing else.

A run that resumes at epoch e sees the batches of one that never stopped, because nothing is carried from one epoch to
the next: the permutation, and the noise of dynamic binarisation, are stateless functions of (seed, epoch, batch).
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from zoo.data.examples import Examples
from zoo.data.pixels import to_unit_interval
from zoo.data.splits import steps_per_epoch

# Random streams of the same seed that must not coincide.
_ORDER, _PIXELS = 0, 1


def training_pipeline(
    examples: Examples,
    *,
    batch_size: int,
    seed: int,
    epochs: int,
    start_epoch: int = 0,
    binarize: str | None = None,
    index: bool = False,
) -> tf.data.Dataset:
    """Returns the batches of the epochs `start_epoch` to `epochs` - 1 in one go, each epoch in an order of its own.

    Under a distribution strategy `batch_size` is the global batch, and the replicas get consecutive parts of it.

    Args:
        examples: Images or features [n, ...], and labels [n] or `None`.
        batch_size: The number of examples in a batch.
        seed: The order of epoch e, and its pixels, depend on this and on e alone.
        epochs: The number of epochs of the whole run.
        start_epoch: Where to begin, counted from 0: a resumed run begins where the other one stopped.
        binarize: "dynamic" draws each pixel as 0 or 255 with its intensity as the probability, afresh in every epoch.
        index: Deliver `{"x": examples, "index": rows}` for the examples: their rows in `examples`, [batch_size] int64.

    Returns:
        A data set of (epochs - start_epoch) * `steps_per_epoch` batches [batch_size, ...] as they are in memory, or of
        pairs (examples, labels [batch_size]).

    Raises:
        ValueError: If the examples do not fill a batch, the epochs make no sense, or `binarize` is unknown.
    """
    count = len(examples.images)
    steps = steps_per_epoch(count, batch_size)
    if not 0 <= start_epoch <= epochs:
        raise ValueError(f"start_epoch must lie in 0..epochs = {epochs}, got {start_epoch}")
    if binarize not in (None, "dynamic"):
        raise ValueError(f"binarize must be None or 'dynamic' in a pipeline, got {binarize!r} ('fixed' is for `load`)")
    images, labels = _on_host(examples)

    def epoch_of_batches(epoch: tf.Tensor) -> tf.data.Dataset:
        order = tf.random.experimental.stateless_shuffle(
            tf.range(count, dtype=tf.int64), seed=_key(seed, _ORDER, epoch), alg="philox"
        )
        rows = tf.reshape(order[: steps * batch_size], [steps, batch_size])
        return tf.data.Dataset.from_tensor_slices((tf.fill([steps], epoch), tf.range(steps), rows))

    def batch(epoch: tf.Tensor, step: tf.Tensor, rows: tf.Tensor) -> Any:
        chosen = tf.gather(images, rows)
        if binarize == "dynamic":
            noise = tf.random.stateless_uniform(tf.shape(chosen), seed=_key(seed, _PIXELS, epoch, step), alg="philox")
            chosen = tf.cast(noise < to_unit_interval(chosen), tf.uint8) * tf.constant(255, tf.uint8)
        x = {"x": chosen, "index": rows} if index else chosen
        return x if labels is None else (x, tf.gather(labels, rows))

    dataset = tf.data.Dataset.range(start_epoch, epochs).flat_map(epoch_of_batches).map(batch)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality((epochs - start_epoch) * steps))
    return dataset.prefetch(2).with_options(_options())


def evaluation_pipeline(examples: Examples, *, batch_size: int) -> tf.data.Dataset:
    """Returns all examples once, in their own order, the last batch as small as it comes.

    Args:
        examples: Images or features [n, ...], and labels [n] or `None`.
        batch_size: The number of examples in a batch.

    Returns:
        A data set of batches [<= batch_size, ...] as they are in memory, or of pairs (examples, labels).

    Raises:
        ValueError: If there are no examples or the batch size is not positive.
    """
    count = len(examples.images)
    steps_per_epoch(count, min(batch_size, max(count, 1)))
    images, labels = _on_host(examples)

    def batch(start: tf.Tensor) -> tf.Tensor | tuple[tf.Tensor, tf.Tensor]:
        chosen = images[start : start + batch_size]
        return chosen if labels is None else (chosen, labels[start : start + batch_size])

    dataset = tf.data.Dataset.range(0, count, batch_size).map(batch)
    return dataset.prefetch(2).with_options(_options())


def _on_host(examples: Examples) -> tuple[tf.Tensor, tf.Tensor | None]:
    """Returns eager tensors: the functions of a pipeline capture them by reference, and no graph holds a copy.

    `tf.identity` and not `tf.convert_to_tensor`, whose intermediate copy lives on until Python collects garbage.
    """
    with tf.device("/CPU:0"):
        labels = None if examples.labels is None else tf.identity(examples.labels)
        return tf.identity(examples.images), labels


def _key(seed: int, stream: int, *counters: tf.Tensor) -> tf.Tensor:
    """Returns the stateless seed [2] of a draw."""
    key = tf.constant([seed, stream], tf.int64)
    for counter in counters:
        key = tf.random.experimental.stateless_fold_in(key, counter, alg="philox")
    return key


def _options() -> tf.data.Options:
    options = tf.data.Options()
    options.deterministic = True
    # With autotuning, the end of an iterator sometimes waits for the tuner's next period.
    options.autotune.enabled = False
    # Several workers build the same data set; each takes its part of every batch.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return options
