"""The importance-weighted NLL against the exact log p(x) of linear-Gaussian VAEs."""

import subprocess
import sys
import warnings

import numpy as np
import pytest
from scipy.stats import multivariate_normal

import zoo
from zoo.metrics.likelihood import UnreliableEstimateWarning, importance_weighted, negative_log_likelihood
from zoo.networks import build

SHAPE, PIXELS, LATENTS, SIGMA = (3, 2, 1), 6, 2, 0.7
# Few samples are what most tests here take.
pytestmark = pytest.mark.filterwarnings("ignore::zoo.metrics.likelihood.UnreliableEstimateWarning")


def linear_vae(weights, bias, recognition, offset, scale, shape):
    """P(x|z) = N(Wz + b, σ²I), q(z|x) = N(Rx + offset, diag(scale²))."""
    pixels, latents = weights.shape
    networks = build("mlp", shape, latents, depth=0)
    model = zoo.VAE(*networks, latents, likelihood={"name": "gaussian", "variance": SIGMA**2}, seed=0)
    model.build_if_known()
    model.decoder.set_weights([weights.T, bias])
    # The head's scale is softplus(bias) + 1e-6.
    raw = np.log(np.expm1(scale - 1e-6))
    model.head.set_weights([recognition.T, offset, np.zeros((pixels, latents)), raw])
    return model


# Means (in posterior standard deviations) and widths of q(z|x) against the exact posterior.
POSTERIORS = {
    "exact": (0.0, 1.0),
    "correlated": (0.0, 1.0),
    "wrong": (0.4, 1.3),
    "near": (0.2, 1.15),
    "narrow": (0.5, 0.1),
}


def make(kind, latents=LATENTS, shape=SHAPE, images=60):
    """A model, images of it, and their exact −log p(x) = −log N(x; b, WWᵀ + σ²I), for a posterior `kind`."""
    pixels = int(np.prod(shape))
    generator = np.random.default_rng(3)
    weights = generator.standard_normal((pixels, latents))
    if kind != "correlated":
        # Orthogonal columns make the exact posterior's covariance diagonal, as q's is.
        weights = np.linalg.qr(weights)[0] * np.linspace(1.5, 0.6, latents)
    bias = generator.standard_normal(pixels)
    covariance = np.linalg.inv(np.eye(latents) + weights.T @ weights / SIGMA**2)
    recognition, scale = covariance @ weights.T / SIGMA**2, np.sqrt(np.diag(covariance))
    shift, width = POSTERIORS[kind]
    model = linear_vae(weights, bias, recognition, shift * scale - recognition @ bias, width * scale, shape)
    noise = generator.standard_normal((images, latents)), generator.standard_normal((images, pixels))
    x = (bias + noise[0] @ weights.T + SIGMA * noise[1]).astype("float32")
    exact = -multivariate_normal(bias, weights @ weights.T + SIGMA**2 * np.eye(pixels)).logpdf(x)
    return model, x.reshape(-1, *shape), exact


@pytest.fixture(scope="module", params=["exact", "wrong", "correlated"])
def case(request):
    return request.param, *make(request.param)


@pytest.fixture(scope="module")
def wrong():
    return make("wrong")


def test_estimate_is_the_exact_likelihood(case):
    kind, model, x, exact = case
    values = negative_log_likelihood(model, x, samples=500)
    assert values.shape == (60,)
    assert abs(values.mean() - exact.mean()) < 0.02
    # Under the exact posterior every sample has the same weight, and one is enough.
    if kind == "exact":
        np.testing.assert_allclose(values, exact, atol=1e-4)
        np.testing.assert_allclose(negative_log_likelihood(model, x, samples=1), exact, atol=1e-4)
    else:
        np.testing.assert_allclose(values, exact, atol=0.15)


