"""What a step needs under `tf.distribute`: the global batch, seen from one replica.

With one replica every function here is the identity and adds nothing to the graph.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

import keras
import tensorflow as tf

from zoo.parameters import nearest

STRATEGIES = ("default", "mirrored")


def strategy(name: str = "default", logical_devices: int | None = None) -> tf.distribute.Strategy:
    """A distribution strategy by name.

    Args:
        name: `default` (one device) or `mirrored` (all GPUs of this machine, or its logical CPUs).
        logical_devices: split the CPU into so many logical devices first, to try `mirrored` without GPUs. It
            must happen before TensorFlow has used the CPU.

    Raises:
        ValueError: an unknown name, or devices that can no longer be split.
    """
    if name not in STRATEGIES:
        raise ValueError(f"strategy: no {name!r}; {nearest(name, STRATEGIES)}")
    if logical_devices is not None:
        cpu = tf.config.list_physical_devices("CPU")[0]
        parts = [tf.config.LogicalDeviceConfiguration()] * logical_devices
        try:
            tf.config.set_logical_device_configuration(cpu, parts)
        except RuntimeError:
            raise ValueError("logical devices: TensorFlow is already running; ask before its first use") from None
    if name == "default":
        return tf.distribute.get_strategy()
    return _mirrored()


@functools.cache
def _mirrored() -> tf.distribute.Strategy:
    """The process's one mirrored strategy: a second one would use the first one's collective keys and abort."""
    if tf.config.list_physical_devices("GPU"):
        return tf.distribute.MirroredStrategy()
    return tf.distribute.MirroredStrategy([d.name for d in tf.config.list_logical_devices("CPU")])


def _context() -> tf.distribute.ReplicaContext | None:
    """This replica's context, or None where there is nobody to talk to."""
    context = tf.distribute.get_replica_context()
    return context if context is not None and context.num_replicas_in_sync > 1 else None


def gather(x: tf.Tensor) -> tf.Tensor:
    """Rows of all replicas, in their order: [local, ...] -> [global, ...]."""
    context = _context()
    return x if context is None else context.all_gather(x, axis=0)


def total(x: Any) -> Any:
    """Sum over replicas of a tensor, or of each tensor of a list."""
    context = _context()
    return x if context is None else context.all_reduce(tf.distribute.ReduceOp.SUM, x)


def rows_of_replica(local: tf.Tensor | int) -> tuple[Any, Any]:
    """Where this replica's rows lie in the global batch.

    Args:
        local: how many examples this replica has.

    Returns:
        (number of its first row, rows of the global batch).
    """
    context = _context()
    if context is None:
        return 0, local
    counts = gather(tf.reshape(tf.cast(local, tf.int64), [1]))
    first = tf.reduce_sum(counts[: context.replica_id_in_sync_group])
    return tf.cast(first, tf.int32), tf.cast(tf.reduce_sum(counts), tf.int32)


def synchronised(gradients: list, optimizer: keras.optimizers.Optimizer) -> list:
    """Gradients that the optimiser clips by the norm of the global batch's gradient.

    Keras clips each replica's gradient before it adds them up, so the clipped step would depend on the number of
    replicas. Here they are added up and clipped first, then divided by the number of replicas, which Keras's own
    sum undoes (its clipping then finds nothing left to do). Under a loss scale the limit is scaled too.
    """
    context = _context()
    clipping = getattr(optimizer, "inner_optimizer", optimizer)
    if context is None or not (clipping.global_clipnorm or clipping.clipnorm or clipping.clipvalue):
        return gradients
    known = [g for g in gradients if g is not None]
    scale = optimizer.scale_loss(tf.ones([]))
    summed = iter(_clip(total(known), clipping, scale))
    return [None if g is None else next(summed) / context.num_replicas_in_sync for g in gradients]


def put_back(variables: list, before: list[tf.Tensor], where: tf.Tensor) -> None:
    """Gives variables the values that they had before, where a scalar condition says so; alike on every replica."""
    context = _context()
    if context is None:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(tf.where(where, value, variable.value))
        return

    def everywhere(strategy: tf.distribute.Strategy, values: list, condition: Any) -> None:
        for variable, value in zip(variables, values, strict=True):
            strategy.extended.update(
                variable.value, lambda v, old, c: v.assign(tf.where(c, old, v)), args=(value, condition), group=False
            )

    context.merge_call(everywhere, args=(before, where))


def move_averages(pairs: Iterable[tuple[keras.Variable, keras.Variable]], momentum: float) -> None:
    """Average ← m · average + (1 − m) · weight, alike on every replica, for pairs (weight, average)."""
    values = [(weight.value, average.value) for weight, average in pairs]

    def move(average: tf.Variable, weight: tf.Variable) -> None:
        average.assign(momentum * average + (1.0 - momentum) * weight)

    context = _context()
    if context is None:
        for weight, average in values:
            move(average, weight)
        return

    def everywhere(strategy: tf.distribute.Strategy) -> None:
        for weight, average in values:
            strategy.extended.update(average, move, args=(weight,), group=False)

    context.merge_call(everywhere)


def _clip(gradients: list, optimizer: keras.optimizers.Optimizer, scale: Any) -> list:
    if optimizer.global_clipnorm:
        return tf.clip_by_global_norm(gradients, optimizer.global_clipnorm * scale)[0]
    if optimizer.clipnorm:
        return [tf.clip_by_norm(g, optimizer.clipnorm * scale) for g in gradients]
    return [tf.clip_by_value(g, -optimizer.clipvalue * scale, optimizer.clipvalue * scale) for g in gradients]


def slow_precision(precision: str) -> str:
    """A warning, for a precision for which this machine has no fast kernels; empty for all others."""
    if precision == "mixed_float16" and not tf.config.list_physical_devices("GPU"):
        return "train.precision: mixed_float16 is made for GPUs; on this CPU it takes several times as long as float32"
    return ""
