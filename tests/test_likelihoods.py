"""p(x|z): every likelihood against SciPy's densities, with masks and samples, and one that is not normalised."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import special, stats

import zoo
from zoo import likelihoods
from zoo.networks import build
from zoo.randomness import Draws

SHAPE = (4, 6, 2)
CATEGORIES = 5
# Every likelihood of the zoo, as configurations name it.
EVERY = {
    "bernoulli": "bernoulli",
    "gaussian": {"name": "gaussian", "variance": 0.3},
    "learned": {"name": "gaussian", "variance": 0.3, "learned": True},
    "gaussian each": {"name": "gaussian", "scale": "each", "smallest_scale": 0.05},
    "laplace": {"name": "laplace", "b": 0.7},
    "laplace each": {"name": "laplace", "scale": "each", "smallest_scale": 0.05},
    "categorical": {"name": "categorical", "categories": CATEGORIES},
}


def softplus(x):
    return np.logaddexp(0, x)


def example(kind, n=5, seed=0):
    """Examples that the likelihood takes: [n, *SHAPE]."""
    generator = np.random.default_rng(seed)
    if kind == "bernoulli":
        return (generator.random((n, *SHAPE)) < 0.4).astype("float32")
    if kind == "categorical":
        return generator.integers(0, CATEGORIES, (n, *SHAPE)).astype("float32")
    return generator.normal(size=(n, *SHAPE)).astype("float32")


def parameters_of(kind, *samples, n=5, seed=1):
    """What a decoder may give: [*samples, n, *parameter_shape]."""
    shape = likelihoods.get(EVERY[kind]).parameter_shape(SHAPE)
    return np.random.default_rng(seed).normal(size=(*samples, n, *shape)).astype("float32")


def by_scipy(kind, parameters, x):
    """Log-density of each entry: [..., n, *SHAPE]."""
    parameters, x = parameters.astype("float64"), np.asarray(x, "float64")
    loc, raw = parameters[..., :2], parameters[..., 2:]
    if kind == "bernoulli":
        return stats.bernoulli(special.expit(parameters)).logpmf(x)
    if kind in ("gaussian", "learned"):
        return stats.norm(parameters, 0.3**0.5).logpdf(x)
    if kind == "gaussian each":
        return stats.norm(loc, 0.05 + softplus(raw)).logpdf(x)
    if kind == "laplace":
        return stats.laplace(parameters, 0.7).logpdf(x)
    if kind == "laplace each":
        return stats.laplace(loc, 0.05 + softplus(raw)).logpdf(x)
    found = parameters - special.logsumexp(parameters, axis=-1, keepdims=True)
    index = np.broadcast_to(x.astype(int), found.shape[:-1])
    return np.take_along_axis(found, index[..., None], axis=-1)[..., 0]


@pytest.mark.parametrize("traced", [False, True])
@pytest.mark.parametrize("samples", [(), (3,)])
@pytest.mark.parametrize("kind", EVERY)
def test_the_density_is_scipys(kind, samples, traced):
    parameters, x = parameters_of(kind, *samples), example(kind)
    density = likelihoods.get(EVERY[kind]).log_prob
    if traced:
        # Nothing but ranks is known.
        unknown = [tf.TensorSpec([None] * parameters.ndim), tf.TensorSpec([None] * x.ndim)]
        density = tf.function(density, input_signature=unknown, autograph=False)
    found = density(tf.constant(parameters), tf.constant(x))
    assert found.shape == (*samples, 5)
    np.testing.assert_allclose(found, by_scipy(kind, parameters, x).sum((-3, -2, -1)), rtol=5e-6)


@pytest.mark.parametrize("samples", [(), (3,)])
@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("kind", EVERY)
def test_a_mask_leaves_entries_out(kind, axes, samples):
    """The mask has as many of an example's axes as it needs; what it leaves out may be anything."""
    parameters, x = parameters_of(kind, *samples), example(kind)
    mask = np.random.default_rng(2).random((5, *SHAPE[:axes])) < 0.6
    mask[0], mask[1] = True, False
    whole = np.broadcast_to(mask.reshape(*mask.shape, *[1] * (3 - axes)), x.shape)
    expected = np.where(whole, by_scipy(kind, parameters, x), 0.0).sum((-3, -2, -1))
    if kind not in ("bernoulli", "categorical"):
        x = np.where(whole, x, np.inf)
    likelihood = likelihoods.get(EVERY[kind])
    found = likelihood.log_prob(tf.constant(parameters), tf.constant(x), tf.constant(mask))
    np.testing.assert_allclose(found, expected, rtol=5e-6, atol=1e-6)
    assert np.all(found.numpy()[..., 1] == 0)
    for figure in likelihood.figures(tf.constant(parameters), tf.constant(x), tf.constant(mask)).values():
        squares = np.square(np.where(whole, x, 0) - np.where(whole, parameters[..., :2], 0))
        np.testing.assert_allclose(figure, squares.sum((-3, -2, -1)), rtol=5e-6, atol=1e-6)