@pytest.mark.parametrize("latents", [2, 4, 8, 16])
def test_estimate_in_many_dimensions(latents):
    model, x, exact = make("near", latents, (6, 4, 1))
    assert abs((negative_log_likelihood(model, x, samples=500) - exact).mean()) < 0.02


def test_effective_samples_are_what_gaussians_have(wrong):
    """K / ∫p²/q, with ∫p²/q = s²/√(2s² − 1) · exp(m²/(2s² − 1)) a dimension for p = N(0, 1), q = N(m, s²)."""
    model, x, _ = wrong
    found = importance_weighted(model, x, samples=4096, block=1000)
    m, s = POSTERIORS["wrong"]
    expected = (np.sqrt(2 * s**2 - 1) / s**2 * np.exp(-(m**2) / (2 * s**2 - 1))) ** LATENTS
    assert found.effective_samples.shape == (60,)
    np.testing.assert_allclose(found.effective_samples / 4096, expected, rtol=0.08)
    assert abs((found.effective_samples / 4096).mean() / expected - 1) < 0.01


def test_equal_weights_are_all_effective():
    model, x, _ = make("exact")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = importance_weighted(model, x, samples=500)
    np.testing.assert_allclose(found.effective_samples, 500, rtol=1e-3)
    np.testing.assert_array_equal(found.nll, negative_log_likelihood(model, x, samples=500))


class Chosen:
    """A model of which `few` images have one sample with all the weight, the others equal weights."""

    def __init__(self, few):
        self.few = few

    def check(self, x, where):
        pass

    def log_weights(self, x, samples, seed):
        import tensorflow as tf

        peaked = tf.one_hot(0, samples, 0.0, -200.0)[:, None]
        return tf.where(seed[:, 1] < self.few, peaked, tf.zeros([samples, 1]))


