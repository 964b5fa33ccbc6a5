"""IWAE's bound against NumPy, the plain VAE, and a model whose log p(x) is known."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import special, stats

import zoo
from zoo.networks import build

SHAPE, LATENTS = (4, 3, 1), 3
GAUSSIAN = {"name": "gaussian", "variance": 0.3}


def make(method=zoo.IWAE, **arguments):
    networks = build("mlp", SHAPE, LATENTS, depth=1, width=16)
    model = method(*networks, LATENTS, **{"seed": 0, **arguments})
    model.build_if_known()
    return model


def compiled(**arguments):
    keras.utils.set_random_seed(0)
    model = make(**arguments)
    model.compile(keras.optimizers.SGD(0.1))
    return model


def images(n=8, seed=0):
    return np.random.default_rng(seed).random((n, *SHAPE)).astype("float32")


def samples_of(model, latents, training=True, stream="posterior"):
    """The k samples that a step takes: [k, batch, dim]."""
    loc, scale = latents.code(), latents.scale()
    n, k = len(loc), model.samples
    noise = model.draws(training).normal(f"{stream}/importance", [n, k - 1, LATENTS])
    further = loc + scale * tf.transpose(noise, [1, 0, 2])
    return tf.concat([latents.z[None], further], axis=0)


# ── The bound ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("beta", [0.0, 1.0, 2.5])
@pytest.mark.parametrize("likelihood", ["bernoulli", GAUSSIAN])
@pytest.mark.parametrize("training", [True, False])
def test_the_bound_is_numpys(likelihood, beta, training):
    model, x = make(samples=4, likelihood=likelihood, beta=beta), images()
    latents = model.infer(model.batch(x, training))
    z = samples_of(model, latents, training).numpy().astype("float64")
    output = np.stack([model.decoder(zs).numpy() for zs in z]).astype("float64")
    if likelihood == "bernoulli":
        log_p = -x * np.logaddexp(0, -output) - (1 - x) * np.logaddexp(0, output)
    else:
        log_p = stats.norm(output, np.sqrt(0.3)).logpdf(x)
    log_p = log_p.sum((2, 3, 4))
    ratio = stats.norm.logpdf(z) - stats.norm(latents.code().numpy(), latents.scale().numpy()).logpdf(z)
    bound = special.logsumexp(log_p + beta * ratio.sum(-1), axis=0) - np.log(4)
    terms = model.objective(tf.constant(x), training)
    np.testing.assert_allclose(terms["negative_bound"], -bound, rtol=1e-4)
    np.testing.assert_allclose(terms["loss"], -bound, rtol=1e-4)
    # What is reported keeps its meaning.
    np.testing.assert_allclose(terms["distortion"], -log_p.mean(0), rtol=1e-4)
    np.testing.assert_array_equal(terms["rate"], latents.rate())
    np.testing.assert_allclose(terms["elbo"], -terms["distortion"] - terms["rate"], rtol=1e-6)
    if likelihood == GAUSSIAN:
        np.testing.assert_allclose(terms["sum_of_squares"], ((x - output) ** 2).sum((2, 3, 4)).mean(0), rtol=1e-4)
    assert all(term.shape == (8,) for term in terms.values())


@pytest.mark.parametrize("beta", [0.0, 1.0, 0.7])
@pytest.mark.parametrize("likelihood", ["bernoulli", GAUSSIAN])
def test_one_sample_is_the_vae_to_the_last_bit(likelihood, beta):
    found = []
    for method in (zoo.VAE, zoo.IWAE):
        keras.utils.set_random_seed(0)
        model = make(
            method, likelihood=likelihood, beta=beta, warmup_steps=3, **{"samples": 1} if method is zoo.IWAE else {}
        )
        model.step.assign(2)
        found.append([model.objective(tf.constant(images()), training) for training in (True, False)])
    for these, those in zip(*found, strict=True):
        for name, term in these.items():
            np.testing.assert_array_equal(those[name], term, err_msg=name)
        np.testing.assert_array_equal(those["negative_bound"], those["loss"])


def test_one_sample_trains_as_the_vae_to_the_last_bit():
    models = [compiled(method=zoo.VAE, beta=0.7), compiled(samples=1, beta=0.7)]
    theirs, mine = (model.fit(images(), batch_size=4, shuffle=False, verbose=0).history for model in models)
    assert {name: mine[name] for name in theirs} == theirs
    for this, that in zip(*[model.get_weights() for model in models], strict=True):
        np.testing.assert_array_equal(this, that)


def test_warm_up_weighs_the_ratio():
    x = images()
    model, quarter = compiled(samples=3, beta=2.0, warmup_steps=4), compiled(samples=3, beta=0.5)
    for each in (model, quarter):
        each.step.assign(1)
    losses = [each.objective(tf.constant(x), training=True)["loss"] for each in (model, quarter)]
    np.testing.assert_allclose(*losses, rtol=1e-6)
    assert np.abs(losses[0] - compiled(samples=3, beta=2.0).objective(tf.constant(x), True)["loss"]).max() > 0.01


def linear_gaussian(k, width=3, pixels=8, variance=0.25):
    """(model, images, log p(x), KL of the posterior from the true one): p(x|z) = N(Wz + b, variance · I)."""
    generator = np.random.default_rng(0)
    w, b = generator.normal(size=(width, pixels)) / 2, generator.normal(size=pixels)
    decoder = keras.Sequential([keras.Input((width,)), keras.layers.Dense(pixels), keras.layers.Reshape((2, 4, 1))])
    decoder.set_weights([w, b])
    encoder = build("mlp", (2, 4, 1), width, depth=0).encoder
    model = zoo.IWAE(encoder, decoder, width, samples=k, likelihood={"name": "gaussian", "variance": variance}, seed=0)
    model.build_if_known()
    # The true posterior is N(gain (x − b), covariance); the model's is off in mean and scale, and has no correlations.
    covariance = np.linalg.inv(np.eye(width) + w @ w.T / variance)
    gain = covariance @ w / variance
    scale = 1.15 * np.sqrt(np.diag(covariance))
    kernel = 0.95 * gain.T
    model.head.loc.set_weights([kernel, 0.05 - b @ kernel])
    model.head.scale.set_weights([np.zeros((pixels, width)), np.log(np.expm1(scale))])
    z = generator.normal(size=(2000, width))
    x = z @ w + b + np.sqrt(variance) * generator.normal(size=(2000, pixels))
    log_p = stats.multivariate_normal(b, w.T @ w + variance * np.eye(pixels)).logpdf(x)
    off = 0.05 - 0.05 * (x - b) @ gain.T
    precision = np.linalg.inv(covariance)
    constant = (
        np.trace(precision @ np.diag(scale**2)) - width + np.linalg.slogdet(covariance)[1] - 2 * np.log(scale).sum()
    )
    divergence = 0.5 * (constant + np.einsum("ni,ij,nj->n", off, precision, off))
    return model, x.reshape(-1, 2, 4, 1).astype("float32"), log_p, divergence


def test_on_a_linear_gaussian_model_the_bound_grows_to_log_p():
    gaps = {}
    for k in (1, 2, 5, 20, 100, 500):
        model, x, log_p, divergence = linear_gaussian(k)
        terms = model.objective(tf.constant(x), training=False)
        bound, elbo = -terms["negative_bound"].numpy(), terms["elbo"].numpy()
        gaps[k] = (log_p - bound).mean()
    # The VAE's gap, and at any k that of `elbo`, is the divergence of the model's posterior from the true one.
    assert divergence.mean() > 0.15
    assert gaps[1] == pytest.approx(divergence.mean(), abs=0.15)
    assert (log_p - elbo).mean() == pytest.approx(divergence.mean(), abs=0.02)
    assert list(gaps.values()) == sorted(gaps.values(), reverse=True)
    assert gaps[5] < 0.6 * gaps[1]
    assert abs(gaps[500]) < 0.02
    # Not on average only.
    assert np.abs(log_p - bound).mean() < 0.05
    # The same estimator as the metric's.
    np.testing.assert_allclose(model.log_prob(x[:50], 500), log_p[:50], atol=0.2)
    assert np.mean(model.log_prob(x[:50], 500) - log_p[:50]) == pytest.approx(0, abs=0.03)


# ── Samples and gradients ────────────────────────────────────────────────────────────────────────────────────────


def test_every_sample_has_noise_of_its_own():
    model = make(samples=3)
    x = np.repeat(images(1), 3000, axis=0)
    seen = []
    model.generate = lambda z, *rest: seen.append(z) or zoo.IWAE.generate(model, z, *rest)
    latents = model.infer(model.batch(x, training=True))
    model.objective(tf.constant(x), training=True)
    noise = ((seen[0] - latents.code()) / latents.scale()).numpy()
    assert noise.shape == (3, 3000, LATENTS)
    np.testing.assert_array_equal(seen[0][0], latents.z)
    columns = noise.transpose(1, 0, 2).reshape(3000, -1)
    np.testing.assert_allclose(columns.mean(0), 0, atol=0.07)
    np.testing.assert_allclose(np.cov(columns.T), np.eye(3 * LATENTS), atol=0.09)
    assert len(np.unique(noise.round(6))) > 0.98 * noise.size
    model.step.assign_add(1)
    model.objective(tf.constant(x), training=True)
    model.objective(tf.constant(x), training=False)
    for other in seen[1:]:
        assert np.mean(other == seen[0]) < 0.01


def test_the_gradient_is_that_of_the_bound():
    """The step's direction, recomputed from the networks alone, for encoder, heads and decoder."""
    model, x = compiled(samples=4, beta=1.5), tf.constant(images())
    noise = tf.constant((samples_of(model, found := model.infer(model.batch(x, True))) - found.code()) / found.scale())
    with tf.GradientTape() as tape:
        loc, scale = model.head(model.encoder(x))
        z = loc + scale * noise
        logits = tf.reshape(model.decoder(tf.reshape(z, [-1, LATENTS])), [4, 8, *SHAPE])
        log_p = -tf.nn.sigmoid_cross_entropy_with_logits(tf.broadcast_to(x, logits.shape), logits)
        ratio = -0.5 * z**2 + 0.5 * noise**2 + tf.math.log(scale)
        weights = tf.reduce_sum(log_p, [2, 3, 4]) + 1.5 * tf.reduce_sum(ratio, -1)
        loss = tf.reduce_mean(np.log(4) - tf.reduce_logsumexp(weights, axis=0))
    variables = model.trainable_variables
    gradients = tape.gradient(loss, variables)
    expected = [v - 0.1 * g for v, g in zip(variables, gradients, strict=True)]
    assert len(variables) == 2 + 4 + 4 and all(np.abs(g).max() > 1e-3 for g in gradients)
    assert model.train_on_batch(images(), return_dict=True)["loss"] == pytest.approx(float(loss), rel=1e-5)
    for variable, wanted in zip(variables, expected, strict=True):
        np.testing.assert_allclose(variable, wanted, atol=1e-5)


