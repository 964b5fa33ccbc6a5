"""Inference critics against pairwise densities, softmaxes in NumPy, and channels of known information."""

import itertools
import math
import os
import subprocess
import sys
import zipfile

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import log_softmax
from tensorflow_probability import distributions as tfd

import zoo
from zoo.experiments import configurations
from zoo.experiments.finished import card_of
from zoo.export import saved_model
from zoo.latents.posterior import Latents, Posterior, sufficient_statistics
from zoo.latents.prior import StandardNormal
from zoo.models.critic import shared_features
from zoo.networks import build
from zoo.networks.normalization import FusedBatchNormalization

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SHAPE, LATENTS = (4, 4, 1), 3
CRITICS = ("self", "neural", "hybrid")


class Counting(keras.layers.Layer):
    """Counts how often it is run."""

    calls = 0

    def call(self, inputs):
        Counting.calls += 1
        return inputs


def network(name="encoder"):
    x = inputs = keras.Input(SHAPE)
    x = keras.layers.Conv2D(4, 3, padding="same", name="early")(x)
    x = keras.layers.ReLU(name="early_relu")(FusedBatchNormalization(momentum=0.9, name="early_norm")(x))
    x = keras.layers.Conv2D(5, 3, strides=2, name="late")(x)
    x = FusedBatchNormalization(momentum=0.9, name="late_norm")(x)
    return keras.Model(inputs, x, name=name)


def make(method=zoo.InferenceCriticVAE, encoder=None, **arguments):
    z = keras.Input((LATENTS,))
    x = keras.layers.BatchNormalization(name="norm", momentum=0.9)(keras.layers.Dense(16)(z))
    x = keras.layers.Reshape(SHAPE)(keras.layers.Dense(16)(keras.layers.ReLU()(x)))
    model = method(encoder or network(), keras.Model(z, x, name="decoder"), LATENTS, **{"seed": 0, **arguments})
    model.build_if_known()
    return model


def compiled(method=zoo.InferenceCriticVAE, **arguments):
    keras.utils.set_random_seed(0)
    model = make(method, **arguments)
    model.compile(keras.optimizers.SGD(0.1))
    return model


def images(n=8, seed=0):
    return np.random.default_rng(seed).random((n, *SHAPE)).astype("float32")


def objective(model, training=False, x=None):
    return model.objective(tf.constant(images() if x is None else x), training=training)


def copy_weights(source, target):
    """Those of the layers that both have."""
    for name in ("encoder", "decoder", "head", "critic_encoder", "x_projection", "z_hidden", "z_projection"):
        if hasattr(source, name) and hasattr(target, name):
            getattr(target, name).set_weights(getattr(source, name).get_weights())


def dense(layer, x):
    return x @ layer.kernel.numpy().astype("float64") + layer.bias.numpy()


def pairwise(z, loc, scale):
    """Log q(z_i|x_j) by TFP in double precision: [rows of z, examples]."""
    z, loc, scale = (np.asarray(a, "float64") for a in (z, loc, scale))
    return tfd.MultivariateNormalDiag(loc, scale).log_prob(z[:, None]).numpy()


def critic_by_numpy(scores, direction):
    """−log softmax of the diagonal; scores are [z, x]."""
    over_x, over_z = -np.diag(log_softmax(scores, axis=1)), -np.diag(log_softmax(scores, axis=0))
    return {"z_to_x": over_x, "x_to_z": over_z, "both": (over_x + over_z) / 2}[direction]


# ── Scores and the term ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("width", [1.0, 1e-2, 1e-5])
def test_all_pairs_against_tfp(width):
    """Narrow posteriors far from the origin: squares of 1e11 cancel."""
    generator = np.random.default_rng(0)
    loc = 3.0 * generator.standard_normal((6, 8)).astype("float32")
    scale = (width * generator.uniform(0.5, 2.0, (6, 8))).astype("float32")
    z = (loc[[0, 1, 2, 5]] + scale[[0, 1, 2, 5]] * generator.standard_normal((4, 8))).astype("float32")
    posterior = Posterior.flat(tf.constant(loc), tf.constant(scale), StandardNormal())
    latents = Latents(posterior, tf.zeros((6, 8)))
    found = tf.matmul(sufficient_statistics(tf.constant(z)), latents.natural_parameters(), transpose_b=True)
    assert found.shape == (4, 6) and found.dtype == tf.float64
    np.testing.assert_allclose(found, pairwise(z, loc, scale), rtol=1e-5, atol=1e-3)


