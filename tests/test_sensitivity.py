"""Consistency against closed forms, and the decoder's sensitivity against its definition."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability import distributions as tfd

import zoo
from zoo.augmentation.affine import RandomAffine
from zoo.augmentation.view import apply_views
from zoo.domains import Images
from zoo.metrics import consistency, decoder_sensitivity
from zoo.models.codec import Codes
from zoo.networks import build
from zoo.randomness import Draws

SHAPE = (12, 12, 1)
IMAGES = np.random.default_rng(0).integers(0, 256, (23, *SHAPE)).astype("uint8")


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    return zoo.VAE(*build("mlp", SHAPE, 3, depth=1, width=16), 3, seed=2)


def kl(one, other):
    gaussians = [
        tfd.Normal(posterior.loc.astype("float64"), posterior.scale.astype("float64")) for posterior in (one, other)
    ]
    return np.sum(tfd.kl_divergence(*gaussians), axis=1)


@pytest.mark.parametrize("batch_size", [23, 10])
def test_consistency_is_the_divergence_of_the_transformation_from_the_image(model, batch_size):
    layer = RandomAffine()
    transformed = []
    for number, start in enumerate(range(0, 23, batch_size)):
        x = tf.constant(IMAGES[start : start + batch_size] / 255, tf.float32)
        transformed.append(apply_views([layer], x, Draws(7, number, "consistency"), "transformed"))
    transformed = model.posteriors(np.concatenate(transformed))
    found = consistency(model, IMAGES, layer, seed=7, batch_size=batch_size)
    expected = kl(transformed, model.posteriors(IMAGES))
    assert found.shape == (23,)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    assert np.abs(found - kl(model.posteriors(IMAGES), transformed)).max() > 100 * np.abs(found - expected).max()
    assert not np.allclose(found, consistency(model, IMAGES, layer, seed=8, batch_size=batch_size))
    np.testing.assert_allclose(
        consistency(model, (IMAGES / 255).astype("float32"), layer, seed=7, batch_size=batch_size), found, rtol=1e-4
    )


def test_consistency_of_no_transformation_is_zero(model):
    np.testing.assert_allclose(consistency(model, IMAGES, RandomAffine(0, 0, 0)), 0, atol=1e-6)
    np.testing.assert_allclose(consistency(model, IMAGES, RandomAffine(probability=0.0)), 0, atol=1e-6)


def test_consistency_checks_its_arguments(model):
    with pytest.raises(ValueError, match=r"^translate: 50"):
        consistency(model, IMAGES, RandomAffine(translate=50))
    with pytest.raises(ValueError, match=r"^consistency: images of 5×5×1"):
        consistency(model, IMAGES[:, :5, :5], RandomAffine())
    with pytest.raises(ValueError, match=r"^batch_size must be"):
        consistency(model, IMAGES, RandomAffine(), batch_size=0)


class Linear:
    """Codes and a decoder that are known: z → z · W + 3."""

    domain = Images()

    def __init__(self, loc, scale, weights):
        self.loc, self.scale, self.weights = loc, scale, weights

    def posteriors(self, images, batch_size):
        return Codes(self.loc[: len(images)], self.scale[: len(images)])

    def decode(self, z):
        return tf.reshape(tf.constant(z, tf.float32) @ self.weights + 3, [-1, *SHAPE])


@pytest.mark.parametrize("batch_size", [1, 7, 23, 500])
def test_the_decoders_sensitivity_is_a_ratio_of_variances(batch_size):
    generator = np.random.default_rng(4)
    loc, scale, weights = (
        generator.normal(size=(23, 3)),
        generator.uniform(0.1, 2, (23, 3)),
        generator.normal(size=(3, 144)),
    )
    fake = Linear(*(part.astype("float32") for part in (loc, scale, weights)))
    z = loc + scale * np.random.default_rng(5).standard_normal((23, 3), np.float32)
    expected = (z @ weights).var(axis=0).sum() / (IMAGES.reshape(23, -1) / 255).var(axis=0).sum()
    assert decoder_sensitivity(fake, IMAGES, seed=5, batch_size=batch_size) == pytest.approx(expected, rel=1e-5)
    assert decoder_sensitivity(fake, IMAGES, seed=6) != pytest.approx(expected, rel=1e-3)


def test_a_decoder_that_ignores_its_codes_has_no_sensitivity(model):
    assert decoder_sensitivity(model, IMAGES) > 1e-6
    deaf = keras.models.clone_model(model.decoder)
    deaf.set_weights([0 * part if part.ndim == 2 else part + 0.3 for part in model.decoder.get_weights()])
    ignoring = zoo.VAE(model.encoder, deaf, 3, seed=2)
    assert decoder_sensitivity(ignoring, IMAGES) == pytest.approx(0, abs=1e-12)


def test_images_that_are_all_alike(model):
    with pytest.raises(ValueError, match=r"^images: all 5 are alike"):
        decoder_sensitivity(model, np.repeat(IMAGES[:1], 5, axis=0), batch_size=2)
