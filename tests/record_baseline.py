"""What every method computed before the redesign of its internals: the cases, and how each is measured.

`python tests/record_baseline.py` writes `tests/baseline.json`, which `test_baseline.py` compares with. Record anew only
after a change that is meant to change the numbers, and with the package installed, or in `PYTHONPATH`. Two runs on one
machine write the same file to the last byte.

Nothing here depends on how a model is made inside. Weights are overwritten by numbers that follow from their names, and
gradients are taken where the optimiser gets them. What is used of a model beyond its public interface is in `PARTS`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

# Before TensorFlow is imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

import zoo
from zoo.augmentation import images
from zoo.models import contrastive, noise_contrastive

BASELINE = Path(__file__).with_name("baseline.json")
EXPORTS = Path(__file__).parents[1] / "exports" / "digits"

IMAGE_SHAPE, LATENT_DIM, BATCH, STEPS, SEED = (28, 28, 1), 8, 32, 3, 3
EXAMPLES = 1197  # of the digits' training split

# Where a model holds its networks and layers: a name for the file → the attribute. Weights are told apart by these
# names and by their place inside, so an attribute that is renamed is renamed here, on the right.
PARTS = {
    "encoder": "encoder",
    "decoder": "decoder",
    "loc": "head.loc",
    "scale": "head.scale",
    "likelihood": "likelihood",
    "critic_encoder": "critic_encoder",
    "critic_x": "x_projection",
    "critic_z_hidden": "z_hidden",
    "critic_z": "z_projection",
    "classifier": "classifier",
}
# What a contrastive model's key encoder starts as a copy of; attributes, both.
COPIES = {"key_encoder": "encoder", "key_head": "head"}

# First values. Normalised units start three standard deviations above the ReLU's kink. Else, of the million units in a
# step of `conv`, one or another would lie so near to 0 that rounding decides its sign, by which a gradient changes by a
# hundredth.
CONSTANTS = {"bias": 0.0, "gamma": 0.3, "beta": 1.0}

# === Cases ===


class Case(NamedTuple):
    """A method, or several in one class, on a network."""

    methods: tuple[str, ...]
    network: str
    arguments: dict[str, Any]


CLASSES = {
    "vae": "VAE",
    "iwae": "IWAE",
    "contrastive": "ContrastiveVAE",
    "consistency": "ConsistencyVAE",
    "triplet": "TripletVAE",
    "noise_contrastive": "NoiseContrastiveVAE",
    "critic": "InferenceCriticVAE",
    "auxiliary_softmax": "AuxiliarySoftmaxVAE",
}
# What a method's constructor cannot do without.
NEEDED = {"auxiliary_softmax": {"examples": EXAMPLES}}
# On every method.
COMMON = {
    "default": {},
    "beta_warmup": {"beta": 0.5, "warmup_steps": 4},
    "gaussian": {"likelihood": {"name": "gaussian", "variance": 0.5}},
    "learned_variance": {"likelihood": {"name": "gaussian", "variance": 0.5, "learned": True}},
}
VARIANTS = {
    "contrastive": {
        "queue_64": {"queue_size": 64},
        "no_queue": {"queue_size": 0},
        "elbo_on_original": {"elbo_on": "original", "queue_size": 64},
    },
    "noise_contrastive": {
        "decoder_noise": {"noise": "decoder"},
        "gaussian_decoder_noise": {"noise": "decoder", **COMMON["gaussian"]},
    },
    "critic": {
        "neural": {"critic": "neural"},
        "hybrid": {"critic": "hybrid"},
        "model_side": {"side": "model"},
        "neural_model_side": {"critic": "neural", "side": "model"},
        "both_directions": {"direction": "both"},
        "hybrid_x_to_z": {"critic": "hybrid", "direction": "x_to_z"},
    },
    "auxiliary_softmax": {
        "two_dimensions": {"label_dimensions": [40, 40]},
        "cross_entropy": {"information": "cross_entropy"},
        "labels_16": {"labels": 16},
        "switches": {"labels": 16, "cross_entropy_trains_encoder": True, "information_trains_classifier": True},
    },
    "iwae": {"samples_3": {"samples": 3}, "samples_1": {"samples": 1}},
}
EVERYTHING = {"queue_size": 64, "critic": "hybrid", "labels": 16, "samples": 3}


def _cases() -> dict[str, Case]:
    found = {}
    for method in CLASSES:
        needed = NEEDED.get(method, {})
        for name, arguments in {**COMMON, **VARIANTS.get(method, {})}.items():
            found[f"{method}-mlp-{name}"] = Case((method,), "mlp", {**needed, **arguments})
        found[f"{method}-conv-default"] = Case((method,), "conv", needed)
    found["consistency+iwae-mlp-default"] = Case(("consistency", "iwae"), "mlp", {})
    softmax = {**NEEDED["auxiliary_softmax"], "labels": 16}
    found["auxiliary_softmax+iwae-mlp-labels_16"] = Case(("auxiliary_softmax", "iwae"), "mlp", softmax)
    every = tuple(method for method in CLASSES if method != "vae")
    found["everything-mlp"] = Case(every, "mlp", {**NEEDED["auxiliary_softmax"], **EVERYTHING})
    return found


CASES = _cases()
TRAINED = {name: Case((name,), "conv", {}) for name in ("vae", "contrastive")}

# === What was changed on purpose ===


class RandomResizedCrop(images.RandomResizedCrop):
    """The crop as it was when the baseline was recorded: sides that do not fit were cut, and are now drawn anew.

    Named as the one of today, for the name of the class is in the name of its draws. All else must be as it was.
    """

    def transform(self, x: tf.Tensor, draws: Any, stream: str) -> tf.Tensor:
        """The crop, resized."""
        u = draws.uniform(stream, [tf.shape(x)[0], 4])
        area = self.smallest + (self.largest - self.smallest) * u[:, 0]
        ratio = tf.exp((2 * u[:, 1] - 1) * math.log(self.aspect))
        height, width = tf.minimum(1.0, tf.sqrt(area / ratio)), tf.minimum(1.0, tf.sqrt(area * ratio))
        top, left = (1 - height) * u[:, 2], (1 - width) * u[:, 3]
        rows, columns = (
            images._interpolation(start, length, size)
            for start, length, size in ((top, height, x.shape[1]), (left, width, x.shape[2]))
        )
        return tf.einsum("nij,njkc,nlk->nilc", rows, x, columns)


@contextlib.contextmanager
def averages_moved_by_noise() -> Iterator[None]:
    """Lets noise images move the moving averages of batch normalisation, as they did."""
    with mock.patch.object(noise_contrastive, "moving_averages_kept", lambda network: contextlib.nullcontext()):
        yield


@contextlib.contextmanager
def own_keys_in_the_queue() -> Iterator[None]:
    """Lets the queue hold an image's older keys, and an image's own, as it did where it is longer than the data set."""

    def owners(model: Any, batch: Any) -> tf.Tensor:
        # Below the queue's own marks, and of no key twice.
        return -10 - 1000 * model.step.value - tf.range(batch.size, dtype=tf.int64)

    with mock.patch.object(contrastive.ContrastiveVAE, "_owners", owners):
        yield


def label_constant(case: Case) -> dict[str, float]:
    """What MD lost, by the ends of the names of the terms that hold it: log(N/V) with V labels for N examples.

    The consistency method takes the bound twice.
    """
    if "labels" not in case.arguments:
        return {}
    lost = math.log(EXAMPLES / case.arguments["labels"])
    names = ("softmax_marginal_kl", "softmax_rate", "negative_bound")
    return {**dict.fromkeys(names, lost), "loss": lost * (2 if "consistency" in case.methods else 1)}


# === Models with weights that are known ===


def _part(model: keras.Model, attribute: str) -> Any:
    part = model
    for name in attribute.split("."):
        part = getattr(part, name, None)
    return part


def named_weights(model: keras.Model) -> dict[str, keras.Variable]:
    """The trainable weights by names that no counter of Keras's and no order of creation goes into.

    A network's are `encoder/2/kernel`, where 2 counts the network's layers with weights; a layer's are `loc/kernel`.

    Raises:
        ValueError: a trainable weight that no part of `PARTS` holds, or one that is not trained.
    """
    found = {}
    for name, attribute in PARTS.items():
        part = _part(model, attribute)
        if isinstance(part, keras.Model):
            layers = [layer for layer in part.layers if layer.weights]
            found |= {f"{name}/{i}/{w.name}": w for i, layer in enumerate(layers) for w in layer.trainable_weights}
        elif isinstance(part, keras.layers.Layer):
            found |= {f"{name}/{w.name}": w for w in part.trainable_weights}
    trained = {id(w): w.path for w in model.trainable_weights}
    if set(trained) != set(map(id, found.values())):
        missing = [path for key, path in trained.items() if key not in set(map(id, found.values()))]
        surplus = [name for name, w in found.items() if id(w) not in trained]
        raise ValueError(f"PARTS: no names for the trained weights {missing}; not trained, but there: {surplus}")
    return found


def overwrite(model: keras.Model) -> dict[str, keras.Variable]:
    """Sets the model's trainable weights; returns them by name.

    Kernels are uniform as Glorot's, seeded by their names. NumPy promises the legacy generator's numbers, and uniform
    ones take no function of the platform's. A variance starts as the constructor says, a queue by the model's seed.
    """
    weights = named_weights(model)
    for name, weight in weights.items():
        kind = name.rsplit("/", 1)[-1]
        if kind == "kernel":
            fans = np.prod(weight.shape[:-2]) * (weight.shape[-2] + weight.shape[-1])
            uniform = np.random.RandomState(zlib.crc32(name.encode())).random_sample(weight.shape)
            weight.assign(np.float32(np.sqrt(6 / fans) * (2 * uniform - 1)))
        elif kind in CONSTANTS:
            weight.assign(np.full(weight.shape, CONSTANTS[kind], np.float32))
        elif kind != "log_variance":
            raise ValueError(f"{name}: no rule for its first value")
    return weights


def make(case: Case, latent_dim: int = LATENT_DIM) -> tuple[keras.Model, dict[str, keras.Variable]]:
    """The case's model with its known weights, built but not compiled, and these weights by name."""
    likelihood = case.arguments.get("likelihood", "bernoulli")
    # What the Gaussian likelihood wants behind the decoder: means in the unit interval.
    sizes = {"width": 32, "depth": 2} if case.network == "mlp" else {}
    activation = "linear" if likelihood == "bernoulli" else "sigmoid"
    networks = zoo.networks.build(case.network, IMAGE_SHAPE, latent_dim, output_activation=activation, **sizes)
    one = len(case.methods) == 1
    model_class = getattr(zoo, CLASSES[case.methods[0]]) if one else zoo.combine(*case.methods)
    own = {"views": [RandomResizedCrop(), *images.contrastive_views()[1:]]} if "contrastive" in case.methods else {}
    model = model_class(*networks, latent_dim=latent_dim, seed=SEED, **own, **case.arguments)
    if not model.built:
        model.build((None, *IMAGE_SHAPE))
    weights = overwrite(model)
    if "contrastive" in case.methods:
        for copy, original in COPIES.items():
            getattr(model, copy).set_weights(getattr(model, original).get_weights())
    return model, weights


