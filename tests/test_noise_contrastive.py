"""The noise's rate against TFP, δ = 0 against the β-VAE to the last bit, samples of p(x|z), and the synthetic data."""

import math
import os
import subprocess
import sys
import zlib
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability import distributions as tfd

import zoo
from zoo import data, metrics
from zoo.experiments import configurations
from zoo.experiments.schema import ConfigurationError
from zoo.latents.posterior import Latents, Posterior
from zoo.latents.prior import Prior
from zoo.likelihoods import Bernoulli, Gaussian
from zoo.networks import build
from zoo.networks.normalization import FusedBatchNormalization
from zoo.randomness import Draws

SHAPE, LATENTS = (5, 4, 1), 3


def make(**arguments):
    keras.utils.set_random_seed(0)
    networks = build("mlp", SHAPE, LATENTS, "linear", depth=1, width=16)
    model = zoo.NoiseContrastiveVAE(*networks, LATENTS, **{"seed": 3, **arguments})
    model.compile(keras.optimizers.SGD(0.1))
    return model


def normalised():
    """Networks with batch normalisation on either side."""
    layers = keras.layers
    encoder = [keras.Input(SHAPE), layers.Flatten(), layers.Dense(8), layers.BatchNormalization()]
    decoder = [keras.Input((LATENTS,)), layers.Dense(20), layers.BatchNormalization(), layers.Reshape(SHAPE)]
    return keras.Sequential(encoder), keras.Sequential(decoder)


def images(n=12, seed=0):
    return np.random.default_rng(seed).random((n, *SHAPE)).astype("float32")


# ── The term ─────────────────────────────────────────────────────────────────────────────────────────────────────


def expected_noise(model, x, training):
    """x_n, rebuilt from the step's random numbers and the networks."""
    draws = model.draws(training)
    if model.noise == "gaussian":
        return x + model.noise_scale * draws.normal("noise/pixels", x.shape).numpy()
    output = model.decoder(draws.normal("noise/prior", [len(x), LATENTS]), training=False)
    if isinstance(model.likelihood, Gaussian):
        return output + np.sqrt(model.likelihood.variance) * draws.normal("noise/pixels", x.shape)
    return tf.cast(draws.uniform("noise/pixels", x.shape) < tf.sigmoid(output), tf.float32)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    "arguments",
    [
        {"noise_scale": 0.5, "K": 3.0},
        {"noise": "decoder"},
        {"noise": "decoder", "likelihood": {"name": "gaussian", "variance": 0.25}},
    ],
)
def test_the_noise_rate_is_tfps_divergence_from_the_wide_prior(arguments, training):
    model, x = make(**arguments), images()
    loc, scale = model.head(model.encoder(expected_noise(model, x, training)))
    prior = tfd.MultivariateNormalDiag(tf.zeros(LATENTS), tf.fill([LATENTS], model.K))
    expected = tfd.kl_divergence(tfd.MultivariateNormalDiag(loc, scale), prior)
    terms = model.objective(tf.constant(x), training=training)
    np.testing.assert_allclose(terms["noise_rate"], expected, rtol=1e-5)
    assert np.ptp(expected) > 1e-3
    # The other terms are those of x.
    loc, scale = model.encode(x)
    np.testing.assert_allclose(terms["rate"], metrics.rate(loc, scale), rtol=1e-4)


class Chain(Prior):
    """Two groups, the second around a multiple of the first."""

    def conditional(self, group, above, size):
        return tfd.Normal(tf.fill([size], 0.5), 2.0) if group == 0 else tfd.Normal(1.5 * above[..., :size], 0.7)


def test_every_latent_group_gets_a_wider_prior():
    generator = np.random.default_rng(1)
    loc, noise = generator.normal(size=(2, 4, 5)).astype("float32")
    scale = generator.uniform(0.5, 2, (4, 5)).astype("float32")
    conditionals = [
        lambda above: tfd.Normal(loc[:, :3], scale[:, :3]),
        lambda above: tfd.Normal(loc[:, 3:] - above[..., :2], scale[:, 3:]),
    ]
    prior = Chain()
    latents = Latents(Posterior(conditionals, [3, 2], prior), tf.constant(noise))
    first = loc[:, :3] + scale[:, :3] * noise[:, :3]
    np.testing.assert_allclose(latents.z[:, 3:], loc[:, 3:] - first[:, :2] + scale[:, 3:] * noise[:, 3:], rtol=1e-5)
    expected = tfd.kl_divergence(tfd.Normal(loc[:, :3], scale[:, :3]), tfd.Normal(0.5, 2.5 * 2.0)).numpy().sum(1)
    below = tfd.Normal(loc[:, 3:] - first[:, :2], scale[:, 3:])
    expected += tfd.kl_divergence(below, tfd.Normal(1.5 * first[:, :2], 2.5 * 0.7)).numpy().sum(1)
    np.testing.assert_allclose(latents.rate(prior.widened(2.5)), expected, rtol=1e-5)
    np.testing.assert_array_equal(latents.rate(), latents.rate(prior.widened(1.0)))