def test_two_groups_have_no_natural_parameters():
    """The second one's density depends on z by more than an inner product."""
    above = tfd.Normal(tf.zeros((6, 2)), tf.ones((6, 2)))
    conditionals = [lambda _: above, lambda z: tfd.Normal(z, tf.ones((6, 2)))]
    latents = Latents(Posterior(conditionals, [2, 2], StandardNormal()), tf.zeros((6, 4)))
    with pytest.raises(ValueError, match="2 groups"):
        latents.natural_parameters()


@pytest.mark.parametrize("direction", ["z_to_x", "x_to_z", "both"])
@pytest.mark.parametrize("side", ["inference", "model"])
@pytest.mark.parametrize("critic", CRITICS)
def test_the_term_is_the_softmax_of_the_scores(critic, side, direction):
    own = {} if critic == "self" else {"projection_dim": 5, "critic_temperature": 0.5}
    model, x = make(critic=critic, side=side, direction=direction, critic_lambda=0.7, beta=2.0, **own), images()
    terms = objective(model)
    draws = model.draws(training=False)
    z = model.infer(model.batch(x, training=False)).z
    if side == "model":
        z = draws.normal("critic/prior", [8, LATENTS])
        uniform = draws.uniform("critic/image", [8, *SHAPE])
        x = tf.cast(uniform < tf.sigmoid(model.decoder(z)), tf.float32).numpy()
        assert set(np.unique(x)) == {0.0, 1.0}
    if critic == "self":
        scores = pairwise(z, *model.encode(x))
    else:
        part = keras.Model(model.encoder.inputs, model.encoder.get_layer("early_relu").output)
        features = (part if critic == "hybrid" else model.critic_encoder)(x).numpy().reshape(8, -1)
        of_z = dense(model.z_projection, np.maximum(dense(model.z_hidden, z.numpy()), 0))
        scores = of_z @ dense(model.x_projection, features).T / 0.5
    np.testing.assert_allclose(terms["critic"], critic_by_numpy(scores, direction), rtol=1e-4, atol=1e-5)
    expected = terms["distortion"] + 2.0 * terms["rate"] + 0.7 * terms["critic"]
    np.testing.assert_allclose(terms["loss"], expected, rtol=1e-6)


@pytest.mark.parametrize("critic", CRITICS)
def test_without_lambda_it_is_the_plain_vae(critic):
    model, plain = make(critic=critic, critic_lambda=0.0), make(zoo.VAE)
    copy_weights(plain, model)
    found, expected = (objective(each, training=True) for each in (model, plain))
    np.testing.assert_allclose(found["loss"], expected["loss"], rtol=1e-6)
    assert set(found) == {*expected, "critic"}


# ── What it costs and whom it teaches ────────────────────────────────────────────────────────────────────────────


def test_the_self_critic_has_no_weights_and_the_hybrid_shares_the_encoders():
    plain = make(zoo.VAE)
    count = {critic: len(make(critic=critic).trainable_weights) for critic in CRITICS}
    assert count["self"] == len(plain.trainable_weights)
    assert count["hybrid"] == len(plain.trainable_weights) + 6
    assert count["neural"] == len(plain.trainable_weights) + 6 + len(plain.encoder.trainable_weights)
    assert make(critic="hybrid", projection_dim=7).x_projection.kernel.shape == (4 * 4 * 4, 7)


@pytest.mark.parametrize("critic", CRITICS)
@pytest.mark.parametrize("side", ["inference", "model"])
def test_the_encoder_runs_once(critic, side):
    inputs = keras.Input(SHAPE)
    x = keras.layers.Dense(4)(Counting()(keras.layers.Flatten()(inputs)))
    model = make(critic=critic, side=side, encoder=keras.Model(inputs, x), **own_encoder(critic))
    Counting.calls = 0
    objective(model, training=True)
    # On the model's side the generated images are encoded too, unless the critic has an encoder of its own.
    assert Counting.calls == (2 if side == "model" and critic != "neural" else 1)


def own_encoder(critic):
    return {"critic_encoder": network("own")} if critic == "neural" else {}


