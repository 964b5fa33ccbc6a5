"""VAE-AS against the Monte-Carlo rate, enumerated mixtures and the β-VAE."""

import itertools
import json
import math
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability import distributions as tfd

import zoo
from zoo import experiments
from zoo.data import Examples, with_index
from zoo.data.pipeline import training_pipeline
from zoo.experiments import configurations
from zoo.experiments.run_directory import RunDirectory
from zoo.experiments.schema import ConfigurationError, method_parameters
from zoo.models.labels import ExampleLabels
from zoo.networks import build

SHAPE, LATENTS, EXAMPLES = (4, 4, 1), 3, 20
PARTS = ("softmax_information", "softmax_marginal_kl", "softmax_rate")


def make(method=zoo.AuxiliarySoftmaxVAE, seed=0, **arguments):
    keras.utils.set_random_seed(0)
    networks = build("mlp", SHAPE, LATENTS, depth=1, width=16)
    arguments = {"examples": EXAMPLES, "classifier_width": 8, **arguments}
    model = method(*networks, LATENTS, seed=seed, **arguments)
    model.build_if_known()
    # Untrained biases are 0, and the classifier's answers nearly uniform.
    generator = np.random.default_rng(1)
    for weight in model.trainable_weights:
        weight.assign(generator.normal(0, 0.5, weight.shape))
    return model


def images(n=8, seed=0):
    return np.random.default_rng(seed).random((n, *SHAPE)).astype("float32")


def numbered(n=8):
    return {"x": images(n), "index": np.random.default_rng(3).permutation(EXAMPLES)[:n]}


def tensors(n=8):
    return {name: tf.constant(value) for name, value in numbered(n).items()}


def weights_of(model):
    """The weight of each term of a step."""
    batch = model.batch(tensors(), training=True)
    return {name: float(term.weight) for name, term in model.loss_terms(batch, model.infer(batch)).items()}


def values_at(model, batch, z):
    """What the rate is made of at codes z [samples, batch, dim], by name."""
    latents = model.infer(batch)
    found = model.sampled_rate(batch, latents, latents.posterior.along(tf.constant(z)))
    return {name: term.value.numpy() for name, term in found.items()}


def softmax(logits):
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


