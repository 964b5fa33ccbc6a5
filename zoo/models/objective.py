"""The one training step that all ordinary methods share.

`VAE` and its subclasses say what the terms of a loss are; this says how a batch becomes terms, terms become one
number, and the number becomes a step of the optimiser, on one device or on many.
"""

from __future__ import annotations

import re
from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from zoo import replicas
from zoo.data.pixels import to_unit_interval
from zoo.latents.posterior import Latents
from zoo.models.batch import Batch, images_of, split_index
from zoo.randomness import Draws

# A number, or a scalar tensor while it grows.
Weight: TypeAlias = "float | tf.Tensor"


def weighted_sum(terms: dict[str, tf.Tensor], weights: dict[str, Weight]) -> tf.Tensor:
    """Σ weight · term: [batch].

    In the order of their names, so that it does not depend, to the last bit, on the order in which methods were
    combined. A term of weight 0 is left out, not multiplied: 0 · inf would spoil the rest.
    """
    active = sorted(name for name, weight in weights.items() if isinstance(weight, tf.Tensor) or weight)
    return tf.add_n([weights[name] * terms[name] for name in active])


class ObjectiveModel(keras.Model):
    """A Keras model whose loss is a weighted sum of named terms, one value per example each.

    Subclasses give `seed`, `warmup_steps` and the hooks. Running means of all terms, of `loss` and of `elbo` are
    its Keras metrics, under the terms' own names.
    """

    # The terms that a method claims for itself; the names of its metrics.
    adds: tuple[str, ...] = ()
    # Whether training takes `{"x": images, "index": their numbers in the training set}`.
    needs_index: bool = False

    seed: int
    warmup_steps: int
    trackers: list[keras.metrics.Metric]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.__dict__["trackers"] = []
        self.step = self._counter("step")
        self.evaluation_step = self._counter("evaluation_step")

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        owners: dict[str, str] = {}
        for base in cls.__mro__:
            for term in base.__dict__.get("adds", ()):
                if term in owners:
                    raise ValueError(f"{owners[term]} and {base.__name__} cannot be combined: both add {term!r}")
                owners[term] = base.__name__

    def _counter(self, name: str) -> keras.Variable:
        # Replicas count alike, so the first one's count is everybody's.
        return self.add_weight(
            shape=(),
            dtype="int64",
            initializer="zeros",
            trainable=False,
            autocast=False,
            name=name,
            aggregation="only_first_replica",
        )

    # ── Hooks ────────────────────────────────────────────────────────────────────────────────────────────────

    def view(self, x: tf.Tensor, training: bool) -> tf.Tensor:
        """The batch that the ELBO sees, from the original one, both [batch, ...] in the unit interval."""
        return x

    def infer(self, x: tf.Tensor, training: bool = False, stream: str = "posterior") -> Latents:
        """q(z|x), p(z) and a sample."""
        raise NotImplementedError

    def loss_terms(self, batch: Batch, latents: Latents, training: bool) -> dict[str, tf.Tensor]:
        """The terms of the loss, unweighted, in nats unless their name says otherwise: each [batch].

        In evaluation a term may be missing that held-out examples cannot have.

        Args:
            batch: the images, before and after `view`.
            latents: as `infer` gave them for `batch.x`.
            training: False in evaluation.
        """
        raise NotImplementedError

    def loss_weights(self, training: bool = False) -> dict[str, Weight]:
        """The weight of every term that `loss_terms` returns; 0 for what is only reported."""
        raise NotImplementedError

    def after_step(self) -> None:
        """Runs after the optimiser's step: moving averages and the like."""

    def check_images(self, x: Any, where: str) -> None:
        """Raises ValueError, naming `where`, for what is no batch of images for this model; builds it if it is not.

        Args:
            x: an array, a tensor, or a data set, of which the shape is all that can be checked; others pass.
            where: what holds the images, for the message.
        """

    def check_index(self, x: Any) -> None:
        """Raises ValueError for examples, as `fit` got them, whose numbers the method cannot train on."""

    def check_batch(self, size: int) -> None:
        """Raises ValueError where the method cannot train on batches of this size."""

    # ── The step ─────────────────────────────────────────────────────────────────────────────────────────────

    def draws(self, training: bool) -> Draws:
        """This step's random numbers; the n-th batch of an evaluation has the same in every evaluation."""
        step = self.step if training else self.evaluation_step
        return Draws(self.seed, step.value, "training" if training else "evaluation")

    def warm_up(self, training: bool) -> Weight:
        """The factor of the rate's weight: min(1, step / warmup_steps) in training, 1 in evaluation."""
        if not (training and self.warmup_steps):
            return 1.0
        return tf.minimum(1.0, tf.cast(self.step.value, tf.float32) / self.warmup_steps)

    def objective(self, x: Any, training: bool) -> dict[str, tf.Tensor]:
        """All terms of a batch of raw pixels, with `loss` (their weighted sum) and `elbo`: each [batch].

        Args:
            x: images, or `{"x": images, "index": their numbers in the training set}`.
            training: False in evaluation.
        """
        images, index = split_index(x)
        original = to_unit_interval(images)
        batch = Batch(self.view(original, training), original, index)
        latents = self.infer(batch.x, training, batch.stream)
        terms = self.loss_terms(batch, latents, training)
        weights = self.loss_weights(training)
        if not training:
            weights = {name: weight for name, weight in weights.items() if name in terms}
        loss = weighted_sum(terms, weights)
        return {"loss": loss, **terms, "elbo": -terms["distortion"] - terms["rate"]}

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """One step of the optimiser on a batch x, (x, y) or (x, y, sample_weight); y is never trained on.

        The loss is the mean over the global batch, weighted by `sample_weight` [batch] where it is given. Regularisers
        of the networks' own layers are minimised along with it, but are no part of what `loss` reports.
        """
        x, _, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            terms = self.objective(x, training=True)
            weights = tf.ones_like(terms["loss"]) if sample_weight is None else sample_weight
            # A column of weights would broadcast to all pairs of examples.
            weights = tf.reshape(tf.cast(weights, terms["loss"].dtype), [-1])
            # Keras adds the replicas' gradients up: each replica contributes its part of the global mean.
            global_weight = replicas.total(tf.reduce_sum(weights))
            loss = tf.math.divide_no_nan(tf.reduce_sum(weights * terms["loss"]), global_weight)
            if self.losses:
                loss += tf.add_n(self.losses) / tf.distribute.get_strategy().num_replicas_in_sync
            scaled = self.optimizer.scale_loss(loss)
        variables = self.trainable_weights
        gradients = replicas.synchronised(tape.gradient(scaled, variables), self.optimizer)
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        self.step.assign_add(1)
        self.after_step()
        return self._track(terms, sample_weight)

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        """The same terms on a batch of held-out data, with the ELBO on the images as they are."""
        x, _, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        terms = self.objective(x, training=False)
        self.evaluation_step.assign_add(1)
        return self._track(terms, sample_weight)

    def _track(self, terms: dict[str, tf.Tensor], sample_weight: tf.Tensor | None) -> dict[str, tf.Tensor]:
        present = [tracker for tracker in self.trackers if tracker.name in terms]
        for tracker in present:
            tracker.update_state(terms[tracker.name], sample_weight=sample_weight)
        return {tracker.name: tracker.result() for tracker in present}

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """Running means of `loss`, of every term and of `elbo`."""
        return list(self.trackers)

    def _maybe_symbolic_build(self, *args: Any, **kwargs: Any) -> None:
        # Keras's averages the replicas' batches first, which fails where one has an image more than another.
        if not self.built:
            super()._maybe_symbolic_build(*args, **kwargs)
        elif self.optimizer is not None and not self.optimizer.built:
            with self.distribute_strategy.scope():
                self.optimizer.build(self.trainable_variables)

    def _get_metrics_result_or_logs(self, logs: dict[str, Any]) -> dict[str, Any]:
        # Keras takes the running means, over replicas, only where the logs name all of them; else it averages the
        # replicas' own. A term that held-out examples cannot have would spoil the others.
        known = {tracker.name: tracker.result() for tracker in self.trackers if tracker.name in logs}
        return {**logs, **known}

    def reset_metrics(self) -> None:
        """Starts the running means, and the evaluation's noise, anew."""
        super().reset_metrics()
        self.evaluation_step.assign(0)

    def fit(
        self, x: Any = None, y: Any = None, batch_size: int | None = None, *args: Any, **kwargs: Any
    ) -> keras.callbacks.History:
        """As Keras's; arrays are checked first.

        Raises:
            ValueError: arrays with the wrong shape for the encoder, NaN pixels, pixels that the likelihood does not
                take, or a batch that the method cannot work with.
        """
        self.check_images(x, "fit")
        self.check_index(x)
        validation = kwargs.get("validation_data")
        held_out = validation[0] if isinstance(validation, tuple | list) else validation
        self.check_images(held_out, "validation_data")
        if (size := self._batch_size(x, batch_size)) is not None:
            self.check_batch(size)
        try:
            return super().fit(x, y, batch_size, *args, **kwargs)
        except tf.errors.InvalidArgumentError as error:
            # An assertion of ours inside the graph says what is wrong with the data; the rest is where.
            if found := re.search(r"assertion failed: \[(.+)", error.message):
                raise ValueError(f"fit: {found.group(1).replace('] [', ' ').rstrip(']')}") from None
            raise

    def train_on_batch(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """As Keras's; the batch's size is checked first, as in `fit`."""
        self.check_batch(len(images_of(x)))
        return super().train_on_batch(x, *args, **kwargs)

    def _batch_size(self, x: Any, batch_size: int | None) -> int | None:
        """How many examples the first batch of `fit` has; None where only its generator knows."""
        shape = tf.TensorShape(getattr(images_of(x), "shape", None))
        if not isinstance(x, tf.data.Dataset):
            return min(batch_size or 32, shape[0]) if shape.rank and shape[0] else None
        if shape.rank and shape[0] is None and type(self).check_batch is not ObjectiveModel.check_batch:
            first = next(iter(x.take(1)))
            shape = images_of(first[0] if isinstance(first, tuple) else first).shape
        return shape[0] if shape.rank else None

    def evaluate(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As Keras's; arrays are checked first, as in `fit`."""
        self.check_images(x, "evaluate")
        return super().evaluate(x, *args, **kwargs)

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> np.ndarray:
        """As Keras's, the model's reconstructions; arrays are checked first, as in `fit`."""
        self.check_images(x, "predict")
        return super().predict(x, *args, **kwargs)

    def compile(self, optimizer: Any = "adam", jit_compile: bool = False, **kwargs: Any) -> None:
        """As Keras's; the objective is the model's own.

        Args:
            optimizer: name or object.
            jit_compile: XLA; off by default because it makes the step slower on CPUs.
            **kwargs: `run_eagerly`, `steps_per_execution`, ….

        Raises:
            ValueError: a loss or metrics.
        """
        for name in ("loss", "metrics", "weighted_metrics", "loss_weights"):
            if kwargs.get(name):
                raise ValueError(f"{type(self).__name__}.compile: no {name}; the objective is the model's own")
        super().compile(optimizer=optimizer, jit_compile=jit_compile, **kwargs)
        with self.distribute_strategy.scope():
            trackers = [keras.metrics.Mean(n) for n in ("loss", *self.loss_weights(), "elbo")]
        # Past Keras's attribute tracking: running means are no part of the model's saved state.
        self.__dict__["trackers"] = trackers

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles a loaded model as the saved one was, the optimiser's state included."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.built:
            self.optimizer.build(self.trainable_variables)
