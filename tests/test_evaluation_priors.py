"""The priors of a test beside the standard one: f against its limits, the tuned one against a grid, and the figures."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability import distributions as tfd

import zoo
from zoo import data, metrics
from zoo.experiments import evaluation
from zoo.models.codec import Codes
from zoo.models.noise_contrastive import optimal_prior_variance, tuned_prior_variance
from zoo.networks import build

SHAPE, LATENTS = (5, 4, 1), 3


def make(method=zoo.NoiseContrastiveVAE, **arguments):
    keras.utils.set_random_seed(0)
    model = method(*build("mlp", SHAPE, LATENTS, depth=1, width=16), LATENTS, seed=3, **arguments)
    model.compile()
    return model


def images(n=12, seed=0):
    return np.random.default_rng(seed).random((n, *SHAPE)).astype("float32")


def test_the_optimal_variance_has_the_papers_value_and_limits():
    assert optimal_prior_variance(5.0, 1.0, 1.0) == pytest.approx(50 / 26)
    assert optimal_prior_variance(K=2.0, beta=0.8, delta=0.1) == pytest.approx(0.9 * 4 / (0.8 * 4 + 0.1))
    assert optimal_prior_variance(5.0, 2.0, 0.0) == 1.0
    assert optimal_prior_variance(5.0, 1.0, 1e-12) == pytest.approx(1.0)
    assert optimal_prior_variance(5.0, 0.0, 1.0) == pytest.approx(25.0)
    assert optimal_prior_variance(5.0, 1.0, 1e12) == pytest.approx(25.0)
    for beta, delta in ((1.0, 1.0), (0.3, 7.0), (5.0, 0.01)):
        assert optimal_prior_variance(1.0, beta, delta) == pytest.approx(1.0)


def test_the_optimal_variance_is_that_of_the_two_priors_as_one():
    beta, delta, k = 1.3, 0.4, 3.0
    generator = np.random.default_rng(0)
    loc, scale = generator.normal(size=(50, 2)), generator.uniform(0.1, 3, (50, 2))
    two = beta * metrics.rate(loc, scale) + delta * metrics.rate(loc, scale, k**2)
    one = (beta + delta) * metrics.rate(loc, scale, optimal_prior_variance(k, beta, delta))
    assert np.ptp(two - one) < 1e-10 < np.ptp(two)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"K": 0}, "optimal_prior_variance: K must be greater than 0, got 0"),
        ({"beta": -1}, "optimal_prior_variance: beta must be greater than or equal to 0"),
        ({"delta": float("nan")}, "optimal_prior_variance: delta must be"),
        ({"beta": 0, "delta": 0}, "beta and delta are both 0"),
    ],
)
def test_the_optimal_variance_checks_its_arguments(arguments, message):
    with pytest.raises(ValueError, match=message) as caught:
        optimal_prior_variance(**{"K": 5.0, "beta": 1.0, "delta": 1.0, **arguments})
    assert "\n" not in str(caught.value)


def test_the_rate_under_a_wider_prior_is_tfps():
    generator = np.random.default_rng(0)
    loc, scale = generator.normal(size=(20, 3)), generator.uniform(0.1, 3, (20, 3))
    for variance in (0.5, 1.0, 25.0):
        prior = tfd.Normal(tf.zeros([], tf.float64), np.sqrt(variance))
        expected = np.sum(tfd.kl_divergence(tfd.Normal(loc, scale), prior), axis=1)
        np.testing.assert_allclose(metrics.rate(loc, scale, prior_variance=variance), expected, rtol=1e-12)
    np.testing.assert_array_equal(metrics.rate(loc, scale, 1.0), metrics.rate(loc, scale))
    for wrong in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="prior_variance must be positive and finite"):
            metrics.rate(loc, scale, wrong)


@pytest.mark.parametrize(("spread", "inside"), [(1.0, True), (0.3, False), (9.0, False)])
@pytest.mark.parametrize("bound", [4.0, 0.5])
def test_the_tuned_variance_is_that_of_a_grid_search(spread, inside, bound):
    generator = np.random.default_rng(0)
    # Towards a bound under 1 the codes' mean square must be under 1 as well.
    size = spread * (1.1 if bound > 1 else 0.55)
    loc, scale = size * generator.normal(size=(300, 2)), size * generator.uniform(0.5, 1.5, (300, 2))
    grid = np.linspace(*sorted([1.0, bound]), 2001)
    best = grid[np.argmin([metrics.rate(loc, scale, variance).mean() for variance in grid])]
    found = tuned_prior_variance(Codes(loc, scale), bound)
    assert found == pytest.approx(best, abs=grid[1] - grid[0])
    assert (min(1.0, bound) < found < max(1.0, bound)) == inside


def test_an_evaluation_has_rate_and_elbo_under_three_priors():
    # Codes that lie well outside the standard prior, so that the tuned variance lies inside its interval.
    model = make(beta=0.4, delta=2.0)
    model.head.scale.bias.assign([1.5, 1.5, 1.5])
    held_out, validation = (data.Examples(images(n, seed=n), None) for n in (15, 20))
    found, _ = evaluation.evaluate_model(model, held_out, held_out, validation=lambda: validation)
    optimal = optimal_prior_variance(model.K, 0.4, 2.0)
    tuned = tuned_prior_variance(model.posteriors(validation.images), optimal)
    assert 1 < tuned < optimal
    assert tuned != tuned_prior_variance(model.posteriors(held_out.images), optimal)
    posteriors = model.posteriors(held_out.images)
    distortion = found["distortion"].value
    for suffix, variance in (("", 1.0), ("_optimal_prior", optimal), ("_tuned_prior", tuned)):
        rate = metrics.rate(*posteriors, variance).mean()
        assert found[f"rate{suffix}"].value == pytest.approx(rate, rel=1e-5)
        assert found[f"elbo{suffix}"].value == pytest.approx(-distortion - rate, rel=1e-5)
        if suffix:
            for name in ("rate", "elbo"):
                assert found[name + suffix].note == f"prior variance {variance:.4g}"
                assert found[name + suffix][1:3] == ("nats", 15)
    assert found["elbo_tuned_prior"].value > found["elbo"].value


def test_priors_are_looked_at_only_where_they_are_asked_for():
    def never():
        raise AssertionError("the validation split was read")

    x = data.Examples(images(), None)
    plain, _ = evaluation.evaluate_model(make(zoo.VAE), x, x, validation=never)
    assert not any("prior" in name for name in plain)
    found, _ = evaluation.evaluate_model(make(), x, x, only=("information",), validation=never)
    assert not any("prior" in name for name in found)
    found, _ = evaluation.evaluate_model(make(), x, x, only=("terms",))
    assert "elbo_optimal_prior" in found
    assert "elbo_tuned_prior" not in found
    found, _ = evaluation.evaluate_model(make(beta=0.0, delta=0.0), x, x, only=("terms",), validation=never)
    assert not any("prior" in name for name in found)


def test_the_priors_are_relative_to_the_models_own():
    held_out = data.Examples(images(15), None)
    plain, wide = (
        make(beta=0.4, delta=2.0),
        make(beta=0.4, delta=2.0, prior={"name": "standard_normal", "variance": 4.0}),
    )
    optimal = optimal_prior_variance(plain.K, 0.4, 2.0)
    assert plain.evaluation_priors(None) == {"optimal": pytest.approx(optimal)}
    found = wide.evaluation_priors(lambda: wide.posteriors(held_out.images))
    assert found["optimal"] == pytest.approx(4.0 * optimal)
    loc, scale = wide.posteriors(held_out.images)
    assert found["tuned"] == pytest.approx(4.0 * tuned_prior_variance(Codes(loc / 2, scale / 2), optimal))
