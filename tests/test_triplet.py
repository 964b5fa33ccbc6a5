"""The hinge against a loop in NumPy, its gradient, and batches that have no other image."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo.augmentation.images import RandomFlip
from zoo.augmentation.view import apply_views
from zoo.networks import build

SHAPE, LATENTS = (5, 5, 1), 3


def make(**arguments):
    keras.utils.set_random_seed(0)
    model = zoo.TripletVAE(*build("mlp", SHAPE, LATENTS, depth=1, width=16), LATENTS, **{"seed": 0, **arguments})
    model.compile(keras.optimizers.SGD(0.1))
    return model


def images(n=8, seed=0):
    return np.random.default_rng(seed).random((n, *SHAPE)).astype("float32")


def transformed(model, x, training=True):
    return apply_views(model.transformations, tf.constant(x), model.draws(training), "transformed")


def hinge_by_loop(anchors, positives, margin):
    values = []
    for i, anchor in enumerate(anchors):
        other = anchors[(i + 1) % len(anchors)]
        values.append(max(0.0, sum((anchor - positives[i]) ** 2) - sum((anchor - other) ** 2) + margin))
    return values


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("margin", [0.0, 0.3, 2.0])
def test_the_hinge_is_the_loop(margin, training):
    model, x = make(margin=margin, triplet_weight=0.7, beta=2.0), images()
    anchors, positives = (model.head(model.encoder(batch))[0].numpy() for batch in (x, transformed(model, x, training)))
    expected = hinge_by_loop(anchors, positives, margin)
    terms = model.objective(tf.constant(x), training)
    np.testing.assert_allclose(terms["triplet"], expected, rtol=1e-4, atol=1e-6)
    # Small margins are met by some, not by all.
    assert 0 < expected.count(0.0) < 8 if margin < 1 else min(expected) > 0
    # The bound is that of x alone.
    np.testing.assert_allclose(
        terms["loss"], terms["distortion"] + 2 * terms["rate"] + 0.7 * terms["triplet"], rtol=1e-5
    )
    assert set(terms) == {"loss", "distortion", "rate", "triplet", "elbo"}
    assert (make().triplet_weight, make().margin) == (1.0, 1.0)


def test_it_is_zero_where_the_margin_is_met_and_the_margin_where_codes_are_one():
    model, x = make(margin=1.5, transformations=[]), tf.constant(images())
    model.head.loc.kernel.assign(100 * model.head.loc.kernel)
    np.testing.assert_array_equal(model.objective(x, True)["triplet"], np.zeros(8))
    model.head.loc.kernel.assign(0 * model.head.loc.kernel)
    np.testing.assert_array_equal(model.objective(x, True)["triplet"], np.full(8, 1.5))


def test_the_gradient_goes_through_anchor_positive_and_negative():
    model, x = make(margin=3.0, triplet_weight=2.0), images()
    plain = zoo.VAE(*build("mlp", SHAPE, LATENTS, depth=1, width=16), LATENTS, seed=0)
    plain.build_if_known()
    for mine, theirs in zip(plain.trainable_variables, model.trainable_variables, strict=True):
        mine.assign(theirs)
    with tf.GradientTape() as tape:
        anchor, positive = (model.head(model.encoder(batch))[0] for batch in (tf.constant(x), transformed(model, x)))
        near = tf.reduce_sum((anchor - positive) ** 2, 1)
        far = tf.reduce_sum((anchor - tf.roll(anchor, -1, axis=0)) ** 2, 1)
        loss = tf.reduce_mean(2.0 * tf.maximum(0.0, near - far + 3.0))
        loss += tf.reduce_mean(plain.objective(tf.constant(x), True)["loss"])
    variables = [*model.trainable_variables, *plain.trainable_variables]
    gradients = [0.0 if g is None else g for g in tape.gradient(loss, variables)]
    half = len(gradients) // 2
    expected = [v - 0.1 * (a + b) for v, a, b in zip(variables, gradients[:half], gradients[half:], strict=False)]
    assert model.train_on_batch(x, return_dict=True)["loss"] == pytest.approx(float(loss), rel=1e-5)
    for variable, wanted in zip(model.trainable_variables, expected, strict=True):
        np.testing.assert_allclose(variable, wanted, atol=1e-5)


@pytest.mark.slow
def test_training_pulls_transformations_near():
    model = make(margin=1.0, triplet_weight=50.0)
    model.optimizer.learning_rate = 0.01
    before = model.evaluate(images(), verbose=0, return_dict=True)["triplet"]
    model.fit(tf.data.Dataset.from_tensors(images()).repeat(100), verbose=0)
    assert model.evaluate(images(), verbose=0, return_dict=True)["triplet"] < 0.5 * before


# ── Batches of one ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_batch_of_one_is_refused():
    for x, arguments in (
        (images(), {"batch_size": 1}),
        (images(1), {}),
        (tf.data.Dataset.from_tensor_slices(images()).batch(1, drop_remainder=True), {}),
    ):
        with pytest.raises(ValueError, match=r"TripletVAE: .* the batch has one image") as error:
            make().fit(x, verbose=0, **arguments)
        assert "\n" not in str(error.value)


def test_the_last_image_of_an_epoch_alone_makes_no_triplet():
    model = make(margin=5.0)
    terms = model.objective(tf.constant(images(1)), training=True)
    assert float(terms["triplet"][0]) == 0
    np.testing.assert_allclose(terms["loss"], terms["distortion"] + terms["rate"], rtol=1e-6)
    assert np.isfinite(model.fit(images(9), batch_size=8, verbose=0).history["loss"][0])


# ── Round trips and mistakes ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_models_round_trip(tmp_path):
    own = {"triplet_weight": 0.3, "margin": 2.5, "translate": 1.0, "rotate": 3.0, "scale": 0.3}
    model = make(beta=2.0, transformations=[RandomFlip(0.25)], **own)
    model.fit(images(), batch_size=4, verbose=0)
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    for copy in (zoo.TripletVAE.from_config(model.get_config()), loaded):
        assert type(copy) is zoo.TripletVAE
        assert {name: getattr(copy, name) for name in own} == own
        assert (copy.beta, copy.seed, copy.transformations[0].probability) == (2.0, 0, 0.25)
    found, expected = (each.evaluate(images(), verbose=0, return_dict=True) for each in (loaded, model))
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ({"triplet_weight": -1}, ("triplet_weight", "at least 0", "-1")),
        ({"margin": -0.5}, ("margin", "-0.5")),
        ({"scale": 1.2}, ("scale", "below 1")),
        ({"translate": 5}, ("translate", "5×5×1")),
    ],
)
def test_bad_hyperparameters(arguments, parts):
    with pytest.raises(ValueError) as error:
        make(**arguments)
    assert "\n" not in str(error.value) and all(part in str(error.value) for part in parts)