@pytest.mark.parametrize("kind", EVERY)
def test_what_is_masked_has_no_gradient(kind):
    x, parameters = tf.constant(example(kind)), tf.constant(parameters_of(kind))
    mask = tf.constant(np.random.default_rng(2).random((5, *SHAPE[:1])) < 0.5)
    with tf.GradientTape() as tape:
        tape.watch(parameters)
        value = likelihoods.get(EVERY[kind]).log_prob(parameters, x, mask)
    gradient = tape.gradient(value, parameters).numpy()
    assert np.all(gradient[~mask.numpy()] == 0)
    assert np.all(np.abs(gradient[mask.numpy()]).max(axis=(1, 2)) > 0)


@pytest.mark.parametrize("kind", EVERY)
def test_samples_and_means_are_the_densitys(kind):
    """Each entry's samples against its distribution function, or its frequencies."""
    likelihood, n = likelihoods.get(EVERY[kind]), 4000
    parameters = parameters_of(kind, n=1)
    drawn = likelihood.sample(tf.constant(np.repeat(parameters, n, axis=0)), Draws(0, 0, "training"), "x").numpy()
    mean = likelihood.mean(tf.constant(parameters)).numpy()[0]
    assert drawn.shape == (n, *SHAPE) and mean.shape == SHAPE
    np.testing.assert_array_equal(
        drawn, likelihood.sample(tf.constant(np.repeat(parameters, n, axis=0)), Draws(0, 0, "training"), "x")
    )
    p = parameters[0].astype("float64")
    spread = 0.05 + softplus(p[..., 2:])
    frozen = {
        "gaussian": lambda: stats.norm(p, 0.3**0.5),
        "learned": lambda: stats.norm(p, 0.3**0.5),
        "gaussian each": lambda: stats.norm(p[..., :2], spread),
        "laplace": lambda: stats.laplace(p, 0.7),
        "laplace each": lambda: stats.laplace(p[..., :2], spread),
    }
    if kind in frozen:
        distribution = frozen[kind]()
        np.testing.assert_allclose(mean, distribution.mean(), rtol=1e-6)
        # Mapped by their own distribution functions, all entries are uniform, and together independent.
        uniform = distribution.cdf(drawn).reshape(n, -1)
        assert stats.kstest(uniform.ravel(), "uniform").pvalue > 1e-3
        assert np.abs(np.corrcoef(uniform.T) - np.eye(uniform.shape[1])).max() < 0.08
    elif kind == "bernoulli":
        np.testing.assert_allclose(mean, special.expit(p), rtol=1e-5)
        assert set(np.unique(drawn)) == {0.0, 1.0}
        np.testing.assert_allclose(drawn.mean(0), mean, atol=5 * 0.5 / n**0.5)
    else:
        np.testing.assert_array_equal(mean, p.argmax(-1))
        frequencies = np.stack([(drawn == category).mean(0) for category in range(CATEGORIES)], axis=-1)
        np.testing.assert_allclose(frequencies, special.softmax(p, axis=-1), atol=5 * 0.5 / n**0.5)