# ── The terms ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("labels", "dimensions"), [(None, None), (None, 2), (None, [3, 4, 2]), (7, None), (7, [2, 4]), (1, None)]
)
def test_the_parts_add_up_to_the_monte_carlo_rate(labels, dimensions):
    arguments = {"labels": labels, "label_dimensions": dimensions, "alpha": 0.7, "beta": 0.7}
    model = make(information="cross_entropy", **arguments)
    data = numbered()
    latents = model.infer(model.batch(data, True))
    rate = latents.path.log_ratio().numpy()
    # With fewer labels than examples, Eq. 10 leaves log(N/V) of the rate to nobody.
    shared = rate - math.log(EXAMPLES / (labels or EXAMPLES))
    terms = {name: value.numpy() for name, value in model.objective(tensors(), training=True).items()}
    assert np.ptp(terms["softmax_information"]) > 0.1 or labels == 1
    parts = terms["softmax_information"] + terms["softmax_marginal_kl"]
    np.testing.assert_allclose(parts, shared, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(terms["softmax_rate"], shared, rtol=1e-4, atol=1e-5)
    # α = β is a β-VAE; the closed form is no part of the loss.
    expected = terms["distortion"] + 0.7 * shared + terms["cross_entropy"]
    np.testing.assert_allclose(terms["loss"], expected, rtol=1e-5)
    np.testing.assert_allclose(terms["rate"], latents.rate(), rtol=1e-5)
    # The cross-entropy is on the other side of the same probability.
    count = math.log(labels or EXAMPLES)
    np.testing.assert_allclose(terms["softmax_information"], count - terms["cross_entropy"], atol=1e-5)


@pytest.mark.parametrize("information", ["entropy", "cross_entropy"])
def test_the_joint_label_is_the_product_of_its_dimensions(information):
    sizes = [2, 3, 4]
    model = make(label_dimensions=sizes, information=information)
    data, z = numbered(), tf.random.stateless_normal([5, 8, LATENTS], [0, 0])
    batch = model.batch(data, training=True)
    found = values_at(model, batch, z)
    log_ratio = model.infer(batch).posterior.along(z).log_ratio()
    digits = np.split(model.classifier(tf.reshape(z, [-1, LATENTS])).numpy().astype(float), [2, 5], axis=1)
    parts = [softmax(d).reshape(5, 8, -1) for d in digits]
    tuples = list(itertools.product(*map(range, sizes)))
    joint = np.stack([parts[0][..., i] * parts[1][..., j] * parts[2][..., k] for i, j, k in tuples], axis=-1)
    np.testing.assert_allclose(joint.sum(-1), 1.0, rtol=1e-5)
    entropy = -(joint * np.log(joint)).sum(-1)
    labels = [tuples.index(tuple(row)) for row in model.example_labels.table[data["index"]]]
    log_probability = np.log(joint[:, np.arange(8), labels])
    # 24 tuples, of which the examples use 20.
    by_form = {"entropy": -entropy, "cross_entropy": log_probability}
    np.testing.assert_allclose(found[PARTS[0]], math.log(20) + by_form[information], rtol=1e-4, atol=1e-4)
    marginal = log_ratio.numpy() - math.log(20) - log_probability
    np.testing.assert_allclose(found[PARTS[1]], marginal, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found[PARTS[2]], found[PARTS[0]] + found[PARTS[1]], rtol=1e-5)
    np.testing.assert_allclose(found["rate"], log_ratio, rtol=1e-5)


def test_each_part_has_its_weight_and_grows_during_warm_up():
    model = make(alpha=0.3, beta=2.0, warmup_steps=4)
    terms = model.objective(tensors(), training=False)
    expected = terms["distortion"] + 0.3 * terms[PARTS[0]] + 2.0 * terms[PARTS[1]] + terms["cross_entropy"]
    np.testing.assert_allclose(terms["loss"], expected, rtol=1e-5)
    model.step.assign(1)
    terms = model.objective(tensors(), training=True)
    expected = terms["distortion"] + 0.075 * terms[PARTS[0]] + 0.5 * terms[PARTS[1]] + terms["cross_entropy"]
    np.testing.assert_allclose(terms["loss"], expected, rtol=1e-5)


# ── Against enumeration ──────────────────────────────────────────────────────────────────────────────────────────

COMPONENTS = 64


@pytest.fixture(scope="module")
def mixture():
    """64 Gaussians in the plane, some apart and some on top of each other, with samples of each and exact MI and MD."""
    generator = np.random.default_rng(0)
    loc = generator.normal(0, 1.2, (COMPONENTS, 2)).astype("float32")
    scale = generator.uniform(0.2, 0.6, (COMPONENTS, 2)).astype("float32")
    z = loc + scale * generator.standard_normal((2000, COMPONENTS, 2)).astype("float32")
    shift = (z[:, :, None] - loc) / scale
    log_q = -0.5 * (shift**2).sum(-1) - np.log(scale).sum(-1) - math.log(2 * math.pi)
    marginal = np.log(np.exp(log_q).mean(-1))
    own = log_q[:, np.arange(COMPONENTS), np.arange(COMPONENTS)]
    log_p = -0.5 * (z**2).sum(-1) - math.log(2 * math.pi)
    return loc, scale, z, (own - marginal).mean(), (marginal - log_p).mean()


def held(loc, scale, **arguments):
    """A model of 64 images whose encoder gives these Gaussians, and their batch."""
    keras.utils.set_random_seed(0)
    pixels = keras.Input((8, 8, 1))
    encoder = keras.Model(pixels, keras.layers.Flatten()(pixels))
    decoder = keras.Sequential([keras.Input((2,)), keras.layers.Dense(64), keras.layers.Reshape((8, 8, 1))])
    arguments = {"classifier_width": 128, "examples": COMPONENTS, "alpha": 0.0, "beta": 0.0, **arguments}
    model = zoo.AuxiliarySoftmaxVAE(encoder, decoder, 2, seed=0, **arguments)
    model.build_if_known()
    model.head.set_weights([loc, np.zeros(2), np.log(np.expm1(scale - 1e-6)), np.zeros(2)])
    # One bright pixel each.
    x = np.eye(COMPONENTS, dtype="float32").reshape(-1, 8, 8, 1)
    return model, model.batch({"x": x, "index": np.arange(COMPONENTS)}, training=False)


def trained(loc, scale, **arguments):
    """The same with its classifier trained, and nothing else."""
    model, held_out = held(loc, scale, **arguments)
    model.head.trainable = model.decoder.trainable = False
    batch = {"x": np.repeat(held_out.x, 8, axis=0), "index": np.repeat(np.arange(COMPONENTS), 8)}
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.01, 600)))
    model.fit(tf.data.Dataset.from_tensors(batch).repeat(600), verbose=0)
    return model, held_out


