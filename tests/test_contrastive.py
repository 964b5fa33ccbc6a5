"""The contrastive VAE against loops, recurrences and the plain VAE."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo.augmentation.images import RandomFlip, RandomResizedCrop
from zoo.augmentation.view import apply_views
from zoo.models.contrastive import info_nce
from zoo.networks import build

SHAPE, LATENTS = (4, 4, 1), 3


def make(method=zoo.ContrastiveVAE, normalised=False, **arguments):
    networks = build("mlp", SHAPE, LATENTS, depth=1, width=16)
    if normalised:
        layers = [keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(8)]
        networks = networks._replace(encoder=keras.Sequential([*layers, keras.layers.BatchNormalization()]))
    if method is zoo.ContrastiveVAE:
        arguments = {"views": [], "queue_size": 10, **arguments}
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


def unit(x):
    return np.asarray(x) / np.linalg.norm(x, axis=1, keepdims=True)


def directions(n, seed=0):
    return unit(np.random.default_rng(seed).standard_normal((n, LATENTS)).astype("float32"))


def info_nce_by_loop(queries, keys, negatives, temperature):
    values = []
    for i, query in enumerate(queries):
        positive = float(np.dot(query, keys[i]))
        others = [k for j, k in enumerate(keys) if j != i] if negatives is None else negatives
        scores = [math.exp(float(np.dot(query, other)) / temperature) for other in others]
        values.append(-math.log(math.exp(positive / temperature) / (math.exp(positive / temperature) + sum(scores))))
    return values


def weights_of(*layers):
    return [w.numpy() for layer in layers for w in layer.trainable_weights]


# ── The term ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("temperature", [0.1, 1.0, 5.0])
@pytest.mark.parametrize("queue", [True, False])
def test_info_nce_is_the_loop(queue, temperature):
    queries, keys, negatives = directions(6), directions(6, 1), directions(9, 2) if queue else None
    expected = info_nce_by_loop(queries, keys, negatives, temperature)
    found = info_nce(*map(tf.constant, (queries, keys)), negatives, temperature)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("queue_size", "elbo_on"), [(10, "query"), (0, "query"), (10, "original")])
def test_the_models_term_is_the_loop_over_its_samples(queue_size, elbo_on):
    views, x = [RandomResizedCrop()], tf.constant(images())
    model = make(queue_size=queue_size, elbo_on=elbo_on, views=views, gamma=0.7, beta=2.0)
    view = apply_views(views, x, model.draws(True), "query")
    batch = model.batch(x, training=True)
    np.testing.assert_allclose(batch.x, view if elbo_on == "query" else x, atol=1e-6)
    # On the original, the query is a third sample with noise of its own.
    latents = model.infer(batch.of(view, "posterior" if elbo_on == "query" else "query"))
    queries, keys = unit(latents.z), unit(model.keys(batch))
    negatives = model.queue.numpy() if queue_size else None
    terms = model.objective(x, training=True)
    np.testing.assert_allclose(terms["info_nce"], info_nce_by_loop(queries, keys, negatives, 0.1), rtol=1e-4)
    expected = terms["distortion"] + 2.0 * terms["rate"] + 0.7 * terms["info_nce"]
    np.testing.assert_allclose(terms["loss"], expected, rtol=1e-6)


@pytest.mark.slow
def test_in_batch_negatives_bound_the_information_by_log_k():
    same = tf.constant(np.repeat(directions(1), 8, axis=0))
    np.testing.assert_allclose(info_nce(same, same, None, 0.1), math.log(8), rtol=1e-5)
    apart = tf.constant(np.eye(8, dtype="float32"))
    assert 0 <= float(tf.reduce_max(info_nce(apart, apart, None, 0.05))) < 1e-6
    keras.utils.set_random_seed(0)
    model = make(queue_size=0, beta=0.1, momentum=0.5)
    model.compile(keras.optimizers.Adam(0.01))
    before = model.evaluate(images(), verbose=0, return_dict=True)["info_nce"]
    model.fit(tf.data.Dataset.from_tensors(images()).repeat(200), verbose=0)
    after = model.evaluate(images(), verbose=0, return_dict=True)["info_nce"]
    assert 0 < after < 0.5 * math.log(8) < 0.8 * math.log(8) < before


# ── Keys ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("momentum", [0.0, 0.9, 1.0])
def test_keys_are_the_moving_average_of_the_queries_weights(momentum):
    model = compiled(momentum=momentum, normalised=True)
    expected = weights_of(model.encoder, model.head)
    assert len(expected) == 8
    for step in range(4):
        model.train_on_batch(images(seed=step))
        after = weights_of(model.encoder, model.head)
        expected = [momentum * k + (1 - momentum) * q for k, q in zip(expected, after, strict=True)]
        keys = [w.numpy() for w in model._key_weights()]
        for key, wanted in zip(keys, expected, strict=True):
            np.testing.assert_allclose(key, wanted, atol=1e-6)
    distance = max(np.abs(k - q).max() for k, q in zip(keys, after, strict=True))
    assert (distance == 0) == (momentum == 0)


def test_no_gradient_reaches_the_key_encoder():
    model, x = make(normalised=True), tf.constant(images())
    keys = [w for w in (*model.key_encoder.weights, *model.key_head.weights) if w.dtype == "float32"]
    trained = {id(w) for w in model.trainable_weights}
    assert not any(id(w) in trained for w in keys)
    assert len(trained) == len(make(zoo.VAE, normalised=True).trainable_weights)
    with tf.GradientTape() as tape:
        tape.watch([w.value for w in keys])
        loss = tf.reduce_sum(model.objective(x, training=True)["loss"])
    assert tape.gradient(loss, [w.value for w in keys]) == [None] * len(keys)


def test_key_batch_normalisation_uses_and_tracks_the_batch():
    model, x = compiled(normalised=True), images()
    before = model.key_encoder.layers[-2](x.reshape(8, -1)).numpy()
    np.testing.assert_allclose(model.key_encoder(x, training=True).numpy().mean(0), 0, atol=1e-5)
    assert np.abs(model.key_encoder(x, training=False).numpy().mean(0)).max() > 0.05
    model = compiled(normalised=True)
    norm = model.key_encoder.layers[-1]
    model.train_on_batch(x)
    np.testing.assert_allclose(norm.moving_mean.numpy(), 0.01 * before.mean(0), atol=1e-5)
    moved = norm.moving_mean.numpy()
    model.evaluate(x, verbose=0)
    np.testing.assert_array_equal(norm.moving_mean.numpy(), moved)


def test_the_queue_is_a_ring_whose_oldest_keys_go_first():
    model = compiled(queue_size=5)
    expected, place = model.queue.numpy(), 0
    np.testing.assert_allclose(np.linalg.norm(expected, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(expected, make(queue_size=5).queue.numpy())
    # Also batches that do not divide the queue, and one that is larger.
    for step, size in enumerate((2, 2, 3, 5, 1, 4, 8)):
        x = images(size, seed=step)
        for key in unit(model.keys(model.batch(x, training=True))):
            expected[place % 5] = key
            place += 1
        model.train_step(tf.constant(x))
        np.testing.assert_allclose(model.queue.numpy(), expected, atol=1e-6)
        assert int(model.queue_position.numpy()) == place % 5


def digits_model(**arguments):
    keras.utils.set_random_seed(0)
    networks = build("mlp", (28, 28, 1), LATENTS, depth=1, width=16)
    model = zoo.ContrastiveVAE(*networks, LATENTS, views=[], seed=0, **arguments)
    model.compile(keras.optimizers.SGD(0.01))
    return model


@pytest.mark.parametrize("numbered", [False, True])
def test_negatives_are_the_newest_key_of_each_other_image(numbered):
    """Three epochs over 24 digits: the queue has places for 60 keys, and still no digit counts twice."""
    x = zoo.data.load("digits", "train[:24]").images
    model = digits_model(queue_size=60)
    # What is in each place: its image's number (None for a random direction), and its key.
    places = [(None, key) for key in model.queue.numpy()]
    newest, step = {}, 0
    for epoch in range(3):
        for rows in np.split(np.random.default_rng(epoch).permutation(24), 3):
            data = {"x": x[rows], "index": rows} if numbered else x[rows]
            batch = model.batch(data, training=True)
            queries, keys = unit(model.infer(batch).z), unit(model.keys(batch))
            expected = []
            for query, key, own in zip(queries, keys, rows, strict=True):
                counted = [
                    image is None or (image != own and newest[image] == i) for i, (image, _) in enumerate(places)
                ]
                others = np.array([other for (_, other), counts in zip(places, counted, strict=True) if counts])
                expected += info_nce_by_loop([query], [key], others, 0.1)
            model.reset_metrics()
            found = model.train_on_batch(data, return_dict=True)["info_nce"]
            assert found == pytest.approx(np.mean(expected), rel=1e-4), step
            for image, key in zip(rows, keys, strict=True):
                places[step % 60] = (int(image), key)
                newest[int(image)] = step % 60
                step += 1
    # The ring has gone round, and holds more keys than there are images.
    assert len(newest) == 24 and None not in {image for image, _ in places}


@pytest.mark.parametrize("numbered", [False, True])
@pytest.mark.slow
def test_an_image_that_is_twice_in_a_batch_has_one_key(numbered):
    x = zoo.data.load("digits", "train[:6]").images
    model = digits_model(queue_size=12)
    for rows in map(np.array, ([0, 1, 0, 2, 0], [0, 2, 0, 1, 0], [3, 3])):
        model.train_on_batch({"x": x[rows], "index": rows} if numbered else x[rows])
    owners = model.queue_owners.numpy()
    assert (owners == -2).sum() == 12 - 4 and len(set(owners[owners >= 0])) == 4
    # The last keys of 2, of 1, of 0 and of 3.
    np.testing.assert_array_equal(np.flatnonzero(owners >= 0), [6, 8, 9, 11])
    if numbered:
        np.testing.assert_array_equal(owners[[6, 8, 9, 11]], [2, 1, 0, 3])


# ── The ELBO's image ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("elbo_on", ["query", "original"])
@pytest.mark.slow
def test_without_gamma_it_is_the_plain_vae_on_the_same_images(elbo_on):
    """The view is the mirrored image: a VAE trained on mirrored images ends with the same weights."""
    model, x = compiled(gamma=0.0, elbo_on=elbo_on, views=[RandomFlip(1.0)]), images()
    plain = compiled(method=zoo.VAE)
    seen = x[:, :, ::-1] if elbo_on == "query" else x
    mine = model.fit(x, epochs=3, shuffle=False, batch_size=4, verbose=0).history
    theirs = plain.fit(seen, epochs=3, shuffle=False, batch_size=4, verbose=0).history
    for name, values in theirs.items():
        np.testing.assert_allclose(mine[name], values, rtol=1e-5)
    for this, that in zip(model.trainable_weights, plain.trainable_weights, strict=True):
        np.testing.assert_allclose(this, that, atol=1e-6)
    assert np.abs(model.encoder.get_weights()[0] - make().encoder.get_weights()[0]).max() > 0


@pytest.mark.parametrize("elbo_on", ["query", "original"])
@pytest.mark.slow
def test_evaluation_takes_the_images_as_they_are_and_changes_nothing(elbo_on):
    model, x = compiled(views=[RandomFlip(1.0)], elbo_on=elbo_on), images(9)
    before = model.get_weights()
    found = model.evaluate(x, batch_size=4, verbose=0, return_dict=True)
    assert model.evaluate(x, batch_size=4, verbose=0, return_dict=True) == found
    for weight, old in zip(model.weights, before, strict=True):
        assert weight is model.evaluation_step or (weight.numpy() == old).all()
    expected = compiled(method=zoo.VAE).evaluate(x, batch_size=4, verbose=0, return_dict=True)
    for name in ("distortion", "rate", "elbo"):
        assert found[name] == pytest.approx(expected[name], rel=1e-5)
    assert found["loss"] == pytest.approx(-found["elbo"] + found["info_nce"], rel=1e-5)


# ── Round trips and mistakes ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_configurations_round_trip_with_views_of_keras(tmp_path):
    views = [
        keras.layers.RandomTranslation(0.1, 0.1, seed=3),
        RandomFlip(0.25),
        RandomResizedCrop(0.5, probability=0.5),
    ]
    own = {"gamma": 0.3, "temperature": 0.2, "momentum": 0.5, "queue_size": 7, "elbo_on": "original"}
    model = compiled(views=views, beta=2.0, warmup_steps=3, **own)
    assert np.isfinite(model.fit(images(), batch_size=4, verbose=0).history["loss"][0])
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    for copy in (zoo.ContrastiveVAE.from_config(model.get_config()), loaded):
        assert {name: getattr(copy, name) for name in own} == own
        assert (copy.beta, copy.warmup_steps, copy.seed) == (2.0, 3, 0)
        assert [type(v) for v in copy.views] == [type(v) for v in views]
        assert [v.get_config() for v in copy.views[1:]] == [v.get_config() for v in views[1:]]
    np.testing.assert_array_equal(loaded.queue.numpy(), model.queue.numpy())
    assert [len(make(views=views).views) for views in ([], None)] == [0, 4]


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ({"gamma": -0.1}, ("gamma", "-0.1")),
        ({"temperature": 0}, ("temperature", "above 0")),
        ({"temperature": -1.0}, ("temperature",)),
        ({"momentum": 1.01}, ("momentum", "1.01")),
        ({"momentum": -0.01}, ("momentum",)),
        ({"queue_size": -1}, ("queue_size", "-1")),
        ({"queue_size": 2.5}, ("queue_size",)),
        ({"elbo_on": "view"}, ("elbo_on", "'query' or 'original'", "view")),
        ({"beta": -1}, ("beta", "-1")),
    ],
)
def test_bad_hyperparameters(arguments, parts):
    with pytest.raises(ValueError) as error:
        make(**arguments)
    assert "\n" not in str(error.value) and all(part in str(error.value) for part in parts)


@pytest.mark.slow
def test_batches_that_the_queue_cannot_take():
    batches = tf.data.Dataset.from_tensor_slices(images(22))
    for model, data, arguments in (
        (compiled(), images(22), {"batch_size": 11}),
        (compiled(), images(22), {}),
        (compiled(), batches.batch(11, drop_remainder=True), {}),
        (compiled(queue_size=0), images(3), {"batch_size": 1}),
        (compiled(queue_size=0), images(1), {}),
    ):
        with pytest.raises(ValueError, match="queue_size") as error:
            model.fit(data, verbose=0, **arguments)
        assert "\n" not in str(error.value)
    model = compiled()
    model.fit(images(22), batch_size=10, verbose=0)
    assert int(model.queue_position.numpy()) == 22 % 10
