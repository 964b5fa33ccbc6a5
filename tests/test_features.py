"""Tables and series, real numbers of any sign, through every method: with networks and calls as a user writes them."""

import warnings

import keras
import numpy as np
import pytest
from scipy.stats import laplace, multivariate_normal, norm

import zoo

LATENTS, ROWS = 3, 64
LIKELIHOODS = {
    "gaussian": "gaussian",
    "learned": {"name": "gaussian", "learned": True},
    "each": {"name": "gaussian", "scale": "each"},
    "laplace": "laplace",
    "laplace, each": {"name": "laplace", "scale": "each"},
}
METHODS = {
    "vae": (zoo.VAE, {}),
    "iwae": (zoo.IWAE, {"samples": 3}),
    "contrastive": (zoo.ContrastiveVAE, {"queue_size": 48}),
    "consistency": (zoo.ConsistencyVAE, {}),
    "triplet": (zoo.TripletVAE, {}),
    "noise_contrastive": (zoo.NoiseContrastiveVAE, {}),
    "critic, self": (zoo.InferenceCriticVAE, {"side": "model"}),
    "critic, neural": (zoo.InferenceCriticVAE, {"critic": "neural"}),
    "critic, hybrid": (zoo.InferenceCriticVAE, {"critic": "hybrid"}),
    "auxiliary_softmax": (zoo.AuxiliarySoftmaxVAE, {"examples": ROWS, "label_dimensions": 2, "classifier_width": 8}),
}
# Variants of methods, which `make test` leaves to the whole suite.
VARIANTS = {
    "contrastive, in batch": (zoo.ContrastiveVAE, {"queue_size": 0, "elbo_on": "original"}),
    "noise_contrastive, decoder": (zoo.NoiseContrastiveVAE, {"noise": "decoder"}),
}
# A method's likelihood and kind of data where not all are tried: each of them with several methods.
CHOSEN = [
    (method, ("table", "series")[i % 2], list(LIKELIHOODS)[i % len(LIKELIHOODS)]) for i, method in enumerate(METHODS)
]
pytestmark = pytest.mark.filterwarnings("ignore::zoo.metrics.likelihood.UnreliableEstimateWarning")


def table(n=ROWS):
    """[n, 20], each column in a unit of its own."""
    generator = np.random.default_rng(0)
    mixed = generator.standard_normal((n, 3)) @ generator.standard_normal((3, 20))
    return ((mixed + 0.2 * generator.standard_normal((n, 20))) * np.linspace(0.5, 2, 20) - 1).astype("float32")


def series(n=ROWS):
    """[n, 50, 3], waves about 0."""
    generator = np.random.default_rng(1)
    phase, pace = generator.uniform(0, 6, (n, 1, 3)), generator.uniform(0.1, 0.4, (n, 1, 3))
    waves = 2 * np.sin(phase + pace * np.arange(50)[None, :, None])
    return (waves + 0.1 * generator.standard_normal(waves.shape)).astype("float32")


DATA = {"table": table, "series": series}


def networks(kind, doubled=False):
    """An encoder and a decoder in plain Keras; `doubled` for a scale beside each mean."""
    layers = keras.layers
    if kind == "table":
        encoder = [keras.Input((20,)), layers.Dense(16, activation="tanh"), layers.Dense(16, activation="tanh")]
        decoder = [keras.Input((LATENTS,)), layers.Dense(16, activation="tanh"), layers.Dense(40 if doubled else 20)]
    else:
        encoder = [
            keras.Input((50, 3)),
            layers.Conv1D(8, 5, strides=3, activation="relu"),
            layers.Conv1D(8, 5, strides=3, activation="relu"),
        ]
        decoder = [
            keras.Input((LATENTS,)),
            layers.Dense(25 * 4, activation="relu"),
            layers.Reshape((25, 4)),
            layers.Conv1DTranspose(6 if doubled else 3, 5, strides=2, padding="same"),
        ]
    return keras.Sequential(encoder), keras.Sequential(decoder)