@pytest.mark.parametrize("critic", CRITICS)
@pytest.mark.parametrize("side", ["inference", "model"])
@pytest.mark.slow
def test_moving_averages_move_once_a_step_and_by_real_images_only(critic, side):
    model, plain = compiled(critic=critic, side=side), compiled(zoo.VAE)
    copy_weights(model, plain)
    for each in (model, plain):
        each.train_on_batch(images())
    for part, name in (("encoder", "early_norm"), ("encoder", "late_norm"), ("decoder", "norm")):
        mine, theirs = (getattr(each, part).get_layer(name) for each in (model, plain))
        np.testing.assert_allclose(mine.moving_mean, theirs.moving_mean, atol=1e-6)
        np.testing.assert_allclose(mine.moving_variance, theirs.moving_variance, atol=1e-6)
        assert np.abs(mine.moving_mean.numpy()).max() > 1e-3


FEEL = {
    ("self", "inference"): {"early", "late", "head"},
    ("neural", "inference"): {"early", "late", "head", "critic_encoder", "projections"},
    ("hybrid", "inference"): {"early", "late", "head", "projections"},
    ("self", "model"): {"early", "late", "head", "decoder"},
    ("neural", "model"): {"decoder", "critic_encoder", "projections"},
    ("hybrid", "model"): {"early", "decoder", "projections"},
}


@pytest.mark.parametrize(("critic", "side"), FEEL)
def test_which_weights_feel_the_critic(critic, side):
    model = make(critic=critic, side=side)
    parts = {
        "early": model.encoder.get_layer("early"),
        "late": model.encoder.get_layer("late"),
        "head": model.head,
        "decoder": model.decoder,
    }
    if critic != "self":
        parts["projections"] = model.x_projection
    if critic == "neural":
        parts["critic_encoder"] = model.critic_encoder
    kernels = {name: [w.value for w in part.trainable_weights if len(w.shape) > 1] for name, part in parts.items()}
    with tf.GradientTape() as tape:
        term = tf.reduce_mean(objective(model, training=True)["critic"])
    gradients = tape.gradient(term, kernels)
    felt = {name for name, found in gradients.items() if all(g is not None and np.abs(g).max() > 1e-6 for g in found)}
    unfelt = {name for name, found in gradients.items() if all(g is None or not np.any(g) for g in found)}
    assert felt == FEEL[critic, side] and unfelt == set(parts) - felt


def test_which_layer_is_shared():
    encoder = network()
    assert shared_features(encoder) is encoder.get_layer("early_relu").output
    assert shared_features(encoder, "early_norm") is encoder.get_layer("early_norm").output
    assert shared_features(encoder, "late").shape == (None, 1, 1, 5)
    single = build("mlp", SHAPE, LATENTS, depth=1, width=16).encoder
    assert shared_features(single).shape == (None, 16)
    sequential = keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten(), *map(keras.layers.Dense, (8, 9))])
    assert shared_features(sequential).shape == (None, 8)
    assert shared_features(build("conv", (28, 28, 1), 16).encoder).shape == (None, 13, 13, 32)
    model = compiled(critic="hybrid", encoder=sequential)
    assert np.isfinite(model.fit(images(), batch_size=4, verbose=0).history["loss"][0])


# ── The bound ────────────────────────────────────────────────────────────────────────────────────────────────────

PIXELS, K = (1, 2, 1), 256


def channel(**arguments):
    """A model whose posterior and decoder stay as they are."""
    pair = build("mlp", PIXELS, 2, depth=0)
    model = zoo.InferenceCriticVAE(*pair, 2, likelihood="gaussian", seed=0, **arguments)
    for part in (model.encoder, model.decoder, model.head):
        part.trainable = False
    model.compile(keras.optimizers.Adam(2e-3))
    return model


def set_gain(model, gain):
    """Makes q(z|x) = N(gain · x, I); returns the information between z and x ~ N(0, I), in two dimensions."""
    one = math.log(math.e - 1)
    model.head.set_weights([gain * np.eye(2), np.zeros(2), np.zeros((2, 2)), np.full(2, one)])
    return math.log(1 + gain**2)


def source(batches, seed):
    return np.random.default_rng(seed).standard_normal((batches * K, *PIXELS)).astype("float32")


def bound(model):
    found = model.evaluate(source(80, 1), batch_size=K, verbose=0, return_dict=True)
    return math.log(K) - found["critic"]