def test_information_is_that_of_the_enumerated_mixture(mixture):
    loc, scale, z, information, marginal = mixture
    assert 1.5 < information < 3.5 < math.log(COMPONENTS)
    model, batch = trained(loc, scale)
    # Held-out images have no numbers: the entropy does for both parts.
    for form, given in (("entropy", batch), ("cross_entropy", batch), ("entropy", replace(batch, index=None))):
        model.information = form
        parts = values_at(model, given, z)
        assert abs(parts[PARTS[0]].mean() - information) < 0.05
        assert abs(parts[PARTS[1]].mean() - marginal) < 0.05


@pytest.mark.slow
def test_fewer_labels_cap_the_information(mixture):
    loc, scale, z, *_ = mixture
    # Ten times as far apart: a sample says its component.
    model, batch = trained(10 * loc, scale, labels=8)
    for model.information in ("entropy", "cross_entropy"):
        found = values_at(model, batch, z + 9 * loc)[PARTS[0]]
        assert found.max() <= math.log(8) + 1e-5
        assert math.log(8) - 0.3 < found.mean()


class LabelDensity(keras.layers.Layer):
    """Logits of the classifier that has learnt q(e|z): log Σ q(z|x) over the images x of each label."""

    def __init__(self, loc, scale, labels):
        super().__init__()
        self.parameters, self.labels = (loc, scale), labels

    def call(self, z):
        density = tfd.MultivariateNormalDiag(*self.parameters).log_prob(z[:, None])
        apart = [tf.boolean_mask(density, self.labels == e, axis=1) for e in range(max(self.labels) + 1)]
        return tf.stack([tf.reduce_logsumexp(part, 1) for part in apart], axis=1)


@pytest.mark.parametrize("apart", [1.0, 10.0])
def test_the_marginal_kl_of_shared_labels_is_equation_10(mixture, apart):
    """Log q(z|x) − log N − log q(e|z) − log p(z), with eight images a label: enumerated, and within its bounds."""
    loc, scale, z, *_ = mixture
    loc, z = np.float32(apart) * loc, z[:100] + np.float32(apart - 1) * loc
    shift = (z[:, :, None] - loc).astype(float) / scale
    log_q = -0.5 * (shift**2).sum(-1) - np.log(scale).sum(-1) - math.log(2 * math.pi)
    log_p = -0.5 * (z**2).sum(-1) - math.log(2 * math.pi)
    own = log_q[:, np.arange(COMPONENTS), np.arange(COMPONENTS)]
    table = ExampleLabels(COMPONENTS, 8, None, seed=0).table[:, 0]
    of_label = np.stack([np.logaddexp.reduce(log_q[:, i, table == e], -1) for i, e in enumerate(table)], axis=1)
    of_all = np.logaddexp.reduce(log_q, -1)
    printed = own - math.log(COMPONENTS) - (of_label - of_all) - log_p
    exact = of_all - math.log(COMPONENTS) - log_p
    # Never above the divergence of q(z) from p(z); below it by what a label's images have in common.
    assert (printed <= exact + 1e-9).all() and exact.mean() - printed.mean() < math.log(8)
    assert (exact.mean() - printed.mean() > 0.2) == (apart == 1.0)
    density = keras.Sequential([keras.Input((2,)), LabelDensity(loc, scale, table)])
    model, batch = held(loc, scale, labels=8, classifier=density)
    model.classifier.get_layer("label_logits").set_weights([np.eye(8), np.zeros(8)])
    for form in ("entropy", "cross_entropy"):
        model.information = form
        found = values_at(model, batch, z)
        if form == "cross_entropy":
            np.testing.assert_allclose(found[PARTS[1]], printed, rtol=1e-4, atol=1e-3)
        assert found[PARTS[1]].mean() == pytest.approx(printed.mean(), abs=1e-3)
        assert found[PARTS[0]].mean() <= math.log(8)