def test_the_loss_weighs_the_noise_rate_by_delta_and_warm_up_leaves_it_alone():
    model, x = make(beta=0.5, delta=0.7, warmup_steps=4), images()
    for training, factor in ((True, 0.25), (False, 1.0)):
        model.step.assign(1)
        terms = model.objective(tf.constant(x), training)
        expected = terms["distortion"] + 0.5 * factor * terms["rate"] + 0.7 * terms["noise_rate"]
        np.testing.assert_allclose(terms["loss"], expected, rtol=1e-6)
    history = model.fit(x, batch_size=6, verbose=0).history
    assert {"loss", "distortion", "rate", "noise_rate", "elbo"} == set(history)


def trained(method, steps=3, **arguments):
    keras.utils.set_random_seed(0)
    model = method(*normalised(), LATENTS, beta=0.6, seed=3, **arguments)
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9))
    losses = [model.train_on_batch(images(seed=step), return_dict=True)["loss"] for step in range(steps)]
    return losses, model


@pytest.mark.parametrize("noise", ["gaussian", "decoder"])
@pytest.mark.slow
def test_without_delta_it_is_the_beta_vae_to_the_last_bit(noise):
    losses, plain = trained(zoo.VAE)
    own_losses, model = trained(zoo.NoiseContrastiveVAE, delta=0.0, noise=noise)
    assert losses == own_losses
    for part in ("encoder", "decoder", "head"):
        weights = (getattr(each, part).get_weights() for each in (plain, model))
        for this, that in zip(*weights, strict=True):
            np.testing.assert_array_equal(this, that)
    for training in (True, False):
        mine, theirs = (m.objective(tf.constant(images()), training)["loss"].numpy() for m in (model, plain))
        np.testing.assert_array_equal(mine, theirs)
    assert np.isfinite(model.evaluate(images(), verbose=0, return_dict=True)["noise_rate"])
    # With a weight there is a difference.
    assert trained(zoo.NoiseContrastiveVAE, delta=0.1, noise=noise)[0][1] != losses[1]


def test_optimised_noise_is_normalised_by_its_own_batch():
    _, model = trained(zoo.NoiseContrastiveVAE, steps=1, noise_scale=2.0, delta=0.5)
    x = images()
    loc, scale = model.head(model.encoder(expected_noise(model, x, True), training=True))
    found = model.objective(tf.constant(x), training=True)["noise_rate"]
    np.testing.assert_allclose(found, metrics.rate(loc, scale, prior_variance=25.0), rtol=1e-4)


@pytest.mark.parametrize("layer", [keras.layers.BatchNormalization, FusedBatchNormalization])
@pytest.mark.parametrize("noise", ["gaussian", "decoder"])
@pytest.mark.slow
def test_noise_does_not_move_the_averages_by_which_images_are_encoded(noise, layer):
    """However strong it is: after steps that move no weights they are those of a VAE."""

    def after(method, **arguments):
        keras.utils.set_random_seed(0)
        encoder = [keras.Input(SHAPE), keras.layers.Conv2D(4, 3), layer(momentum=0.8), keras.layers.Conv2D(2, 2)]
        model = method(keras.Sequential(encoder), normalised()[1], LATENTS, seed=3, **arguments)
        model.compile(keras.optimizers.SGD(0.0))
        model.fit(np.concatenate([images(seed=step) for step in range(3)]), batch_size=12, shuffle=False, verbose=0)
        return model

    plain, model = after(zoo.VAE), after(zoo.NoiseContrastiveVAE, noise=noise, noise_scale=30.0, delta=2.0)
    found, expected = ([v.numpy() for v in each.encoder.non_trainable_variables] for each in (model, plain))
    assert len(found) == 2 and np.abs(found[0]).max() > 1e-3
    for this, that in zip(found, expected, strict=True):
        np.testing.assert_array_equal(this, that)
    assert [each.momentum for each in model.encoder.layers if hasattr(each, "momentum")] == [0.8]
    for this, that in zip(model.encode(images()), plain.encode(images()), strict=True):
        np.testing.assert_array_equal(this, that)