def make(method, kind, likelihood):
    keras.utils.set_random_seed(0)
    owner, arguments = {**METHODS, **VARIANTS}[method]
    pair = networks(kind, doubled="each" in likelihood)
    model = owner(*pair, LATENTS, likelihood=LIKELIHOODS[likelihood], seed=0, **arguments)
    model.compile(keras.optimizers.Adam(0.01))
    return model


def fitted(method, kind, likelihood, epochs):
    model, x = make(method, kind, likelihood), DATA[kind]()
    given = zoo.data.with_index(x) if model.needs_index else x
    return model, x, model.fit(given, epochs=epochs, batch_size=16, verbose=0).history


@pytest.mark.parametrize("method, kind, likelihood", CHOSEN)
@pytest.mark.slow
def test_a_method_from_fit_to_file(method, kind, likelihood, tmp_path):
    model, x, history = fitted(method, kind, likelihood, epochs=6)
    assert isinstance(model.domain, zoo.domains.Features)
    assert history["distortion"][-1] < history["distortion"][0]
    held_out = model.evaluate(x, batch_size=20, verbose=0, return_dict=True)
    assert all(np.isfinite(value) for value in held_out.values())
    assert held_out["elbo"] == pytest.approx(-held_out["distortion"] - held_out["rate"], rel=1e-5)

    loc, scale = model.posteriors(x)
    assert loc.shape == scale.shape == (ROWS, LATENTS)
    np.testing.assert_allclose(model.encode(x).loc, loc, atol=1e-5)
    assert 0 <= zoo.metrics.mutual_information(loc, scale) <= np.log(ROWS) + 1e-6
    assert zoo.metrics.rate(loc, scale).mean() == pytest.approx(held_out["rate"], rel=1e-4)
    nll = zoo.metrics.negative_log_likelihood(model, x[:8], samples=20)
    np.testing.assert_allclose(nll, -model.log_prob(x[:8], samples=20), rtol=0.2)
    assert nll.mean() < 10 * held_out["distortion"]

    assert model.reconstruct(x[:5]).shape == x[:5].shape
    np.testing.assert_allclose(model.predict(x[:5], verbose=0), model.reconstruct(x[:5]), atol=1e-5)
    drawn = model.sample(4, seed=1, mean=False)
    assert drawn.shape == (4, *x.shape[1:])
    np.testing.assert_array_equal(drawn, model.sample(4, seed=1, mean=False))
    assert np.ptp(drawn - model.sample(4, seed=1)) > 0
    picture = model.domain.draw(x[:4], np.asarray(model.reconstruct(x[:4])))
    assert picture.dtype == np.uint8 and picture.shape[-1] == 3 and np.ptp(picture) > 0

    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.encode(x).loc, model.encode(x).loc)
    np.testing.assert_array_equal(again.sample(4, seed=1, mean=False), drawn)
    assert isinstance(again.domain, zoo.domains.Features)


# The plain VAE under every likelihood, and every other method under one on each kind of data, in turn.
CELLS = [("vae", kind, likelihood) for kind in DATA for likelihood in LIKELIHOODS]
CELLS += [
    (method, kind, list(LIKELIHOODS)[(i + j) % len(LIKELIHOODS)])
    for i, method in enumerate(method for method in [*METHODS, *VARIANTS] if method != "vae")
    for j, kind in enumerate(DATA)
]


@pytest.mark.matrix
@pytest.mark.parametrize(("method", "kind", "likelihood"), CELLS)
def test_every_method_on_both_under_some_likelihood(method, kind, likelihood):
    model, x, history = fitted(method, kind, likelihood, epochs=3)
    # Not the loss: a queue of keys that is still filling makes InfoNCE harder.
    assert history["elbo"][-1] > history["elbo"][0]
    assert all(np.isfinite(value) for value in model.evaluate(x, verbose=0))
    assert np.isfinite(model.log_prob(x, samples=3)).all()