# ── Gradients ────────────────────────────────────────────────────────────────────────────────────────────────────


def moved(model, term, tape, terms):
    """Which parts of a model a term's gradient reaches."""
    parts = {"encoder": [model.encoder, model.head], "decoder": [model.decoder], "classifier": [model.classifier]}
    found = set()
    for name, layers in parts.items():
        gradients = tape.gradient(terms[term], [w.value for layer in layers for w in layer.trainable_weights])
        if any(g is not None and float(tf.reduce_max(tf.abs(tf.convert_to_tensor(g)))) > 0 for g in gradients):
            found.add(name)
    return found


@pytest.mark.parametrize("information", ["entropy", "cross_entropy"])
@pytest.mark.parametrize("information_trains_classifier", [False, True])
@pytest.mark.parametrize("cross_entropy_trains_encoder", [False, True])
@pytest.mark.parametrize("method", [("auxiliary_softmax",), ("auxiliary_softmax", "iwae")])
def test_which_weights_feel_which_term(
    cross_entropy_trains_encoder, information_trains_classifier, information, method
):
    model = make(
        zoo.combine(*method),
        cross_entropy_trains_encoder=cross_entropy_trains_encoder,
        information_trains_classifier=information_trains_classifier,
        information=information,
    )
    with tf.GradientTape(persistent=True) as tape:
        terms = model.objective(tensors(), training=True)
    felt = {term: moved(model, term, tape, terms) for term in ("cross_entropy", *PARTS[:2], "distortion", "rate")}
    of_information = {"encoder", "classifier"} if information_trains_classifier else {"encoder"}
    assert felt["cross_entropy"] == ({"encoder", "classifier"} if cross_entropy_trains_encoder else {"classifier"})
    assert felt[PARTS[0]] == felt[PARTS[1]] == of_information
    assert felt["distortion"] == {"encoder", "decoder"}
    assert felt["rate"] == {"encoder"}


def test_gradients_are_those_through_the_classifier():
    model = make(cross_entropy_trains_encoder=True, information_trains_classifier=True)
    held = make()
    data = numbered()
    layers = (model.encoder, model.head, model.classifier)
    weights = [w.value for layer in layers for w in layer.trainable_weights]
    with tf.GradientTape(persistent=True) as tape:
        z = model.infer(model.batch(data, True)).z
        log_s = tf.nn.log_softmax(model.classifier(z))
        negative_entropy = tf.reduce_sum(tf.exp(log_s) * log_s, 1)
        surprise = -tf.gather(log_s, model.example_labels.table[data["index"], 0], batch_dims=1)
        terms = model.objective(tensors(), training=True)
    wanted = {PARTS[0]: tape.gradient(negative_entropy, weights), "cross_entropy": tape.gradient(surprise, weights)}
    for term, expected in wanted.items():
        for mine, reference in zip(tape.gradient(terms[term], weights), expected, strict=True):
            np.testing.assert_allclose(mine, reference, rtol=1e-4, atol=1e-6)
    # With the switches off each term has its part of the same gradient.
    encoder = [w.value for layer in (held.encoder, held.head) for w in layer.trainable_weights]
    classifier = [w.value for w in held.classifier.trainable_weights]
    with tf.GradientTape(persistent=True) as tape:
        terms = held.objective(tensors(), training=True)
    for mine, reference in zip(tape.gradient(terms[PARTS[0]], encoder), wanted[PARTS[0]], strict=False):
        np.testing.assert_allclose(mine, reference, rtol=1e-4, atol=1e-6)
    last = wanted["cross_entropy"][len(encoder) :]
    for mine, reference in zip(tape.gradient(terms["cross_entropy"], classifier), last, strict=True):
        np.testing.assert_allclose(mine, reference, rtol=1e-4, atol=1e-6)