# ── Round trips and mistakes ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_models_round_trip(tmp_path):
    model = compiled(samples=7, beta=0.5, likelihood=GAUSSIAN, warmup_steps=2)
    model.fit(images(), batch_size=4, verbose=0)
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    rebuilt = zoo.IWAE.from_config(model.get_config())
    for copy in (loaded, rebuilt):
        assert type(copy) is zoo.IWAE
        assert (copy.samples, copy.beta, copy.warmup_steps, copy.seed) == (7, 0.5, 2, 0)
    found, expected = (each.evaluate(images(), verbose=0, return_dict=True) for each in (loaded, model))
    assert found == pytest.approx(expected, rel=1e-6)
    assert set(found) == {"loss", "distortion", "rate", "sum_of_squares", "negative_bound", "elbo"}
    assert make().samples == 5


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ({"samples": 0}, ("samples", "greater than or equal to 1", "0")),
        ({"samples": 2.5}, ("samples", "2.5")),
        ({"samples": True}, ("samples", "True")),
        ({"beta": -1}, ("beta", "-1")),
    ],
)
def test_bad_hyperparameters(arguments, parts):
    with pytest.raises(ValueError) as error:
        make(**arguments)
    assert "\n" not in str(error.value) and all(part in str(error.value) for part in parts)
