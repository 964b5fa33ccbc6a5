"""What an export answers: a model's methods as graphs that check what they are given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from zoo.export import assertions

Endpoint = Any  # a tf.function
Answers = dict[str, tf.Tensor]


def endpoints(model: Any) -> tuple[dict[str, Endpoint], dict[str, str]]:
    """The traced functions of a built model by name, and those that it cannot have, with the reason.

    The first becomes `serving_default`. `encode` and `reconstruct` take every type of the domain, as signatures its
    first; for each other type there is one more, such as `encode_uint8`. An empty batch gives an empty answer.
    """
    first, *others = model.domain.types
    found = {}
    for name, function in (("encode", _encode(model)), ("reconstruct", _reconstruct(model))):
        made = _of_examples(model, name, function)
        # The first type is the signature's.
        found[name] = made(first, *others)
        found |= {f"{name}_{dtype}": made(dtype) for dtype in others}
    left_out: dict[str, str] = {}
    for name, function in (("decode", _decode), ("sample", _sample)):
        try:
            found[name] = function(model)
        except (ValueError, NotImplementedError) as error:
            if name == "decode" and not model.autoregressive:
                raise
            left_out[name] = (str(error).splitlines() or [type(error).__name__])[0]
    return found, left_out


def _encode(model: Any) -> Callable[[tf.Tensor], Answers]:
    return lambda x: dict(model.codes_of(x)._asdict())


def _reconstruct(model: Any) -> Callable[[tf.Tensor], Answers]:
    return lambda x: {"mean": model.decode(model.codes_of(x).loc, x if model.autoregressive else None)}


def _of_examples(model: Any, name: str, function: Callable[[tf.Tensor], Answers]) -> Callable[..., Endpoint]:
    """Makes endpoints for the types it is called with, of a function of prepared examples."""
    domain, shape = model.domain, model.example_shape
    takes = f"{name}: takes {domain.noun}"
    # The network is in the graph once, as a function of prepared examples, which those of all types call.
    core = _traced(function, [tf.TensorSpec((None, *shape), tf.float32, "x")])

    def answered(raw: tf.Tensor) -> Answers:
        x = domain.prepare(assertions.batch_of(raw, shape, takes))
        x = assertions.examples(x, raw.dtype, domain, model.likelihood, takes)
        return _any_size(core, x)

    return lambda *dtypes: _typed(answered, "x", shape, dtypes)


def _decode(model: Any) -> Endpoint:
    shape = (model.latent_dim,)
    core = _traced(lambda z: {"mean": model.decode(z)}, [tf.TensorSpec((None, *shape), tf.float32, "z")])

    def decode(z: tf.Tensor) -> Answers:
        z = tf.cast(assertions.batch_of(z, shape, "decode: takes codes"), tf.float32)
        return _any_size(core, assertions.finite(z, "decode: takes codes"))

    return _typed(decode, "z", shape, ("float32", "float64"))


def _sample(model: Any) -> Endpoint:
    def sample(n: tf.Tensor, seed: tf.Tensor) -> Answers:
        n = assertions.count_of(n, "sample: takes")
        return {"mean": model.sample(tf.maximum(n, 1), seed)[:n]}

    return _traced(sample, [tf.TensorSpec([], tf.int32, "n"), tf.TensorSpec([], tf.int32, "seed")])


def _any_size(core: Endpoint, x: tf.Tensor) -> Answers:
    """The core's answers; to an empty batch empty ones, whatever the network does with such a batch."""
    n = tf.shape(x)[0]
    missing = tf.cast(n == 0, tf.int32)
    padded = tf.pad(x, [[0, missing], *[[0, 0]] * (x.shape.rank - 1)])
    return {key: value[:n] for key, value in core(tf.ensure_shape(padded, x.shape)).items()}


def _typed(function: Callable[..., Answers], name: str, shape: tuple, dtypes: tuple[str, ...]) -> Endpoint:
    """One function for several types; for other shapes too, of which its assertions say what is wrong."""
    strict = [[tf.TensorSpec((None, *shape), dtype, name)] for dtype in dtypes]
    return _traced(function, *strict, *([tf.TensorSpec(None, dtype, name)] for dtype in dtypes))


def _traced(function: Callable[..., Answers], *signatures: list[tf.TensorSpec]) -> Endpoint:
    made = tf.function(function, autograph=False)
    for signature in signatures:
        made.get_concrete_function(*signature)
    return made