def test_a_classifiers_moving_averages_move_once_a_step():
    given = [keras.Input((LATENTS,)), keras.layers.Dense(5), keras.layers.BatchNormalization(momentum=0.5)]
    model = make(classifier=keras.Sequential(given))
    average = next(w for w in model.classifier.non_trainable_weights if w.name == "moving_mean")
    model.compile("sgd")
    model.evaluate(numbered(), verbose=0)
    np.testing.assert_array_equal(average, 0.0)
    z = model.infer(model.batch(images(), True)).z
    expected = 0.5 * tf.reduce_mean(model.classifier.layers[1].layers[0](z), 0)
    model.train_on_batch(numbered())
    np.testing.assert_allclose(average, expected, rtol=1e-4)


# ── Together with other methods ──────────────────────────────────────────────────────────────────────────────────


def test_iwae_weighs_each_sample_with_the_parts():
    arguments = {"samples": 4, "information": "cross_entropy", "label_dimensions": 2}
    model = make(zoo.combine("auxiliary_softmax", "iwae"), alpha=0.5, beta=0.5, **arguments)
    plain = zoo.IWAE(model.encoder, model.decoder, LATENTS, seed=0, samples=4, beta=0.5)
    plain.build_if_known()
    plain.head.set_weights(model.head.get_weights())
    found, expected = model.objective(tensors(), True), plain.objective(tensors(), True)
    np.testing.assert_allclose(found["negative_bound"], expected["negative_bound"], rtol=1e-5)
    np.testing.assert_allclose(found["loss"], expected["loss"] + found["cross_entropy"], rtol=1e-5)
    np.testing.assert_allclose(found[PARTS[0]] + found[PARTS[1]], found[PARTS[2]], rtol=1e-4)
    uneven = make(zoo.combine("auxiliary_softmax", "iwae"), alpha=2.0, beta=0.5, **arguments)
    assert np.abs(uneven.objective(tensors(), True)["negative_bound"] - found["negative_bound"]).max() > 0.01


def test_the_order_of_inheritance_changes_nothing():
    first = type("First", (zoo.AuxiliarySoftmaxVAE, zoo.IWAE, zoo.ConsistencyVAE), {})
    second = type("Second", (zoo.ConsistencyVAE, zoo.IWAE, zoo.AuxiliarySoftmaxVAE), {})
    arguments = {"alpha": 0.5, "beta": 1.5, "samples": 3, "label_dimensions": 2, "translate": 1}
    one, other = make(first, **arguments), make(second, **arguments)
    for part in ("encoder", "decoder", "head", "classifier"):
        getattr(other, part).set_weights(getattr(one, part).get_weights())
    assert weights_of(one) == weights_of(other)
    assert [weights_of(one)[name] for name in PARTS] == [0.0] * 3
    found, expected = one.objective(tensors(), True), other.objective(tensors(), True)
    assert set(found) == set(expected) >= {"transformed_cross_entropy", "transformed_softmax_information"}
    for name, value in found.items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)


# ── Labels ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("dimensions", [None, 1, 2, 3, [10, 10], [5, 7, 3]])
def test_every_example_has_a_label_of_its_own(dimensions):
    labels = ExampleLabels(97, None, dimensions, seed=4)
    assert labels.count == 97
    assert len({tuple(row) for row in labels.table}) == 97
    assert math.prod(labels.sizes) >= 97
    assert (labels.table >= 0).all() and (labels.table < labels.sizes).all()
    order = np.ravel_multi_index(labels.table.T, labels.sizes)
    assert (order == np.arange(97)).mean() < 0.1
    assert (ExampleLabels(97, None, dimensions, seed=5).table != labels.table).any()
    np.testing.assert_array_equal(ExampleLabels(97, None, dimensions, seed=4).table, labels.table)


def test_labels_are_dealt_out_evenly():
    counts = np.bincount(ExampleLabels(100, 8, None, seed=0).table[:, 0], minlength=8)
    assert sorted(counts) == [12] * 4 + [13] * 4
    pairs = ExampleLabels(100, 10, [2, 5], seed=0).table
    assert len({tuple(row) for row in pairs}) == 10
    np.testing.assert_array_equal(np.bincount(pairs[:, 1]), 20)


