"""Weights stored in half precision: half the space on the disk, and the same arithmetic in float32."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

# A weight is halved if no value moves by more than this share of the greatest one. Float16 keeps 11 binary digits.
_ROUNDING = 1e-3
# Of the files in a `.keras` file, the key that a light copy does not need: the optimisers, and the date.
_LEFT_OUT = {"config.json": "compile_config", "metadata.json": "date_saved"}


def can_be_halved(value: np.ndarray) -> bool:
    """Whether float16 holds an array of float32 to a thousandth of its greatest value."""
    if value.dtype != np.float32 or not value.size:
        return False
    with np.errstate(over="ignore"):
        halved = value.astype(np.float16).astype(np.float32)
    return bool(np.abs(halved - value).max() <= _ROUNDING * np.abs(value).max())


class HalfWeights:
    """Stands in for a model's weights while graphs are traced: float16 variables, cast where they are read.

    Args:
        weights: of the model, Keras variables.
    """

    def __init__(self, weights: Iterable[Any]) -> None:
        self._weights = list(weights)
        self._halved: dict[int, Any] = {}

    def traced(self, trace: Callable[[Callable], Any], function: Callable) -> Any:
        """What `trace` makes of a function that reads the float16 variables.

        Args:
            trace: makes a `tf.function`, and traces it.
            function: calls the model.

        Returns:
            What `trace` gives.
        """
        import keras
        import tensorflow as tf

        # Only what the function reads is to be in its graph.
        (plain,) = trace(function)._list_all_concrete_functions()
        read = {id(variable) for variable in plain.variables}
        pairs = [(weight, self._of(weight)) for weight in self._weights if id(weight.value) in read]

        def reading_halves(*arguments: Any) -> Any:
            mapping = [(weight, tf.cast(half, tf.float32)) for weight, half in pairs if half is not None]
            with keras.StatelessScope(state_mapping=mapping):
                return function(*arguments)

        return trace(reading_halves)

    def _of(self, weight: Any) -> Any:
        """The float16 variable of a weight, the same for all functions; None for one that stays as it is."""
        import tensorflow as tf

        if id(weight) not in self._halved:
            value = weight.numpy()
            half = value.astype(np.float16) if can_be_halved(value) else None
            self._halved[id(weight)] = None if half is None else tf.Variable(half, trainable=False, name=weight.name)
        return self._halved[id(weight)]


def light_copy(content: bytes, half: bool = True) -> bytes:
    """A `.keras` file without its optimisers; Keras reads it as it is.

    Args:
        content: of a `.keras` file.
        half: weights in float16 where `can_be_halved`.

    Returns:
        Of the lighter one.
    """
    written = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            part = source.read(name)
            if name in _LEFT_OUT:
                content_of = json.loads(part)
                content_of.pop(_LEFT_OUT[name], None)
                part = json.dumps(content_of).encode()
            elif name == "model.weights.h5":
                part = _light_weights(part, half)
            # A fixed date: the same model gives the same bytes.
            target.writestr(zipfile.ZipInfo(name), part, zipfile.ZIP_DEFLATED)
    return written.getvalue()


def _light_weights(content: bytes, half: bool) -> bytes:
    import h5py

    written = io.BytesIO()
    with h5py.File(io.BytesIO(content), "r") as source, h5py.File(written, "w") as target:

        def copy(group: Any, into: Any) -> None:
            into.attrs.update(group.attrs)
            for name, child in group.items():
                if isinstance(child, h5py.Group):
                    # A layer's name may say what it likes; the optimisers stand at the top.
                    if group.name != "/" or "optimizer" not in name:
                        copy(child, into.create_group(name))
                    continue
                value = child[()]
                halved = half and isinstance(value, np.ndarray) and can_be_halved(value)
                made = into.create_dataset(name, data=value.astype(np.float16) if halved else value)
                made.attrs.update(child.attrs)

        copy(source, target)
    return written.getvalue()