# === Three steps ===


class RecordingSGD(keras.optimizers.SGD):
    """SGD that keeps the norm of every gradient as it gets it, before any clipping, and of all of them together."""

    def __init__(self, weights: dict[str, keras.Variable], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # Past Keras's attribute tracking: these are no state of the optimiser's.
        self.__dict__["norms"] = {name: tf.Variable(0.0, trainable=False) for name in [*weights, "all"]}
        self.__dict__["names"] = {id(weight): name for name, weight in weights.items()}

    def apply(self, grads: list, trainable_variables: list | None = None) -> None:
        """As Keras's; a weight without a gradient counts as one whose gradient is zero."""
        weights = self._trainable_variables if trainable_variables is None else list(trainable_variables)
        grads = list(grads)
        squares = {name: tf.constant(0.0) for name in self.norms}
        for weight, gradient in zip(weights, grads, strict=True):
            if gradient is not None:
                squares[self.names[id(weight)]] = tf.reduce_sum(tf.square(tf.convert_to_tensor(gradient)))
        # In the order of their names, so that the sum's last bit is not one of the order of creation.
        squares["all"] = tf.add_n([squares[name] for name in sorted(squares)])
        for name, square in squares.items():
            self.norms[name].assign(tf.sqrt(square))
        super().apply(grads, weights)


def _number(value: Any) -> float:
    """With nine digits, which tell any two float32 apart."""
    return float(f"{float(value):.9g}")


def digits(split: str) -> Any:
    """Images and labels."""
    return zoo.data.load("digits", split)


def measure(case: Case) -> dict[str, Any]:
    """Three steps of the optimiser, then an evaluation.

    Returns:
        `terms` and `gradients`: by name, a value for each step; `evaluation`: by name, a value.
    """
    with tf.device("CPU:0"), averages_moved_by_noise():
        train, held_out = digits("train").images, digits("validation").images[:BATCH]
        model, weights = make(case)
        optimizer = RecordingSGD(weights, learning_rate=1e-2, momentum=0.9, global_clipnorm=5.0)
        model.compile(optimizer)
        numbered = zoo.data.with_index(train)
        terms: dict[str, list] = {}
        gradients: dict[str, list] = {}
        for step in range(STEPS):
            rows = slice(step * BATCH, (step + 1) * BATCH)
            batch = {key: values[rows] for key, values in numbered.items()}
            # What a step returns are running means since the last reset.
            model.reset_metrics()
            logs = model.train_on_batch(batch if "auxiliary_softmax" in case.methods else batch["x"], return_dict=True)
            for name, value in logs.items():
                terms.setdefault(name, []).append(_number(value))
            for name, norm in optimizer.norms.items():
                gradients.setdefault(name, []).append(_number(norm))
        evaluation = model.evaluate(held_out, batch_size=BATCH, return_dict=True, verbose=0)
    found = {"terms": terms, "gradients": gradients, "evaluation": {k: _number(v) for k, v in evaluation.items()}}
    return {part: dict(sorted(values.items())) for part, values in found.items()}


# === A trained run ===


def train(case: Case) -> dict[str, Any]:
    """Six epochs over the digits, then what an evaluation says of the codes and the likelihood."""
    with tf.device("CPU:0"), own_keys_in_the_queue():
        train, test = digits("train"), digits("test")
        keras.utils.set_random_seed(0)
        model, _ = make(case, latent_dim=16)
        model.compile(keras.optimizers.Adam(1e-3))
        model.fit(train.images, epochs=6, batch_size=64, shuffle=False, verbose=0)
        codes, (loc, scale) = model.posteriors(train.images).loc, model.posteriors(test.images)
        nll = zoo.metrics.negative_log_likelihood(model, test.images[:100], samples=50)
    return {
        "knn_accuracy": _number(zoo.metrics.knn_accuracy(codes, train.labels, loc, test.labels)),
        "mutual_information": _number(zoo.metrics.mutual_information(loc, scale)),
        "rate": _number(zoo.metrics.rate(loc, scale).mean()),
        "nll": _number(nll.mean()),
    }


# === Exports ===


def export_codes(name: str) -> dict[str, list]:
    """What the export's `encode` says of the first eight test images, lists [8, 16]."""
    with tf.device("CPU:0"):
        model = tf.saved_model.load(str(EXPORTS / name))
        codes = model.encode(tf.constant(digits("test").images[:8]))
    return {key: [[_number(x) for x in row] for row in codes[key].numpy()] for key in ("loc", "scale")}


# === The machine ===


def rounding() -> str:
    """Tells machines apart that round differently: the checksum of a gradient, of operations that `conv` has too.

    Of TensorFlow alone, so that no change of the package changes it.
    """

    def numbers(*shape: int) -> tf.Tensor:
        return tf.constant(np.random.RandomState(sum(shape)).random_sample(shape) - 0.5, tf.float32)

    @tf.function
    def gradients(x: tf.Tensor, weights: list[tf.Tensor]) -> list[tf.Tensor]:
        first, second, dense, up, last = weights
        with tf.GradientTape() as tape:
            tape.watch(weights)
            h = tf.nn.conv2d(x, first, 2, "SAME")
            h, *_ = tf.raw_ops.FusedBatchNormV3(
                x=h, scale=tf.ones(32), offset=tf.zeros(32), mean=tf.zeros(0), variance=tf.zeros(0), is_training=True
            )
            h = tf.reshape(tf.nn.conv2d(tf.nn.relu(h), second, 2, "SAME"), [64, -1])
            z = tf.nn.softplus(h @ dense)
            rate = tf.reduce_sum(tf.square(z) - tf.math.log(z) - tf.exp(-z), axis=1)
            h = tf.reshape(z @ up, [64, 7, 7, 32])
            h = tf.nn.conv2d_transpose(tf.nn.relu(h), last, [64, 28, 28, 1], 4)
            loss = tf.reduce_mean(tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(x, h), axis=[1, 2, 3]) + rate)
        return tape.gradient(loss, weights)

    with tf.device("CPU:0"):
        shapes = [(3, 3, 1, 32), (3, 3, 32, 64), (7 * 7 * 64, 16), (16, 7 * 7 * 32), (5, 5, 1, 32)]
        found = gradients(numbers(64, 28, 28, 1) + 0.5, [numbers(*shape) for shape in shapes])
    return f"{zlib.crc32(b''.join(g.numpy().tobytes() for g in found)):08x}"


# === The file ===


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("to", nargs="?", type=Path, default=BASELINE)
    to = parser.parse_args().to
    sections = {
        "cases": {name: measure(case) for name, case in CASES.items()},
        "trained": {name: train(case) for name, case in TRAINED.items()},
        "exports": {name: export_codes(name) for name in TRAINED},
    }
    lines = [f'"rounding":{json.dumps(rounding())}']
    for section, entries in sections.items():
        rows = ",\n".join(f"{json.dumps(name)}:{json.dumps(e, separators=(',', ':'))}" for name, e in entries.items())
        lines.append(f"{json.dumps(section)}:{{\n{rows}\n}}")
    to.write_text("{" + ",\n".join(lines) + "}\n", encoding="utf-8")
    print(to)


if __name__ == "__main__":
    main()