@pytest.mark.parametrize("likelihood", ["bernoulli", {"name": "gaussian", "learned": True}])
def test_decoder_noise_sends_no_gradient_into_the_decoder(likelihood):
    keras.utils.set_random_seed(0)
    model = zoo.NoiseContrastiveVAE(*normalised(), LATENTS, noise="decoder", likelihood=likelihood, seed=3)
    model.build_if_known()
    before = [v.numpy() for v in model.decoder.non_trainable_variables]
    with tf.GradientTape(persistent=True) as tape:
        # The images themselves, as the encoder's part of the chain could hide a gradient.
        batch = model.batch(images(), training=True)
        noise = model.noise_examples(batch)
        rate = model.infer(batch.of(noise, "noise")).rate(model.prior.widened(5.0))
    decoders = [*model.decoder.trainable_weights, *model.likelihood.trainable_weights]
    assert len(decoders) == (4 if likelihood == "bernoulli" else 5)
    for target in (noise, rate):
        assert all(gradient is None for gradient in tape.gradient(target, decoders))
    gradients = tape.gradient(rate, model.head.trainable_weights)
    assert all(np.abs(gradient).max() > 0 for gradient in gradients)
    # And it runs as in evaluation.
    for this, that in zip(before, model.decoder.non_trainable_variables, strict=True):
        np.testing.assert_array_equal(this, that.numpy())


def test_noise_changes_with_the_step():
    model = make()
    batch = model.batch(images(), training=True)
    first = model.noise_examples(batch)
    np.testing.assert_array_equal(first, model.noise_examples(batch))
    model.step.assign_add(1)
    assert np.abs(first - model.noise_examples(model.batch(images(), training=True))).min() > 0


def test_the_noise_is_encoded_under_a_stream_of_its_own(monkeypatch):
    model, streams = make(), []
    infer = zoo.VAE.infer
    monkeypatch.setattr(zoo.VAE, "infer", lambda self, batch: streams.append(batch.stream) or infer(self, batch))
    model.objective(tf.constant(images()), training=True)
    assert len(streams) == len(set(streams)) == 2


# ── Samples of p(x|z) ────────────────────────────────────────────────────────────────────────────────────────────


def test_bernoulli_samples_are_binary_and_pass_the_means_gradient():
    likelihood = Bernoulli()
    logits = tf.constant(np.random.default_rng(0).normal(size=(4000, 2, 3)).astype("float32"))
    weights = tf.constant(np.random.default_rng(1).normal(size=(2, 3)).astype("float32"))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(logits)
        sample = likelihood.sample(logits, Draws(1, 0, "training"), "x")
        of_sample, of_mean = tf.reduce_sum(weights * sample), tf.reduce_sum(weights * tf.sigmoid(logits))
    assert set(np.unique(sample)) == {0.0, 1.0}
    # As often 1 as the probability says, be it high or low: 4 standard errors of 12,000 pixels.
    for chosen in (logits > 0, logits < 0):
        gap = tf.boolean_mask(sample - tf.sigmoid(logits), chosen)
        np.testing.assert_allclose(np.mean(gap), 0, atol=4 * 0.5 / np.sqrt(11_000))
    np.testing.assert_allclose(tape.gradient(of_sample, logits), tape.gradient(of_mean, logits), rtol=1e-5)
    assert np.corrcoef(np.ravel(sample), np.ravel(tf.sigmoid(logits)))[0, 1] > 0.3


def test_gaussian_samples_are_reparameterised():
    likelihood, draws = Gaussian(variance=0.25, learned=True), Draws(1, 0, "training")
    means = tf.constant(images())
    with tf.GradientTape() as tape:
        tape.watch(means)
        sample = likelihood.sample(means, draws, "x")
    noise = draws.normal("x", means.shape)
    np.testing.assert_allclose(sample, means + 0.5 * noise, rtol=1e-6)
    of_means, of_log_variance = tape.gradient(sample, [means, likelihood.log_variance.value])
    np.testing.assert_array_equal(of_means, np.ones(means.shape))
    np.testing.assert_allclose(of_log_variance, 0.25 * tf.reduce_sum(noise), rtol=1e-4)


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("noise", ["gaussian", "decoder"])
def test_a_replicas_noise_is_the_rows_of_the_global_batch(likelihood, noise, monkeypatch):
    model, x = make(likelihood=likelihood, noise=noise), images()
    whole = model.noise_examples(model.batch(x, training=True))
    monkeypatch.setattr("zoo.randomness.rows_of_replica", lambda local: (5, 12))
    part = model.noise_examples(model.batch(x[5:9], training=True))
    np.testing.assert_allclose(part, whole[5:9], atol=1e-6)


