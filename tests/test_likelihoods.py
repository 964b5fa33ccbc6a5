"""p(x|z): densities against TFP's own, and what is kept of a distribution when it is sliced or traced."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from zoo import likelihoods


@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("traced", [False, True])
@pytest.mark.parametrize("samples", [(), (3,)])
def test_gaussian_pixels_have_the_density_of_independent_normals(learned, traced, samples):
    generator = np.random.default_rng(0)
    mean = tf.constant(generator.random([*samples, 5, 4, 6, 2]), tf.float32)
    x = tf.constant(generator.random([5, 4, 6, 2]), tf.float32)
    likelihood = likelihoods.get({"name": "gaussian", "variance": 0.3, "learned": learned})
    density = lambda mean, x: likelihood.distribution(mean, 3).log_prob(x)  # noqa: E731
    if traced:
        density = tf.function(
            density, input_signature=[tf.TensorSpec([None] * len(mean.shape)), tf.TensorSpec([None] * 4)]
        )
    exact = tfd.Independent(tfd.Normal(mean, np.float32(np.sqrt(0.3))), 3).log_prob(x)
    np.testing.assert_allclose(density(mean, x), exact, rtol=2e-6)


def test_a_slice_of_the_batch_is_a_distribution_too():
    mean = tf.random.stateless_uniform([5, 4, 4, 1], [0, 0])
    found = likelihoods.get({"name": "gaussian", "variance": 2.0}).distribution(mean, 3)
    assert found.event_shape == [4, 4, 1] and found.batch_shape == [5]
    np.testing.assert_allclose(found[2].log_prob(mean[0]), found.log_prob(mean[0])[2], rtol=1e-6)


def test_its_gradient_is_that_of_half_the_squares():
    mean, x = tf.Variable([[0.25, 0.5]]), tf.constant([[1.0, 0.0]])
    with tf.GradientTape() as tape:
        value = likelihoods.get({"name": "gaussian", "variance": 0.5}).distribution(mean, 1).log_prob(x)
    np.testing.assert_allclose(tape.gradient(value, mean), [[1.5, -1.0]], rtol=1e-6)