def test_labels_never_change():
    # A model that is trained on, with another version of NumPy, keeps its labels.
    np.testing.assert_array_equal(ExampleLabels(6, None, None, seed=1).table[:, 0], [2, 1, 4, 0, 3, 5])
    np.testing.assert_array_equal(
        ExampleLabels(6, None, [2, 3], seed=1).table, [[0, 2], [0, 1], [1, 1], [0, 0], [1, 0], [1, 2]]
    )


@pytest.mark.parametrize(
    ("labels", "dimensions", "sizes"),
    [
        (60_000, 2, (245, 245)),
        (64, 3, (4, 4, 4)),
        (65, 3, (5, 5, 5)),
        (3125, 5, (5,) * 5),
        (1, 4, (1, 1, 1, 1)),
        (9, None, (9,)),
    ],
)
def test_a_number_of_dimensions_takes_the_smallest_size_that_is_enough(labels, dimensions, sizes):
    assert ExampleLabels(labels, None, dimensions, seed=0).sizes == sizes


# ── Numbers that travel with the examples ────────────────────────────────────────────────────────────────────────


def test_with_index_numbers_arrays_and_data_sets():
    x, y = images(), np.arange(8) + 100
    for array in (x, tf.constant(x)):
        found = with_index(array)
        assert found["x"] is array
        np.testing.assert_array_equal(found["index"], np.arange(8))
    single = tf.data.Dataset.from_tensor_slices(x)
    for i, example in enumerate(with_index(single)):
        assert set(example) == {"x", "index"} and example["index"] == i
        np.testing.assert_array_equal(example["x"], x[i])
    labelled = tf.data.Dataset.from_tensor_slices((x, y))
    for i, (example, label) in enumerate(with_index(labelled)):
        assert example["index"] == i and label == y[i]
        np.testing.assert_array_equal(example["x"], x[i])


class Recorder(zoo.AuxiliarySoftmaxVAE):
    """Keeps the numbers and the images of its batches."""

    def rate_terms(self, batch, latents):
        if batch.training:
            self.seen.append((batch.index.numpy(), batch.original.numpy()))
        return super().rate_terms(batch, latents)


def test_fit_brings_each_image_with_its_number():
    x = images(EXAMPLES)
    single = tf.data.Dataset.from_tensor_slices((x, np.zeros(EXAMPLES)))
    sources = [{"x": with_index(x), "batch_size": 5}, {"x": with_index(single).shuffle(EXAMPLES).batch(5)}]
    for arguments in sources:
        model = make(Recorder)
        model.__dict__["seen"] = []
        model.compile("sgd", run_eagerly=True)
        model.fit(**arguments, verbose=0)
        order = np.concatenate([index for index, _ in model.seen])
        assert sorted(order) == list(range(EXAMPLES)) != list(order)
        np.testing.assert_array_equal(np.concatenate([seen for _, seen in model.seen]), x[order])