@pytest.mark.parametrize("kind", [kind for kind in EVERY if kind not in ("bernoulli", "categorical")])
def test_samples_carry_the_gradient_of_location_and_scale(kind):
    """d sample / d loc = 1, and d sample / d scale is the standardised sample."""
    parameters = tf.constant(parameters_of(kind))
    with tf.GradientTape() as tape:
        tape.watch(parameters)
        drawn = likelihoods.get(EVERY[kind]).sample(parameters, Draws(0, 0, "training"), "x")
    gradient = tape.gradient(drawn, parameters).numpy()
    np.testing.assert_allclose(gradient[..., :2], 1, rtol=1e-6)
    if kind.endswith("each"):
        loc, raw = parameters.numpy()[..., :2], parameters.numpy()[..., 2:]
        standardised = (drawn.numpy() - loc) / (0.05 + softplus(raw))
        np.testing.assert_allclose(gradient[..., 2:], standardised * special.expit(raw), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("kind", EVERY)
def test_likelihoods_round_trip(kind):
    likelihood = likelihoods.get(EVERY[kind])
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(likelihood))
    assert type(copy) is type(likelihood) and copy.get_config() == likelihood.get_config()
    parameters, x = tf.constant(parameters_of(kind)), tf.constant(example(kind))
    np.testing.assert_array_equal(copy.log_prob(parameters, x), likelihood.log_prob(parameters, x))


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.slow
def test_models_train_with_it_and_report_the_bound(kind):
    likelihood = likelihoods.get(EVERY[kind])
    encoder = build("mlp", SHAPE, 2, depth=1, width=8).encoder
    shape = likelihood.parameter_shape(SHAPE)
    decoder = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(int(np.prod(shape))), keras.layers.Reshape(shape)]
    )
    categories = likelihood.support == "categories"
    domain = {"name": "categories", "categories": likelihood.categories} if categories else "features"
    model = zoo.VAE(encoder, decoder, 2, likelihood=likelihood, seed=0, domain=domain)
    model.compile(keras.optimizers.Adam(0.01))
    x = example(kind, n=16).astype("int32" if categories else "float32")
    history = model.fit(x, batch_size=8, epochs=5, verbose=0).history
    assert history["elbo"][-1] > history["elbo"][0]
    assert set(history) == {"loss", "distortion", "rate", *likelihood.reported, "elbo"}
    latents = model.infer(model.batch(x, training=False))
    expected = by_scipy(kind, model.decoder(latents.z).numpy(), x).sum((1, 2, 3))
    if kind == "learned":
        expected = stats.norm(model.decoder(latents.z), np.exp(0.5 * model.likelihood.log_variance.numpy())).logpdf(x)
        expected = expected.sum((1, 2, 3))
    np.testing.assert_allclose(model.objective(x, training=False)["distortion"], -expected, rtol=1e-5)
    assert model.log_prob(x, samples=3).shape == (16,)
    assert model.reconstruct(x).shape == model.sample(16).shape == model.sample(16, mean=False).shape == x.shape


@pytest.mark.parametrize("name", ["gaussian", "laplace"])
def test_scales_cannot_reach_zero(name):
    likelihood = likelihoods.get({"name": name, "scale": "each", "smallest_scale": 0.01})
    x = tf.zeros([1, *SHAPE])
    raw = tf.concat([tf.zeros([1, *SHAPE]), tf.fill([1, *SHAPE], -500.0)], axis=-1)
    exact = {"gaussian": stats.norm, "laplace": stats.laplace}[name](0, 0.01).logpdf(0)
    np.testing.assert_allclose(likelihood.log_prob(raw, x), [exact * np.prod(SHAPE)], rtol=1e-5)


def test_its_gradient_is_that_of_half_the_squares():
    mean, x = tf.Variable([[0.25, 0.5]]), tf.constant([[1.0, 0.0]])
    with tf.GradientTape() as tape:
        value = likelihoods.get({"name": "gaussian", "variance": 0.5}).log_prob(mean, x)
    np.testing.assert_allclose(tape.gradient(value, mean), [[1.5, -1.0]], rtol=1e-6)


def test_grey_pixels_under_a_bernoulli_are_a_cross_entropy():
    x = np.random.default_rng(0).random((5, *SHAPE)).astype("float32")
    logits = parameters_of("bernoulli")
    found = likelihoods.get("bernoulli").log_prob(tf.constant(logits), tf.constant(x))
    p = special.expit(logits.astype("float64"))
    np.testing.assert_allclose(found, (x * np.log(p) + (1 - x) * np.log1p(-p)).sum((1, 2, 3)), rtol=1e-6)


# ── Unnormalised likelihoods ─────────────────────────────────────────────────────────────────────────────────────


