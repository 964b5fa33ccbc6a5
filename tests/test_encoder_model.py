"""The encoder as a Keras model: the VAE's codes, in classifiers, trained, saved and loaded."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo.domains import Features

pytestmark = pytest.mark.slow

ROOT = str(Path(__file__).parent.parent)
IMAGES = np.random.default_rng(0).integers(0, 256, (8, 4, 4, 1), dtype="uint8")
LABELS = np.arange(8) % 3

LOADING = """
import sys
import keras
import numpy as np
import zoo

model, images = keras.saving.load_model(sys.argv[1]), np.load(sys.argv[2])
found = model(images)
np.savez(sys.argv[3], loc=found["loc"], scale=found["scale"])
"""


def network():
    x = inputs = keras.Input((4, 4, 1))
    x = keras.layers.BatchNormalization(momentum=0.5)(keras.layers.Conv2D(3, 3)(x))
    x = keras.layers.Dropout(0.5, seed=1)(keras.layers.ReLU()(x))
    return keras.Model(inputs, x)


def decoder():
    z = keras.Input((2,))
    return keras.Model(z, keras.layers.Reshape((4, 4, 1))(keras.layers.Dense(16)(z)))


def model(method=zoo.VAE, encoder=None, **arguments):
    keras.utils.set_random_seed(0)
    found = method(encoder or network(), decoder(), 2, seed=0, **arguments)
    found.compile("adam")
    return found


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32", "float64"])
def test_it_gives_the_models_codes(dtype):
    vae = model()
    x = IMAGES.astype(dtype) / (255 if "float" in dtype else 1)
    x = x.astype(dtype)
    expected, encoder = vae.encode(x), vae.encoder_model()
    for found in (encoder(x), encoder.predict(x, verbose=0)):
        np.testing.assert_allclose(found["loc"], expected.loc, atol=1e-6)
        np.testing.assert_allclose(found["scale"], expected.scale, atol=1e-6)
    np.testing.assert_allclose(vae.encoder_model("loc")(x), expected.loc, atol=1e-6)


def test_features_are_standardised():
    x, z = keras.Input((3,)), keras.Input((2,))
    networks = keras.Model(x, keras.layers.Dense(4)(x)), keras.Model(z, keras.layers.Dense(3)(z))
    vae = zoo.VAE(*networks, 2, likelihood="gaussian", domain=Features([1.0, 2.0, 3.0], [10.0, 0.1, 1.0]))
    given = np.random.default_rng(0).normal(size=(5, 3))
    np.testing.assert_allclose(vae.encoder_model()(given)["loc"], vae.encode(given).loc, atol=1e-6)


def test_a_hybrid_critics_encoder_is_the_vaes():
    vae = model(zoo.InferenceCriticVAE, critic="hybrid")
    encoder = vae.encoder_model()
    np.testing.assert_allclose(encoder(IMAGES)["loc"], vae.encode(IMAGES).loc, atol=1e-6)
    assert {id(v) for v in encoder.variables} == {id(v) for v in (*vae.encoder.variables, *vae.head.variables)}


def test_training_is_told_with_each_call():
    encoder = model().encoder_model("loc")
    np.testing.assert_array_equal(encoder(IMAGES), encoder(IMAGES, training=False))
    assert np.abs(encoder(IMAGES, training=True) - encoder(IMAGES, training=True)).max() > 1e-3


def test_a_classifier_is_fine_tuned_and_the_vae_with_it():
    vae = model()
    head = keras.layers.Dense(3)
    classifier = keras.Sequential([keras.Input((4, 4, 1), dtype="uint8"), vae.encoder_model("loc"), head])
    np.testing.assert_allclose(classifier(IMAGES), head(vae.encode(IMAGES).loc), atol=1e-6)
    classifier.compile(keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    moving = [*vae.encoder.trainable_weights, *vae.head.loc.trainable_weights]
    before, decoding = [w.numpy() for w in moving], [w.numpy() for w in vae.decoder.weights]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # such as Keras's on weights without a gradient
        classifier.fit(IMAGES, LABELS, batch_size=8, verbose=0)
    for old, new in zip(before[::2], moving[::2], strict=True):
        assert np.abs(old - new.numpy()).max() > 1e-6, new.path
    for old, new in zip(decoding, vae.decoder.weights, strict=True):
        np.testing.assert_array_equal(old, new.numpy())
    np.testing.assert_allclose(classifier(IMAGES), head(vae.encode(IMAGES).loc), atol=1e-6)


def test_a_frozen_encoder_stays_as_it_is():
    vae = model()
    encoder = vae.encoder_model("loc")
    encoder.trainable = False
    classifier = keras.Sequential([keras.Input((4, 4, 1), dtype="uint8"), encoder, keras.layers.Dense(3)])
    classifier.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    before = [w.numpy() for w in vae.encoder.weights]
    classifier.fit(IMAGES, LABELS, verbose=0)
    for old, new in zip(before, vae.encoder.weights, strict=True):
        np.testing.assert_array_equal(old, new.numpy())


def test_bytes_that_keras_made_floats_of_are_refused():
    classifier = keras.Sequential([model().encoder_model("loc"), keras.layers.Dense(3)])
    with pytest.raises(tf.errors.InvalidArgumentError, match="dtype='uint8'"):
        classifier(IMAGES)
    assert classifier(IMAGES / 255).shape == (8, 3)


def test_it_is_saved_and_loaded_where_only_the_zoo_is_imported(tmp_path):
    vae = model()
    vae.encoder_model().save(tmp_path / "encoder.keras")
    np.save(tmp_path / "x.npy", IMAGES)
    command = [sys.executable, "-c", LOADING, *(str(tmp_path / n) for n in ("encoder.keras", "x.npy", "out.npz"))]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": ROOT}, cwd=tmp_path, check=True)
    found, expected = np.load(tmp_path / "out.npz"), vae.encode(IMAGES)
    np.testing.assert_allclose(found["loc"], expected.loc, atol=1e-6)
    np.testing.assert_allclose(found["scale"], expected.scale, atol=1e-6)


def test_a_loaded_one_is_independent(tmp_path):
    vae = model()
    classifier = keras.Sequential([keras.Input((4, 4, 1), dtype="uint8"), vae.encoder_model("loc")])
    classifier.save(tmp_path / "classifier.keras")
    loaded = keras.saving.load_model(tmp_path / "classifier.keras")
    np.testing.assert_allclose(loaded(IMAGES), vae.encode(IMAGES).loc, atol=1e-6)
    for weight in loaded.trainable_weights:
        weight.assign_add(tf.ones_like(weight))
    assert np.abs(loaded(IMAGES) - vae.encode(IMAGES).loc).max() > 0.1


def test_keras_exports_it(tmp_path):
    vae = model()
    vae.encoder_model().export(tmp_path / "export", verbose=False)
    found = tf.saved_model.load(str(tmp_path / "export"))
    x = (IMAGES / 255).astype("float32")
    np.testing.assert_allclose(found.serve(x)["loc"], vae.encode(x).loc, atol=1e-6)


def test_mistakes():
    with pytest.raises(ValueError, match=r"^encoder_model: output must be 'loc', or None .*, got 'scales'$"):
        model().encoder_model("scales")
    unbuilt = model(encoder=keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(4)]))
    with pytest.raises(ValueError, match="VAE: has no weights yet"):
        unbuilt.encoder_model()