@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize("binarize", [None, "dynamic"])
@pytest.mark.slow
def test_the_pipelines_rows_are_the_images(labelled, binarize):
    pixels = np.zeros((23, 2, 2, 1), np.uint8)
    # Black and white, so that binarisation changes nothing: the row in binary.
    pixels.reshape(23, 4)[:] = 255 * (np.arange(23)[:, None] // [1, 2, 4, 8] % 2)
    examples = Examples(pixels, np.arange(23) if labelled else None)
    arguments = {"batch_size": 5, "seed": 1, "epochs": 2, "binarize": binarize}
    numbered_ones = list(training_pipeline(examples, index=True, **arguments).as_numpy_iterator())
    plain = list(training_pipeline(examples, **arguments).as_numpy_iterator())
    assert len(numbered_ones) == len(plain) == 8
    for found, expected in zip(numbered_ones, plain, strict=True):
        (x, labels), (images_alone, same) = (found, expected) if labelled else ((found, None), (expected, None))
        np.testing.assert_array_equal(x["x"], pixels[x["index"]])
        np.testing.assert_array_equal(x["x"], images_alone)
        if labelled:
            np.testing.assert_array_equal(labels, x["index"])
            np.testing.assert_array_equal(labels, same)


def test_evaluation_does_without_numbers():
    model = make(information="cross_entropy")
    model.compile("sgd")
    found = model.evaluate(images(), verbose=0, return_dict=True)
    assert "cross_entropy" not in found
    model.reset_metrics()
    latents = model.infer(model.batch(images(), False))
    z, rate = latents.z, float(tf.reduce_mean(latents.path.log_ratio()))
    log_s = tf.nn.log_softmax(model.classifier(z))
    information = math.log(EXAMPLES) + float(tf.reduce_mean(tf.reduce_sum(tf.exp(log_s) * log_s, 1)))
    np.testing.assert_allclose(found[PARTS[0]], information, rtol=1e-4)
    np.testing.assert_allclose(found[PARTS[1]], rate - information, rtol=1e-4)
    np.testing.assert_allclose(found["loss"], found["distortion"] + rate, rtol=1e-5)
    with_numbers = model.evaluate(numbered(), verbose=0, return_dict=True)
    assert with_numbers["cross_entropy"] > 0
    history = model.fit(numbered(), validation_data=(images(3),), verbose=0).history
    assert "cross_entropy" in history and "val_cross_entropy" not in history and "val_softmax_rate" in history


# ── Round trips, configurations, mistakes ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.slow
def test_a_saved_model_goes_on_where_it_was(tmp_path, own):
    classifier = keras.Sequential([keras.Input((LATENTS,)), keras.layers.Dense(4, "tanh")]) if own else None
    arguments = {"label_dimensions": [5, 4], "information": "cross_entropy", "alpha": 0.5, "labels": 18}
    switches = {"cross_entropy_trains_encoder": True, "information_trains_classifier": True}
    model = make(seed=None, classifier=classifier, classifier_depth=1, **arguments, **switches)
    model.compile("adam")
    model.fit(numbered(), verbose=0)
    path = tmp_path / "model.keras"
    model.save(path)
    loaded = keras.saving.load_model(path)
    assert {k: v for k, v in loaded.get_config().items() if k in arguments | switches} == arguments | switches
    np.testing.assert_array_equal(loaded.example_labels.table, model.example_labels.table)
    assert [w.shape for w in loaded.weights] == [w.shape for w in model.weights]
    expected = model.evaluate(numbered(), verbose=0, return_dict=True)
    assert loaded.evaluate(numbered(), verbose=0, return_dict=True) == pytest.approx(expected, rel=1e-6)


def test_label_dimensions_in_a_configuration():
    assert "examples" not in method_parameters("auxiliary_softmax")
    for given, wanted in (("[30, 40]", [30, 40]), ("2", 2), ("null", None)):
        experiment = configurations.load("digits/auxiliary_softmax", [f"model.label_dimensions={given}"])
        assert experiment.model.label_dimensions == wanted
    model = experiments.build_model(configurations.load("mnist/auxiliary_softmax"), (28, 28, 1), 1, examples=55_000)
    assert model.example_labels.sizes == (235, 235)
    for given in ("0", "[]", "[3, 0]", "[3, x]", "1.5", "true", "[true]"):
        with pytest.raises(
            ConfigurationError, match=r"model\.label_dimensions: must be a whole number of at least 1, or"
        ):
            configurations.load("digits/auxiliary_softmax", [f"model.label_dimensions={given}"])


@pytest.mark.slow
def test_a_run_numbers_its_training_split(tmp_path):
    settings = [
        "model.network=mlp",
        "train.epochs=1",
        "watch.pictures=false",
        "data.train=train[:70]",
        "watch.images=50",
    ]
    experiment = configurations.load("digits/auxiliary_softmax", settings)
    directory = RunDirectory(tmp_path / "run")
    model = experiments.train(experiment, directory, quiet=True)
    assert model.examples == model.example_labels.count == 70
    row = json.loads(directory.metrics.read_text().splitlines()[-1])
    assert row["cross_entropy"] > 0 and "val_softmax_rate" in row and "val_cross_entropy" not in row
    enlarged = configurations.load("digits/auxiliary_softmax", [*settings, "model.labels=71"])
    with pytest.raises(ValueError, match="labels: 71 is above the number of examples, 70"):
        experiments.train(enlarged, RunDirectory(tmp_path / "other"), quiet=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"alpha": -0.1}, "alpha must be .* of at least 0.*, got -0.1"),
        ({"beta": -1}, "beta must be .* of at least 0.*, got -1"),
        ({"examples": 0}, "examples must be greater than or equal to 1, got 0"),
        ({"labels": 0}, "labels must be greater than or equal to 1, got 0"),
        ({"labels": 21}, "labels: 21 is above the number of examples, 20"),
        ({"label_dimensions": [3, 6]}, r"label_dimensions: 3 · 6 = 18 is below the 20 labels"),
        ({"label_dimensions": [3, 2], "labels": 7}, r"label_dimensions: 3 · 2 = 6 is below the 7 labels"),
        ({"label_dimensions": []}, r"label_dimensions must be a whole number of at least 1, or a list .* got \[\]"),
        ({"label_dimensions": [5, -4]}, r"label_dimensions must be .* got \[5, -4\]"),
        ({"information": "mutual"}, "information must be 'entropy' or 'cross_entropy', got 'mutual'"),
        ({"classifier": keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])}, "classifier: takes 2, but .* 3"),
    ],
)
def test_bad_hyperparameters(arguments, message):
    with pytest.raises(ValueError, match=f"VAE: {message}") as error:
        make(**arguments)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (None, r"index: missing; training needs .*fit\(\{'x': x, 'index': i\}\), or zoo\.data\.with_index\(x\)"),
        (np.arange(8) - 1, r"fit: index: must lie in 0\.\.19 for 20 examples, got -1"),
        (np.arange(8) + 13, r"fit: index: must lie in 0\.\.19 for 20 examples, got 20"),
        (np.array([0, 1, 2, 3, 4, 5, 6, 3]), "fit: index: must differ .* but 3 is repeated"),
        (np.arange(7), r"fit: index: must be one whole number for each of 8 images, got int64 of shape \(7,\)"),
        (np.arange(8.0), "fit: index: must be one whole number for each of 8 images, got float64"),
        (list(range(8)), "fit: index: must be an array of whole numbers, got list"),
        (tf.range(8) + 13, r"fit: index: must lie in 0\.\.19 for 20 examples, got 20"),
    ],
)
def test_bad_numbers(index, message):
    model = make()
    model.compile("sgd")
    for data in [images() if index is None else {"x": images(), "index": index}]:
        with pytest.raises(ValueError, match=message) as error:
            model.fit(data, verbose=0)
        assert "\n" not in str(error.value)