@pytest.mark.parametrize("direction", ["z_to_x", "x_to_z", "both"])
@pytest.mark.slow
def test_the_bound_stays_below_the_information_and_below_log_k(direction):
    model = channel(direction=direction)
    for gain in (0.0, 0.5, 1.3, 3.0, 100.0):
        information = set_gain(model, gain)
        found = bound(model)
        # 20,480 examples have a standard error below 0.01.
        assert found < min(information + 0.02, math.log(K)), gain
        if direction == "z_to_x":
            # log q(z|x) is the best score there is: the bound is nearly tight where log K is far.
            assert found > min(information, math.log(K)) - (0.3 if information > 2 else 0.05), gain


@pytest.mark.slow
def test_a_trained_neural_critic_finds_the_information():
    layers = [keras.layers.Flatten(), keras.layers.Dense(64, "relu"), keras.layers.Dense(64, "relu")]
    model = channel(critic="neural", critic_encoder=keras.Sequential([keras.Input(PIXELS), *layers]))
    information = set_gain(model, 1.3)
    assert 0.98 < information < 1.0 < math.log(K) / 5
    model.fit(source(400, 0), batch_size=K, verbose=0)
    assert information - 0.1 < bound(model) < information + 0.02


# ── Adding up, precision ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("other", [zoo.IWAE, zoo.ConsistencyVAE, zoo.ContrastiveVAE])
def test_the_order_of_methods_does_not_matter(other):
    arguments = {"queue_size": 8, "views": []} if other is zoo.ContrastiveVAE else {}
    orders = itertools.permutations((zoo.InferenceCriticVAE, other))
    models = [make(type("Both", order, {}), critic="hybrid", critic_lambda=0.1, **arguments) for order in orders]
    copy_weights(*models)
    if other is zoo.ContrastiveVAE:
        for model in models:
            model.key_encoder.set_weights(model.encoder.get_weights())
            model.key_head.set_weights(model.head.get_weights())
    first, second = (objective(model, training=True) for model in models)
    assert {"critic", *other.adds} <= set(first)
    np.testing.assert_array_equal(first["loss"], second["loss"])


def test_mixed_precision_scores_in_single_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        for critic in CRITICS:
            model = make(critic=critic)
            terms = objective(model, training=True)
            assert terms["critic"].dtype == tf.float32 and np.isfinite(terms["loss"]).all()
            if critic != "self":
                layers = (model.x_projection, model.z_hidden, model.z_projection)
                assert {layer.compute_dtype for layer in layers} == {"float32"}
            if critic == "hybrid":
                assert model.infer(model.batch(images(), training=False)).features.dtype == tf.bfloat16
    finally:
        keras.config.set_dtype_policy("float32")


# ── Round trips and mistakes ─────────────────────────────────────────────────────────────────────────────────────

SAVED = {
    "self": {"direction": "x_to_z", "side": "model"},
    "neural": {"critic": "neural", "projection_dim": 4, "critic_temperature": 0.5, "critic_lambda": 0.3},
    "own network": {"critic": "neural", "critic_encoder": True},
    "hybrid": {"critic": "hybrid", "side": "model"},
    "hybrid, named": {"critic": "hybrid", "shared_layer": "early_norm"},
}
LOAD = """
import sys, zoo, keras, numpy as np
x = np.load("x.npy")
for path in sys.argv[1:]:
    model = keras.saving.load_model(path)
    terms = model.objective(keras.ops.convert_to_tensor(x), training=False)
    np.savez(path + ".npz", loc=model.encode(x).loc, critic=terms["critic"], loss=terms["loss"])
"""


@pytest.mark.slow
def test_everything_comes_back_in_a_fresh_process(tmp_path):
    models = {}
    np.save(tmp_path / "x.npy", images())
    for name, arguments in SAVED.items():
        own = build("mlp", SHAPE, LATENTS, depth=1, width=8).encoder
        given = {**arguments, "critic_encoder": own} if "critic_encoder" in arguments else arguments
        model = models[name] = compiled(**given)
        if name == "hybrid":
            model.train_on_batch(images())
        model.save(tmp_path / f"{name}.keras")
        copy = zoo.InferenceCriticVAE.from_config(model.get_config())
        copy.build_if_known()
        copy.set_weights(model.get_weights())
        np.testing.assert_allclose(objective(copy)["loss"], objective(model)["loss"], rtol=1e-6)
        assert {key: getattr(copy, key) for key in given if key != "critic_encoder"} == {
            key: value for key, value in given.items() if key != "critic_encoder"
        }
        assert stored_numbers(tmp_path / f"{name}.keras") == sum(math.prod(v.shape) for v in saved_variables(model))
    command = [sys.executable, "-c", LOAD, *(f"{name}.keras" for name in models)]
    path = os.pathsep.join([ROOT, os.environ.get("PYTHONPATH", "")])
    subprocess.run(command, check=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path})
    for name, model in models.items():
        found, expected = np.load(tmp_path / f"{name}.keras.npz"), objective(model)
        np.testing.assert_allclose(found["loc"], model.encode(images()).loc, atol=1e-6)
        np.testing.assert_allclose(found["critic"], expected["critic"], rtol=1e-5)
        np.testing.assert_allclose(found["loss"], expected["loss"], rtol=1e-5)


