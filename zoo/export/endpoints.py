"""What an export answers: a model's methods as graphs that check what they are given."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from zoo.export import assertions
from zoo.export.half import HalfWeights

Endpoint = Any  # a tf.function
Answers = dict[str, tf.Tensor]


def endpoints(model: Any, half: HalfWeights | None = None) -> tuple[dict[str, Endpoint], dict[str, str]]:
    """The traced functions of a built model by name, and those that it cannot have, with the reason.

    The first becomes `serving_default`. `encode` and `reconstruct` take every type of the domain, as signatures its
    first; for each other type there is one more, such as `encode_uint8`. An empty batch gives an empty answer.

    Args:
        model: whose methods they call.
        half: stands in for the model's weights in the graphs, where it is given.
    """
    shape, types = (None, *model.example_shape), model.domain.types
    complete = not (model.autoregressive and None in model.example_shape)
    # Each network is in the graph once, as a function of prepared examples or codes, which the endpoints call.
    encode = _network(lambda x: dict(model.codes_of(x)._asdict()), [tf.TensorSpec(shape, tf.float32, "x")], half)
    found = {"encode": _of_examples(model, "encode", encode)}
    if complete:
        codes = tf.TensorSpec((None, model.latent_dim), tf.float32, "z")
        decode = _network(lambda z: {"mean": model.decode(z)}, [codes], half)
    if model.autoregressive:
        seeing = [tf.TensorSpec(shape, tf.float32, "x")]
        reconstruct = _network(lambda x: {"mean": model.decode(model.codes_of(x).loc, x)}, seeing, half)
    else:
        reconstruct = _traced(lambda x: decode(encode(x)["loc"]), [tf.TensorSpec(shape, tf.float32, "x")])
    found["reconstruct"] = _of_examples(model, "reconstruct", reconstruct)
    for name, dtype in itertools.product(("encode", "reconstruct"), types[1:]):
        # As signatures they have one type each.
        found[f"{name}_{dtype}"] = _typed(found[name], "x", shape[1:], (dtype,))
    if not complete:
        return found, dict.fromkeys(("decode", "sample"), "examples of any size, so nobody says when one is complete")
    found["decode"] = _of_codes(model, decode)
    try:
        found["sample"] = _sample(model, decode, half)
    except (ValueError, NotImplementedError) as error:  # a prior that cannot be drawn from
        return found, {"sample": (str(error).splitlines() or [type(error).__name__])[0]}
    return found, {}


def _of_examples(model: Any, name: str, core: Endpoint) -> Endpoint:
    """The endpoint of raw examples of every type, of a function of prepared ones."""
    domain, shape = model.domain, model.example_shape
    takes = f"{name}: takes {domain.noun}"

    def answered(raw: tf.Tensor) -> Answers:
        x = domain.prepare(assertions.batch_of(raw, shape, takes))
        x = assertions.examples(x, raw.dtype, domain, model.likelihood, takes)
        return _any_size(core, x)

    return _typed(answered, "x", shape, domain.types)


def _of_codes(model: Any, core: Endpoint) -> Endpoint:
    shape = (model.latent_dim,)

    def decode(z: tf.Tensor) -> Answers:
        z = tf.cast(assertions.batch_of(z, shape, "decode: takes codes"), tf.float32)
        return _any_size(core, assertions.finite(z, "decode: takes codes"))

    return _typed(decode, "z", shape, ("float32", "float64"))


def _sample(model: Any, decode: Endpoint, half: HalfWeights | None) -> Endpoint:
    def sample(n: tf.Tensor, seed: tf.Tensor) -> Answers:
        n = assertions.count_of(n, "sample: takes")
        return {"mean": decode(model.sample_codes(tf.maximum(n, 1), seed))["mean"][:n]}

    return _network(sample, [tf.TensorSpec([], tf.int32, "n"), tf.TensorSpec([], tf.int32, "seed")], half)


def _any_size(core: Endpoint, x: tf.Tensor) -> Answers:
    """The core's answers; to an empty batch empty ones, whatever the network does with such a batch."""
    n = tf.shape(x)[0]
    missing = tf.cast(n == 0, tf.int32)
    padded = tf.pad(x, [[0, missing], *[[0, 0]] * (x.shape.rank - 1)])
    return {key: value[:n] for key, value in core(tf.ensure_shape(padded, x.shape)).items()}


def _typed(function: Callable[..., Answers], name: str, shape: tuple, dtypes: tuple[str, ...]) -> Endpoint:
    """One function for several types; for other shapes too, of which its assertions say what is wrong."""
    # The first is the signature, which declares a shape.
    signature = [tf.TensorSpec((None, *shape), dtypes[0], name)]
    return _traced(function, signature, *([tf.TensorSpec(None, dtype, name)] for dtype in dtypes))


def _network(function: Callable[..., Answers], signature: list[tf.TensorSpec], half: HalfWeights | None) -> Endpoint:
    """A function that calls the networks, traced; with float16 weights where `half` is given."""
    if half is None:
        return _traced(function, signature)
    return half.traced(lambda made: _traced(made, signature), function)


def _traced(function: Callable[..., Answers], *signatures: list[tf.TensorSpec]) -> Endpoint:
    made = tf.function(function, autograph=False)
    for signature in signatures:
        made.get_concrete_function(*signature)
    return made