@pytest.mark.slow
def test_bad_numbers_elsewhere():
    model = make()
    model.compile("sgd")
    single = tf.data.Dataset.from_tensor_slices(images())
    with pytest.raises(ValueError, match="index: missing; training needs"):
        model.fit(single.batch(4), verbose=0)
    with pytest.raises(ValueError, match=r"^fit: .*index: must be one whole number for each"):
        model.fit(with_index(single.batch(4)), verbose=0)
    with pytest.raises(
        ValueError, match=r"^fit: index: must lie in 0\.\.19, the numbers of the examples, got 20 21"
    ) as caught:
        model.fit(with_index(single.repeat(3)).batch(4), verbose=0)
    assert "\n" not in str(caught.value)
    beyond = {"x": images(), "index": np.arange(8) + 13}
    for where, call in (("evaluate", model.evaluate), ("validation_data", None)):
        with pytest.raises(ValueError, match=rf"{where}: index: must lie in 0\.\.19"):
            call(beyond, verbose=0) if call else model.fit(numbered(), validation_data=(beyond,), verbose=0)
    # Where labels are shared, so may numbers be.
    shared = make(labels=5)
    shared.compile("sgd")
    shared.fit({"x": images(), "index": np.zeros(8, int)}, verbose=0)


@pytest.mark.parametrize(
    ("data", "got"),
    [
        ([1, 2], "got list"),
        ((images(), images()), "got tuple"),
        (np.float32(1), "got float32"),
        (tf.data.Dataset.from_tensor_slices({"image": images()}), "got a data set of keys 'image'"),
        (tf.data.Dataset.from_tensor_slices(with_index(images())), "got a data set of keys 'x', 'index'"),
    ],
)
def test_with_index_takes_images_only(data, got):
    with pytest.raises(ValueError, match=rf"^with_index: takes an array of examples, or .*{got}$"):
        with_index(data)