@pytest.mark.slow
def test_a_recurrent_encoder():
    encoder = keras.Sequential([keras.Input((50, 3)), keras.layers.LSTM(8)])
    model = zoo.VAE(encoder, networks("series")[1], LATENTS, likelihood="gaussian", seed=0)
    model.compile(keras.optimizers.Adam(0.01))
    history = model.fit(series(), epochs=4, batch_size=16, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]


@pytest.mark.slow
def test_the_mlp_of_the_zoo_takes_both():
    for kind, x in (("table", table()), ("series", series())):
        encoder, decoder = zoo.networks.build("mlp", x.shape[1:], LATENTS, depth=1, width=8)
        model = zoo.VAE(encoder, decoder, LATENTS, likelihood="gaussian", seed=0)
        model.compile(keras.optimizers.Adam(0.01))
        history = model.fit(x, epochs=4, verbose=0).history
        assert history["loss"][-1] < history["loss"][0], kind


# ── Against exact numbers ────────────────────────────────────────────────────────────────────────────────────────────


def expected_log_density(likelihood, parameters, x):
    """By SciPy, summed over an example's entries."""
    softplus = np.log1p(np.exp(parameters[..., parameters.shape[-1] // 2 :])) + 1e-3
    loc = parameters[..., : parameters.shape[-1] // 2]
    found = {
        "gaussian": lambda: norm(parameters, 1.0).logpdf(x),
        "learned": lambda: norm(parameters, 1.0).logpdf(x),
        "each": lambda: norm(loc, softplus).logpdf(x),
        "laplace": lambda: laplace(parameters, 1.0).logpdf(x),
        "laplace, each": lambda: laplace(loc, softplus).logpdf(x),
    }[likelihood]()
    return found.reshape(len(x), -1).sum(1)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("kind", DATA)
def test_log_density_of_entries(kind, likelihood):
    model, x = make("vae", kind, likelihood), DATA[kind](6)
    z = np.random.default_rng(2).standard_normal((6, LATENTS)).astype("float32")
    parameters = model.decoder(z).numpy().astype("float64")
    np.testing.assert_allclose(model.log_likelihood(x, z), expected_log_density(likelihood, parameters, x), rtol=1e-5)


def linear(kind, weights, bias, sigma):
    """A table's model p(x|z) = N(Wz + b, σ²I) whose decoder says σ in the way of `kind`; q(z|x) is the exact one."""
    width, latents = weights.shape
    layer = keras.layers.Dense(2 * width if kind == "each" else width)
    decoder = keras.Sequential([keras.Input((latents,)), layer])
    encoder = keras.Sequential([keras.Input((width,)), keras.layers.Identity()])
    likelihood = {
        "shared": {"name": "gaussian", "variance": sigma**2},
        "learned": {"name": "gaussian", "variance": sigma**2, "learned": True},
        "each": {"name": "gaussian", "scale": "each"},
    }[kind]
    model = zoo.VAE(encoder, decoder, latents, likelihood=likelihood, seed=0)
    model.compile()
    if kind == "each":
        raw = np.full(width, np.log(np.expm1(sigma - 1e-3)))
        layer.set_weights([np.concatenate([weights.T, np.zeros_like(weights.T)], 1), np.concatenate([bias, raw])])
    else:
        layer.set_weights([weights.T, bias])
    covariance = np.linalg.inv(np.eye(latents) + weights.T @ weights / sigma**2)
    recognition, scale = covariance @ weights.T / sigma**2, 1.2 * np.sqrt(np.diag(covariance))
    raw = np.log(np.expm1(scale - 1e-6))
    model.head.set_weights([recognition.T, -recognition @ bias, np.zeros((width, latents)), raw])
    return model


@pytest.mark.parametrize("kind", ["shared", "learned", "each"])
def test_likelihood_of_a_linear_gaussian_table(kind):
    generator = np.random.default_rng(3)
    weights, bias, sigma = generator.standard_normal((20, 3)), 5 * generator.standard_normal(20), 0.6
    x = bias + generator.standard_normal((60, 3)) @ weights.T + sigma * generator.standard_normal((60, 20))
    x = x.astype("float32")
    exact = -multivariate_normal(bias, weights @ weights.T + sigma**2 * np.eye(20)).logpdf(x)
    model = linear(kind, weights, bias, sigma)
    found = zoo.metrics.negative_log_likelihood(model, x, samples=1000)
    assert found.mean() == pytest.approx(exact.mean(), abs=0.02)
    held_out = model.evaluate(x, verbose=0, return_dict=True)
    assert -held_out["elbo"] > exact.mean()
    # In data's own units: the domain standardises inside the step, and the density is that of what the model sees.
    loc, scale = x.mean(0), x.std(0)
    standardised = zoo.VAE(
        model.encoder, model.decoder, 3, likelihood=model.likelihood, domain=zoo.domains.Features(loc, scale), seed=0
    )
    standardised.compile()
    standardised.head.set_weights(model.head.get_weights())
    np.testing.assert_allclose(standardised.encode(x * scale + loc).loc, model.encode(x).loc, atol=1e-4)
    found_in_units = zoo.metrics.negative_log_likelihood(standardised, x * scale + loc, samples=1000)
    np.testing.assert_allclose(found_in_units, found, atol=1e-3)


def test_likelihood_of_a_laplace_table():
    """Against an integral over the one latent."""
    generator = np.random.default_rng(4)
    weights, bias, b = 0.4 * generator.standard_normal(20), generator.standard_normal(20), 0.5
    x = (bias + generator.standard_normal((40, 1)) * weights + generator.laplace(0, b, (40, 20))).astype("float32")
    z = np.linspace(-8, 8, 4001)
    log_joint = laplace(bias + z[:, None, None] * weights, b).logpdf(x).sum(-1) + norm.logpdf(z)[:, None]
    exact = -np.log(np.exp(log_joint).sum(0) * (z[1] - z[0]))
    layer = keras.layers.Dense(20)
    decoder = keras.Sequential([keras.Input((1,)), layer])
    model = zoo.VAE(
        keras.Sequential([keras.Input((20,)), keras.layers.Identity()]),
        decoder, 1, likelihood={"name": "laplace", "b": b}, seed=0,
    )  # fmt: skip
    model.compile()
    layer.set_weights([weights[None], bias])
    # A broad q: the prior.
    model.head.set_weights([np.zeros((20, 1)), np.zeros(1), np.zeros((20, 1)), np.full(1, np.log(np.expm1(1.0)))])
    found = zoo.metrics.negative_log_likelihood(model, x, samples=4000)
    assert found.mean() == pytest.approx(exact.mean(), abs=0.02)


# ── Views ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_views_by_default_suit_features():
    """Noise and masking for the contrastive views, noise and scale for transformations; a user's own instead."""
    contrastive, consistency = make("contrastive", "table", "gaussian"), make("consistency", "series", "gaussian")
    assert [type(v).__name__ for v in contrastive.views] == ["AddNoise", "MaskEntries"]
    assert [type(t).__name__ for t in consistency.transformations] == ["AddNoise", "Rescale"]
    own = zoo.ContrastiveVAE(
        *networks("table"), LATENTS, likelihood="gaussian", queue_size=0, views=[keras.layers.GaussianNoise(0.5)]
    )
    own.compile()
    assert np.isfinite(own.fit(table(), verbose=0).history["info_nce"][0])


def view_of(layer, x):
    batch = make("vae", "table" if x.ndim == 2 else "series", "gaussian").batch(x, training=True)
    return np.asarray(layer(batch.x, draws=batch.draws, stream="view"))


def test_what_the_views_do():
    from zoo.augmentation.features import AddNoise, MaskEntries, Rescale

    x = table(2000)
    noise = view_of(AddNoise(0.5), x) - x
    assert noise.std() == pytest.approx(0.5, rel=0.02) and abs(noise.mean()) < 0.01
    masked = view_of(MaskEntries(0.3), x)
    assert (masked == 0).mean() == pytest.approx(0.3, abs=0.01)
    np.testing.assert_array_equal(masked[masked != 0], x[masked != 0])
    factors = view_of(Rescale(0.2), x) / x
    np.testing.assert_allclose(factors, np.repeat(factors[:, :1], 20, 1), rtol=1e-5)
    assert factors.min() == pytest.approx(0.8, abs=0.01) and factors.max() == pytest.approx(1.2, abs=0.01)
    # Of a series, whole steps are hidden.
    hidden = view_of(MaskEntries(0.3), series(400)) == 0
    assert hidden.mean() == pytest.approx(0.3, abs=0.02)
    np.testing.assert_array_equal(hidden, np.repeat(hidden[..., :1], 3, -1))
    half = view_of(AddNoise(0.5, probability=0.5), x)
    assert (half == x).all(1).mean() == pytest.approx(0.5, abs=0.05)


# ── Mistakes ─────────────────────────────────────────────────────────────────────────────────────────────────────────

NOT_A_NUMBER = table()
NOT_A_NUMBER[3, 4] = np.nan
MISTAKES = {
    "NaN": (NOT_A_NUMBER, "NaN"),
    "strings": (table().astype(str), "<U"),
    "objects": (table().astype(object), "object"),
    "width": (table()[:, :19], "19"),
    "vector": (table()[:, 0], "single number"),
    "one example": (table()[0], "batch axis"),
    "empty": (table()[:0], "no features|empty"),
    "complex": (table().astype(complex), "complex"),
}


@pytest.fixture(scope="module")
def plain():
    model = zoo.VAE(*networks("table"), LATENTS, likelihood="gaussian", seed=0)
    model.compile()
    return model


@pytest.mark.parametrize("call", ["fit", "evaluate", "encode", "posteriors", "log_prob", "predict"])
@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_one_line(mistake, call, plain):
    x, cause = MISTAKES[mistake]
    with pytest.raises(ValueError, match=cause) as error:
        getattr(plain, call)(x)
    assert "\n" not in str(error.value) and str(error.value).startswith(call)


def test_bernoulli_takes_no_negative_numbers():
    model = zoo.VAE(*networks("table"), LATENTS, seed=0)
    model.compile()
    with pytest.raises(ValueError, match=r"fit: .*\[0, 1\].*gaussian"):
        model.fit(table(), verbose=0)
    with pytest.raises(ValueError, match=r"encode: .*\[0, 1\]"):
        model.encode(table())


def test_mistakes_in_data_sets_are_seen_in_the_step():
    import tensorflow as tf

    model = zoo.VAE(*networks("table"), LATENTS, likelihood="gaussian", seed=0)
    model.compile()
    later = np.concatenate([table(32), NOT_A_NUMBER[:16]])
    with pytest.raises(ValueError, match="NaN") as error:
        model.fit(tf.data.Dataset.from_tensor_slices(later).batch(16), verbose=0)
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_bytes_as_features_are_warned_of():
    """Flattened images under a Gaussian: 0..255 are taken as they are, which is hardly what was meant."""
    pixels = np.random.default_rng(0).integers(0, 256, (32, 20)).astype("uint8")
    model = zoo.VAE(*networks("table"), LATENTS, likelihood="gaussian", seed=0)
    model.compile()
    with pytest.warns(UserWarning, match="uint8.*255"):
        model.fit(pixels, verbose=0)
    # Nothing to say of counts, of bits, and where the domain scales them.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(pixels.astype("int32"), verbose=0)
        model.fit(pixels % 2, verbose=0)
        domain = zoo.domains.Features.standardising(pixels.astype("float32"))
        scaled = zoo.VAE(*networks("table"), LATENTS, likelihood="gaussian", domain=domain, seed=0)
        scaled.compile()
        scaled.fit(pixels, verbose=0)