def stored_numbers(path):
    """How many there are in the file: a network that is saved twice doubles them."""
    sizes = []
    with zipfile.ZipFile(path) as archive, archive.open("model.weights.h5") as file, h5py.File(file) as stored:
        stored.visititems(lambda _, item: sizes.append(item.size) if isinstance(item, h5py.Dataset) else None)
    return sum(sizes)


def saved_variables(model):
    return {id(v): v for v in (*model.variables, *model.optimizer.variables)}.values()


@pytest.mark.slow
def test_a_hybrid_is_exported_without_its_critic(tmp_path):
    model = make(critic="hybrid")
    card = card_of(configurations.load("digits/critic", ["model.latent_dim=3"]), model)
    folder = saved_model.export_model(model, tmp_path / "export", card)
    loaded = tf.saved_model.load(str(folder))
    np.testing.assert_allclose(loaded.encode(images())["loc"], model.encode(images()).loc, atol=1e-5)
    stored = [shape for name, shape in tf.train.list_variables(folder / "variables" / "variables") if "/" in name]
    wanted = (*model.encoder.weights, *model.decoder.weights, *model.head.weights)
    assert sorted(stored) == sorted(list(w.shape) for w in wanted)


@pytest.mark.parametrize("name", ["digits/critic", "mnist/critic", "omniglot/critic"])
def test_configurations(name):
    found = configurations.load(name).model
    assert (found.method, found.critic, found.critic_lambda) == ("critic", "self", 1.0)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ({"critic": "neurla"}, ("critic", "'self', 'neural' or 'hybrid'", "neurla")),
        ({"direction": "z"}, ("direction", "'z_to_x', 'x_to_z' or 'both'")),
        ({"side": "decoder"}, ("side", "'inference' or 'model'", "decoder")),
        ({"critic_lambda": -0.1}, ("critic_lambda", "-0.1")),
        ({"projection_dim": 0}, ("projection_dim", "0")),
        ({"critic_temperature": 0.0}, ("critic_temperature", "above 0")),
        ({"shared_layer": "early"}, ("shared_layer", "'hybrid'", "'self'")),
        ({"critic": "hybrid", "shared_layer": "erly"}, ("shared_layer", "'erly'", "mean 'early'", "late_norm")),
        ({"critic": "hybrid", "critic_encoder": "own"}, ("critic_encoder", "'neural'")),
        ({"critic": "hybrid", "encoder": "flat"}, ("critic", "no layer to share")),
        ({"critic": "hybrid", "encoder": "unbuilt"}, ("critic", "not a functional model")),
        ({"critic": "neural", "critic_encoder": "small"}, ("critic_encoder", "2×2×1")),
    ],
)
def test_bad_hyperparameters(arguments, parts):
    networks = {
        "own": lambda: network("own"),
        "flat": lambda: build("mlp", SHAPE, 2, depth=0).encoder,
        "unbuilt": lambda: keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3)]),
        "small": lambda: build("mlp", (2, 2, 1), 2).encoder,
    }
    given = {key: networks[value]() if value in networks else value for key, value in arguments.items()}
    with pytest.raises(ValueError) as error:
        make(**given)
    assert "\n" not in str(error.value) and all(part in str(error.value) for part in parts), error.value


def test_a_critic_needs_its_own_network_and_more_than_one_image():
    encoder = network()
    with pytest.raises(ValueError, match="critic_encoder: must be a network of its own"):
        make(critic="neural", encoder=encoder, critic_encoder=encoder)
    for data, arguments in ((images(3), {"batch_size": 1}), (images(1), {})):
        with pytest.raises(ValueError, match=r"^critic: .*one image$"):
            compiled().fit(data, verbose=0, **arguments)
