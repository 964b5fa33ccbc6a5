"""What a user can get wrong about data and networks, found before the first step, and said in one line."""

from __future__ import annotations

import re
import types
import warnings
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from zoo.domains.domain import times
from zoo.domains.images import Images
from zoo.models.batch import examples_of
from zoo.models.step import Step


class Checked(Step):
    """A model that looks at its data before it trains on them, and at its networks when it is built.

    Arrays are looked at whole; of data sets and generators the first batch is, and every later one inside the step.
    """

    example_shape: tuple

    # ── Data ─────────────────────────────────────────────────────────────────────────────────────────────────

    def check(self, x: Any, where: str) -> None:
        """Raises ValueError, naming `where`, for what is no batch of examples for this model; builds it if it is not.

        Args:
            x: an array, a tensor, or a data set, of which the shape is all that is looked at; others pass.
            where: what holds the examples, for the message.
        """
        if isinstance(x, list | tuple):
            raise ValueError(f"{where}: a {type(x).__name__} of {len(x)} arrays; make one array of them, np.stack(…)")
        examples = examples_of(x)
        if tf.is_tensor(examples) and hasattr(examples, "numpy"):
            examples = examples.numpy()
        shape = tf.TensorShape(getattr(examples, "shape", None))
        if not shape.rank:
            return
        if self.built:
            self._check_shape(shape, where, isinstance(x, tf.data.Dataset))
        if isinstance(examples, np.ndarray):
            self._domain_for(shape[1:]).check(examples, where, self.likelihood.support)
            self._check_for_views(examples, where)
        if not self.built:
            with self.distribute_strategy.scope():
                self.build((None, *shape[1:]))
            self._check_shape(shape, where, isinstance(x, tf.data.Dataset))

    def _domain_for(self, example_shape: Any) -> Any:
        """The model's domain, or the one that a first array makes likely."""
        return self.domain

    def _check_shape(self, shape: tf.TensorShape, where: str, data_set: bool) -> None:
        noun, wanted = self.domain.noun, tf.TensorShape(self.example_shape)
        if shape.rank == wanted.rank and shape.is_compatible_with(wanted):
            if data_set:
                raise ValueError(f"{where}: a data set of single {noun}; batch it first, data.batch(n)")
            raise ValueError(f"{where}: one example without a batch axis; give x[None], of shape 1×{times(shape)}")
        if not shape[1:].is_compatible_with(wanted):
            given = times(shape[1:]) or "a single number"
            raise ValueError(f"{where}: {noun} of {given}, but the encoder takes {times(self.example_shape)}")

    def _check_for_views(self, examples: np.ndarray, where: str) -> None:
        clipping = [layer for layer in self.view_layers() if getattr(layer, "clips", False)]
        if clipping and examples.dtype.kind == "f" and isinstance(self.domain, Images):
            low, high = float(examples.min()), float(examples.max())
            if low < 0 or high > 1:
                name = type(clipping[0]).__name__
                raise ValueError(
                    f"{where}: pixels in [{low:g}, {high:g}], but the view {name} keeps them in [0, 1]; scale them to "
                    "it, or give views of your own"
                )

    def view_layers(self) -> list[keras.layers.Layer]:
        """The layers that make the method's views and transformations; a cooperative hook."""
        return []

    def check_index(self, x: Any) -> None:
        """Raises ValueError for examples, as `fit` got them, whose numbers the method cannot train on."""

    def check_batch(self, size: int) -> None:
        """Raises ValueError where the method cannot train on batches of this size."""

    def _check_data(self, x: Any, where: str) -> Any:
        """Checks what `fit` or `evaluate` got, its first batch where it is no array, and returns it whole."""
        if isinstance(x, types.GeneratorType):
            first = next(x, None)
            if first is None:
                raise ValueError(f"{where}: the generator gives nothing")
            rest = x

            def whole() -> Iterator[Any]:
                yield first
                yield from rest

            self._check_batch_of(first, where)
            return whole()
        if isinstance(x, keras.utils.PyDataset):
            if x.num_batches == 0:
                raise ValueError(f"{where}: the data set is empty")
            self._check_batch_of(x[0], where)
            return x
        self.check(x, where)
        if isinstance(x, tf.data.Dataset):
            first = next(iter(x.take(1)), None)
            if first is None:
                raise ValueError(f"{where}: the data set is empty")
            self._check_batch_of(first, where)
        return x

    def _check_batch_of(self, data: Any, where: str) -> None:
        x, _, _ = keras.utils.unpack_x_y_sample_weight(tuple(data) if isinstance(data, list) else data)
        self.check(x, f"{where}: first batch")

    # ── Keras's calls ────────────────────────────────────────────────────────────────────────────────────────

    def fit(
        self, x: Any = None, y: Any = None, batch_size: int | None = None, *args: Any, **kwargs: Any
    ) -> keras.callbacks.History:
        """As Keras's; the data are checked first, see `Checked`.

        Raises:
            ValueError: data with the wrong shape for the encoder, NaN, values that the likelihood does not take, or a
                batch that the method cannot work with.
        """
        x = self._check_data(x, "fit")
        self.check_index(x)
        validation = kwargs.get("validation_data")
        if isinstance(validation, tuple | list):
            self.check(validation[0], "validation_data")
        elif validation is not None:
            kwargs["validation_data"] = self._check_data(validation, "validation_data")
        if (size := self._batch_size(x, batch_size)) is not None:
            self.check_batch(size)
        if self.jit_compile and not isinstance(x, np.ndarray | tf.Tensor | dict):
            warnings.warn("fit: under jit_compile only the first batch of a data set is looked at", stacklevel=2)
        with _one_line("fit"):
            return super().fit(x, y, batch_size, *args, **kwargs)

    def train_on_batch(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """As Keras's; the batch is checked first, as in `fit`."""
        self.check(x, "train_on_batch")
        self.check_batch(len(examples_of(x)))
        with _one_line("train_on_batch"):
            return super().train_on_batch(x, *args, **kwargs)

    def evaluate(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As Keras's; the data are checked first, as in `fit`."""
        # `fit` comes here with validation data that it has checked: a look would take a generator's batch away.
        inside = kwargs.get("_use_cached_eval_dataset", False)
        x = x if inside else self._check_data(x, "evaluate")
        with _one_line("validation_data" if inside else "evaluate"):
            return super().evaluate(x, *args, **kwargs)

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> np.ndarray:
        """As Keras's, the model's reconstructions; the data are checked first, as in `fit`."""
        return super().predict(self._check_data(x, "predict"), *args, **kwargs)

    def _batch_size(self, x: Any, batch_size: int | None) -> int | None:
        """How many examples the first batch of `fit` has; None where only its generator knows."""
        shape = tf.TensorShape(getattr(examples_of(x), "shape", None))
        if not isinstance(x, tf.data.Dataset):
            return min(batch_size or 32, shape[0]) if shape.rank and shape[0] else None
        if shape.rank and shape[0] is None and type(self).check_batch is not Checked.check_batch:
            first = next(iter(x.take(1)))
            shape = examples_of(first[0] if isinstance(first, tuple) else first).shape
        return shape[0] if shape.rank else None


class _one_line:  # noqa: N801
    """Turns an assertion of the zoo's inside the graph into one line; what stands behind it is where it was."""

    def __init__(self, where: str) -> None:
        self.where = where

    def __enter__(self) -> None: ...

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, tf.errors.InvalidArgumentError) and (
            found := re.search(r"assertion failed: \[(.+)", error.message)
        ):
            text = found.group(1).replace("] [", " ").rstrip("]")
            raise ValueError(f"{self.where}: {text}") from None


def check_networks(model: str, encoder: Any, decoder: Any, likelihood: Any, domain: Any) -> None:
    """Looks at networks for what trains and is wrong.

    Args:
        model: the model's class, for messages.
        encoder: called already.
        decoder: likewise.
        likelihood: what the decoder's output means.
        domain: what x is.

    Raises:
        ValueError: a decoder that ends in probabilities where logits are wanted.

    Warns:
        UserWarning: an encoder that scales pixels once more, or that seems to sample.
    """
    layers = list(getattr(encoder, "layers", []))
    last = _last(encoder)
    if last is not None and _SAMPLES.search(f"{type(last).__name__} {last.name}".lower().replace("_", "")):
        warnings.warn(
            f"{model}: the encoder ends in {last.name!r}, which seems to sample; it gives features, and the "
            "model samples itself",
            stacklevel=2,
        )
    if isinstance(domain, Images) and any(isinstance(layer, keras.layers.Rescaling) for layer in layers):
        warnings.warn(
            f"{model}: the encoder has a Rescaling layer, but images come to it in the unit interval already",
            stacklevel=2,
        )
    last = _last(decoder)
    softmax = isinstance(last, keras.layers.Softmax)
    activation: Any = keras.activations.softmax if softmax else getattr(last, "activation", None)
    logits = {"unit_interval": keras.activations.sigmoid, "categories": keras.activations.softmax}
    wrong = logits.get(likelihood.support)
    if wrong is not None and activation is wrong:
        raise ValueError(
            f"{model}: the likelihood {type(likelihood).__name__} takes logits, but the decoder ends in "
            f"{wrong.__name__}; leave that activation out"
        )


# Not an up-, down- or subsampling layer.
_SAMPLES = re.compile(r"(?<!up)(?<!down)(?<!sub)(?<!re)sampl")
# What only arranges the entries that the layer before it gives.
_ARRANGING = (
    keras.layers.Cropping1D,
    keras.layers.Cropping2D,
    keras.layers.Flatten,
    keras.layers.Identity,
    keras.layers.Permute,
    keras.layers.Reshape,
)


def _last(network: Any) -> Any:
    """The last layer of a network, those inside it included, that computes something; None where nobody can tell."""
    layers = [one for one in getattr(network, "layers", []) if not isinstance(one, _ARRANGING)]
    if not layers:
        return None
    return _last(layers[-1]) if isinstance(layers[-1], keras.Model) else layers[-1]


def check_features(model: str, features: Any) -> None:
    """Raises ValueError for what an encoder has given, if it is more than one tensor."""
    if isinstance(features, list | tuple | dict):
        raise ValueError(
            f"{model}: the encoder has {len(features)} outputs; it gives features, and the heads for loc and scale are "
            "the model's own"
        )