@keras.saving.register_keras_serializable("tests")
class Squares(zoo.likelihoods.Likelihood):
    """exp(−‖x − mean‖²) without its constant, as a perceptual loss would be."""

    normalised = False

    def log_prob(self, parameters, x, mask=None):
        return -likelihoods.likelihood.counted(tf.square(x - parameters), x, mask)

    def mean(self, parameters):
        return parameters


def squares(method=zoo.VAE, **arguments):
    model = method(*build("mlp", (4, 4, 1), 2, depth=1, width=8), 2, likelihood=Squares(), seed=0, **arguments)
    model.compile(keras.optimizers.SGD(1e-3))
    return model


def test_what_is_not_normalised_has_no_elbo_and_no_likelihood():
    model, x = squares(), np.random.default_rng(0).random((8, 4, 4, 1)).astype("float32")
    history = model.fit(x, verbose=0, validation_data=(x,)).history
    assert set(history) == {f"{phase}{term}" for phase in ("", "val_") for term in ("loss", "distortion", "rate")}
    terms = model.objective(x, training=False)
    assert set(terms) == {"loss", "distortion", "rate"}
    np.testing.assert_allclose(terms["loss"], terms["distortion"] + terms["rate"], rtol=1e-6)
    for call in (lambda: model.log_prob(x), lambda: model.log_weights(x, 3)):
        with pytest.raises(ValueError, match=r"Squares is not normalised") as error:
            call()
        assert "\n" not in str(error.value)
    assert model.reconstruct(x).shape == x.shape
    with pytest.raises(NotImplementedError, match="Squares: cannot be sampled"):
        model.sample(2, mean=False)


def test_a_normalised_counterpart_has_the_same_gradients():
    x = np.random.default_rng(0).random((8, 4, 4, 1)).astype("float32")
    trained = []
    for likelihood in (Squares(), {"name": "gaussian", "variance": 0.5}):
        keras.utils.set_random_seed(0)
        model = zoo.VAE(*build("mlp", (4, 4, 1), 2, depth=1, width=8), 2, likelihood=likelihood, seed=0)
        model.compile(keras.optimizers.SGD(1e-2))
        model.fit(x, verbose=0)
        trained.append([variable.numpy() for variable in model.trainable_variables])
    for mine, theirs in zip(*trained, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-6)


# ── Mistakes ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        ("gausian", ("gausian", "did you mean 'gaussian'?")),
        ({"name": "laplace", "b": 0}, ("b", "greater than 0")),
        ({"name": "laplace", "scale": "each", "b": 2.0}, ("leave out b",)),
        ({"name": "laplace", "scale": "every"}, ("scale", "'each'", "every")),
        ({"name": "gaussian", "scale": "each", "variance": 2.0}, ("leave out variance",)),
        ({"name": "gaussian", "scale": "each", "learned": True}, ("leave out variance",)),
        ({"name": "gaussian", "smallest_scale": 0}, ("smallest_scale", "greater than 0")),
        ({"name": "categorical", "categories": 0}, ("categories",)),
        (keras.layers.Dense(3), ("likelihood", "bernoulli")),
    ],
)
def test_bad_likelihoods(given, parts):
    with pytest.raises(ValueError) as error:
        likelihoods.get(given)
    assert "\n" not in str(error.value) and all(part in str(error.value) for part in parts), str(error.value)


@pytest.mark.parametrize(
    ("kind", "needed"), [("gaussian each", "4×6×4"), ("laplace each", "4×6×4"), ("categorical", "4×6×2×5")]
)
def test_decoders_that_give_too_few_parameters(kind, needed):
    networks = build("mlp", SHAPE, 2, depth=0)
    with pytest.raises(ValueError, match=f"decoder gives 4×6×2, .* needs {needed}") as error:
        zoo.VAE(*networks, 2, likelihood=EVERY[kind]).compile("sgd")
    assert "\n" not in str(error.value)


def test_a_laplace_sample_is_finite_at_both_ends():
    class Ends:
        def uniform(self, stream, shape, *limits):
            return tf.constant([0.0, 2.0**-24, 0.5, 1.0 - 2.0**-24])

    found = zoo.likelihoods.Laplace().sample(tf.zeros([4]), Ends(), "x").numpy()
    assert np.isfinite(found).all() and found[0] < -15 and found[2] == 0 and found[3] > 15


def test_what_a_likelihood_needs_is_said():
    with pytest.raises(ValueError, match=r"likelihood: categorical needs 'categories'"):
        likelihoods.get("categorical")