# ── Round trips, configurations, bad input ───────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_a_saved_model_comes_back_with_its_hyperparameters(tmp_path):
    own = {"delta": 0.3, "K": 4.0, "noise": "decoder", "noise_scale": 0.2}
    model = make(**own)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is zoo.NoiseContrastiveVAE
    assert {name: loaded.get_config()[name] for name in own} == own
    results = [m.evaluate(images(), verbose=0, return_dict=True) for m in (model, loaded)]
    assert results[0] == results[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"delta": -0.1}, "NoiseContrastiveVAE: delta must be .* of at least 0.*, got -0.1"),
        ({"K": 0}, "NoiseContrastiveVAE: K must be greater than 0, got 0"),
        ({"K": -5.0}, "NoiseContrastiveVAE: K must be greater than 0"),
        ({"noise_scale": 0}, "NoiseContrastiveVAE: noise_scale must be greater than 0"),
        ({"noise": "gausian"}, "NoiseContrastiveVAE: noise must be 'gaussian' or 'decoder', got 'gausian'"),
        ({"beta": -1}, "VAE: beta must be .* of at least 0"),
    ],
)
def test_bad_values_are_refused_in_one_line(arguments, message):
    with pytest.raises(ValueError, match=message) as caught:
        make(**arguments)
    assert "\n" not in str(caught.value)
    name, value = next(iter(arguments.items()))
    with pytest.raises(ConfigurationError, match=f"model.{name}: must be"):
        configurations.load("digits/noise_contrastive", [f"model.{name}={value}"])


@pytest.mark.parametrize("name", ["digits", "mnist", "omniglot", "gaussians"])
def test_configurations_are_the_vaes_but_for_the_method(name):
    plain, own = (configurations.load(f"{name}/{method}").flat() for method in ("vae", "noise_contrastive"))
    differing = {key for key in {*plain, *own} if plain.get(key) != own.get(key)}
    assert differing == {f"model.{key}" for key in ("method", "delta", "K", "noise", "noise_scale")}
    assert own["model.K"] == 5.0
    assert own["model.noise_scale"] == (3.0 if name == "gaussians" else 0.01)


def test_the_noise_is_independent_and_the_same_everywhere():
    splits = {name: data.load("noise", name) for name in ("train", "validation", "test")}
    assert [len(each.images) for each in splits.values()] == [10_000, 2_000, 2_000]
    assert all(each.labels is None and each.images.dtype == np.uint8 for each in splits.values())
    x = splits["train"].images.reshape(10_000, 784).astype(float)
    # The mean and the standard deviation of whole numbers from 0 to 255, and no pixel that tells of another.
    assert x.mean() == pytest.approx(127.5, abs=0.2) and x.std() == pytest.approx(math.sqrt((256**2 - 1) / 12), abs=0.2)
    correlations = np.corrcoef(x[:, :50].T)[np.triu_indices(50, 1)]
    assert np.abs(correlations).max() < 5 / math.sqrt(10_000)
    assert not (splits["test"].images[:, None] == splits["validation"].images[:3]).all(axis=(2, 3, 4)).any()
    np.testing.assert_array_equal(data.load("noise", "test[:2]").images, splits["test"].images[:2])


def test_the_gaussians_are_spherical_and_the_same_everywhere():
    splits = {name: data.load("gaussians", name) for name in ("train", "validation", "test")}
    assert {name: each.images.shape for name, each in splits.items()} == {
        "train": (10_000, 10, 10, 1),
        "validation": (2_000, 10, 10, 1),
        "test": (2_000, 10, 10, 1),
    }
    assert all(each.labels is None and each.images.dtype == np.float32 for each in splits.values())
    x = splits["train"].images.reshape(10_000, 100)
    np.testing.assert_allclose(x.mean(axis=0), 0.5, atol=0.05)
    # The Marchenko–Pastur law bounds a unit covariance's sample eigenvalues by (1 ± √(d/n))².
    values = np.linalg.eigvalsh(np.cov(x.T))
    assert 0.79 < values.min() < values.max() < 1.23
    pooled = [each.images.reshape(len(each.images), -1)[:, 0] for each in splits.values()]
    assert len(np.unique(np.concatenate(pooled))) > 13_990
    assert zlib.crc32(splits["test"].images.tobytes()) == 3007205133
    np.testing.assert_array_equal(data.load("gaussians", "train[:5]").images, splits["train"].images[:5])
    with pytest.raises(ValueError, match="no labels"):
        data.load("gaussians", "test", labels="label")


@pytest.mark.slow
def test_the_example_draws_its_picture(tmp_path):
    root = Path(__file__).parent.parent
    command = [sys.executable, str(root / "examples" / "noise_contrastive_codes.py")]
    command += ["--epochs", "1", "--out", str(tmp_path / "codes.png")]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = done.stdout.splitlines()
    further = [float(line.split(": ")[-1].split()[0]) for line in lines[:2]]
    assert [line.split(":")[0] for line in lines[:2]] == ["VAE", "NC-VAE"]
    # Of two centred Gaussians in the plane with variances 25 and 1, the wide one's draw is further out in 25 of 26.
    assert further[0] < 0.85 < further[1] < 0.98
    assert (tmp_path / "codes.png").read_bytes().startswith(b"\x89PNG")