def test_a_tenth_of_the_images_may_have_few_effective_samples():
    x = np.zeros((20, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = importance_weighted(Chosen(2), x, 20, block=20)
    np.testing.assert_allclose(found.effective_samples, [1] * 2 + [20] * 18)
    message = r"3 of 20 images have under 10 effective samples \(median 20.0 of 20\).*more samples.*annealed"
    with pytest.warns(UnreliableEstimateWarning, match=message) as caught:
        importance_weighted(Chosen(3), x, 20, block=20)
    assert "\n" not in str(caught[0].message)


def test_weights_that_are_no_numbers_count_as_few():
    class Broken(Chosen):
        def log_weights(self, x, samples, seed):
            return np.nan * super().log_weights(x, samples, seed)

    with pytest.warns(UnreliableEstimateWarning, match="20 of 20"):
        importance_weighted(Broken(0), np.zeros((20, 2)), 20)


def test_log_prob_is_the_same_estimate(wrong):
    model, x, exact = wrong
    np.testing.assert_allclose(model.log_prob(x, samples=500).numpy().mean(), -exact.mean(), atol=0.02)
    values = negative_log_likelihood(model, x, samples=20, block=20, batch_size=60)
    np.testing.assert_allclose(values, -model.log_prob(x, samples=20), atol=1e-4)


@pytest.mark.parametrize("block", [1, 7, 100, 1000])
def test_blocks_give_what_one_shot_gives(wrong, block):
    model, x, _ = wrong
    one_shot = negative_log_likelihood(model, x, samples=100, block=100, seed=1)
    values = negative_log_likelihood(model, x, samples=100, block=block, seed=2)
    # Two independent estimates of standard error 0.004 each.
    assert 0 < abs(values.mean() - one_shot.mean()) < 0.03


def test_blocks_count_every_sample_once(wrong):
    """Seven samples in blocks of 3: the weights of the blocks' own keys, with the surplus of the last one left out."""
    model, x, _ = wrong
    keys = [np.stack([np.full(60, 5 * 2**31 + block), np.arange(60)], axis=1) for block in range(3)]
    weights = np.concatenate([model.log_weights(x, 3, key).numpy() for key in keys])[:7]
    weights = np.exp(weights.astype("float64"))
    found = importance_weighted(model, x, 7, block=3, seed=5)
    np.testing.assert_allclose(found.nll, -np.log(weights.mean(axis=0)), atol=1e-5)
    np.testing.assert_allclose(found.effective_samples, weights.sum(0) ** 2 / (weights**2).sum(0), rtol=1e-4)


def test_more_samples_tighten_the_bound(wrong):
    """From KL(q(z|x) ‖ p(z|x)) above −log p(x) with one sample (the ELBO's gap), down to nothing."""
    model, x, exact = wrong
    x, exact = np.tile(x, (10, 1, 1, 1)), np.tile(exact, 10)
    gaps = [(negative_log_likelihood(model, x, samples=n) - exact).mean() for n in (1, 4, 32, 500)]
    divergence = LATENTS * (0.5 * (1.3**2 + 0.4**2 - 1) - np.log(1.3))
    assert abs(gaps[0] - divergence) < 0.15
    assert gaps[0] > gaps[1] + 0.1 > gaps[2] + 0.1
    assert abs(gaps[3]) < 0.01


def test_result_depends_on_the_seed_and_the_image_alone(wrong):
    model, x, _ = wrong
    values = negative_log_likelihood(model, x, samples=12, block=5)
    for batch_size in (1, 7, 59, 1000):
        again = negative_log_likelihood(model, x, samples=12, block=5, batch_size=batch_size)
        np.testing.assert_allclose(again, values, atol=1e-5)
    np.testing.assert_allclose(negative_log_likelihood(model, x[:9], samples=12, block=5), values[:9], atol=1e-5)
    other = negative_log_likelihood(model, x, samples=12, block=5, seed=1)
    assert np.abs(other - values).min() > 0
    same_image = negative_log_likelihood(model, np.repeat(x[:1], 5, axis=0), samples=2)
    assert len(set(same_image)) == 5


def test_the_step_counters_do_not_move(wrong):
    model, x, _ = wrong
    negative_log_likelihood(model, x[:3], samples=2)
    assert int(model.step.value) == int(model.evaluation_step.value) == 0


def test_progress_ends_with_all_images(wrong):
    model, x, _ = wrong
    done = []
    negative_log_likelihood(model, x[:25], samples=9, batch_size=10, block=3, progress=done.append)
    assert len(done) == 9
    assert done == sorted(done)
    assert done[-1] == 25


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"samples": 0}, "samples must be a whole number of at least 1, got 0"),
        ({"samples": 2.5}, "samples must be"),
        ({"batch_size": 0}, "batch_size must be"),
        ({"block": -1}, "block must be"),
        ({"seed": -1}, "seed must be"),
        ({"seed": 2**31}, "seed must be"),
        ({"x": np.zeros((2, 3, 2))}, "images of 3×2, but the encoder takes 3×2×1"),
        ({"x": np.zeros((0, *SHAPE))}, "no images"),
        ({"x": np.zeros((2, 4, 4, 1))}, "images of 4×4×1, but the encoder takes 3×2×1"),
        ({"x": np.full((2, *SHAPE), np.nan)}, "NaN"),
    ],
)
def test_errors_are_one_line(wrong, arguments, message):
    model, x, _ = wrong
    with pytest.raises(ValueError, match=message) as error:
        negative_log_likelihood(**{"model": model, "x": x, **arguments})
    assert "\n" not in str(error.value)


def test_metrics_stand_alone():
    code = (
        # As the command line imports it: everyone else's `import zoo` registers the models.
        "import sys; sys.argv[0] = 'zoo';"
        "import zoo.metrics.likelihood, zoo.metrics.information, zoo.metrics.probes;"
        "rooms = ('models.vae', 'networks', 'augmentation', 'likelihoods', 'latents', 'domains', 'data');"
        "assert not any(f'zoo.{room}' in sys.modules for room in rooms);"
        "assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
