"""Networks that do not know what they take: whatever is called first builds the model."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo

IMAGES = np.random.default_rng(0).random((6, 4, 3, 1)).astype("float32")


def make(likelihood="bernoulli"):
    keras.utils.set_random_seed(0)
    encoder = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(5, "relu")])
    decoder = keras.Sequential([keras.layers.Dense(12), keras.layers.Reshape((4, 3, 1))])
    model = zoo.VAE(encoder, decoder, 2, likelihood=likelihood, seed=0)
    model.compile(keras.optimizers.SGD(0.1))
    return model


@pytest.fixture(scope="module")
def expected():
    """A model that was built by hand, and its weights after a step."""
    model = make()
    model.build((None, 4, 3, 1))
    loss = model.objective(IMAGES, training=True)["loss"].numpy()
    model.train_on_batch(IMAGES)
    return loss, model.get_weights()


def custom_loop(model):
    model.apply_gradients(model.compute_gradients(tf.constant(IMAGES)))


@pytest.mark.parametrize(
    "step", [custom_loop, lambda model: model.train_on_batch(IMAGES), lambda model: model.fit(IMAGES, verbose=0)]
)
def test_the_first_step_builds_and_moves(expected, step):
    model = make()
    assert not model.built
    step(model)
    for found, wanted in zip(model.get_weights(), expected[1], strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_the_objective_builds(expected):
    np.testing.assert_allclose(make().objective(IMAGES, training=True)["loss"], expected[0], rtol=1e-6)


@pytest.mark.parametrize(
    "call",
    [
        lambda model, x: model.objective(x, training=False),
        lambda model, x: model.compute_gradients(x),
        lambda model, x: model.train_on_batch(x),
        lambda model, x: model.encode(x),
    ],
)
def test_what_builds_is_checked_first(call):
    with pytest.raises(ValueError, match=r": pixels .*\[0, 1\]|in \[0, 1\]|unit interval") as error:
        call(make(), 3.0 * IMAGES)
    assert "\n" not in str(error.value)
