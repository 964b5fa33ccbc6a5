"""Translation, rotation and scaling against NumPy and SciPy, and how they are drawn."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage, stats

import zoo
from zoo.augmentation.affine import RandomAffine
from zoo.augmentation.view import apply_views
from zoo.networks import build
from zoo.randomness import Draws


class Chosen:
    """Stands for `Draws`: an image's (scale, angle, down, right), each as a fraction of the greatest."""

    def __init__(self, *rows):
        self.rows = np.array(rows, "float32")

    def uniform(self, stream, shape, low, high):
        assert (low, high, len(shape)) == (-1.0, 1.0, 2)
        return tf.constant(self.rows)


def images(n=3, height=7, width=7, channels=1, seed=0):
    return np.random.default_rng(seed).random((n, height, width, channels)).astype("float32")


def applied(x, *rows, **arguments):
    layer = RandomAffine(**{"translate": 0, "rotate": 0, "scale": 0, **arguments})
    return layer(tf.constant(x), draws=Chosen(*rows)).numpy()


def by_scipy(x, factor, angle, down, right):
    """Forward: scale, turn anticlockwise, shift; SciPy wants the way back."""
    cos, sin = math.cos(angle), math.sin(angle)
    back = np.linalg.inv(factor * np.array([[cos, -sin], [sin, cos]]))
    centre = (np.array(x.shape[:2]) - 1) / 2
    offset = centre - back @ np.add(centre, (down, right))
    channels = [
        ndimage.affine_transform(x[..., c].astype("float64"), back, offset, order=1, mode="grid-constant")
        for c in range(x.shape[-1])
    ]
    return np.stack(channels, axis=-1)


# ── What it does to an image ─────────────────────────────────────────────────────────────────────────────────────


def test_a_shift_by_whole_pixels_moves_them():
    x = images(4, 6, 7)
    shifts = [(2, 0), (0, -3), (-1, 2), (0, 0)]
    found = applied(x, *[(0.3, -0.7, down / 3, right / 3) for down, right in shifts], translate=3)
    for image, moved, (down, right) in zip(x, found, shifts, strict=True):
        expected = np.roll(image, (down, right), (0, 1))
        expected[: max(down, 0)] = 0
        expected[6 + min(down, 0) :] = 0
        expected[:, : max(right, 0)] = 0
        expected[:, 7 + min(right, 0) :] = 0
        assert np.abs(expected).max() > 0
        np.testing.assert_allclose(moved, expected, atol=1e-6)


def test_a_quarter_turn_is_numpys():
    x = images(3, channels=3)
    found = applied(x, (0.9, 1, 1, 1), (0, -1, 0, 0), (0, 0, 0, 0), rotate=90)
    for image, turned, quarters in zip(x, found, (1, -1, 0), strict=True):
        np.testing.assert_allclose(turned, np.rot90(image, quarters), atol=1e-5)


@pytest.mark.parametrize("factor", [0.6, 0.95, 1.3])
def test_scaling_is_scipys(factor):
    x = images(2, 8, 6)
    found = applied(x, *[(2 * (factor - 1), 1, 1, 1)] * 2, scale=0.5)
    for image, scaled in zip(x, found, strict=True):
        np.testing.assert_allclose(scaled, by_scipy(image, factor, 0, 0, 0), atol=1e-5)


@pytest.mark.parametrize(("height", "width", "channels"), [(9, 9, 1), (8, 11, 3)])
def test_all_three_jointly_are_scipys(height, width, channels):
    x = images(6, height, width, channels)
    drawn = np.random.default_rng(1).uniform(-1, 1, (6, 4))
    found = applied(x, *drawn, translate=3.5, rotate=70, scale=0.4)
    for image, u, transformed in zip(x, drawn, found, strict=True):
        expected = by_scipy(image, 1 + 0.4 * u[0], math.radians(70 * u[1]), 3.5 * u[2], 3.5 * u[3])
        np.testing.assert_allclose(transformed, expected, atol=2e-5)


def test_gradients_reach_the_image():
    x = tf.constant(images())
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(RandomAffine()(x, draws=Draws(0, 1, "training")))
    assert tf.reduce_min(tape.gradient(y, x)[:, 3, 3]) > 0.5


# ── How it is drawn ──────────────────────────────────────────────────────────────────────────────────────────────

RANGES = {"factor": (0.75, 1.25), "angle": (-math.radians(40), math.radians(40)), "down": (-2, 2), "right": (-2, 2)}


def measured(n=4000, step=0, seed=0, **arguments):
    """What the layer did to each of n images, read off two ramps: the middle pixels say where they came from."""
    ramps = np.stack(np.meshgrid(*[np.arange(11.0) - 5] * 2, indexing="ij"), axis=-1)
    x = tf.constant(np.broadcast_to(ramps, (n, 11, 11, 2)), tf.float32)
    y = RandomAffine(**arguments)(x, draws=Draws(seed, step, "training")).numpy()
    source = y[:, 5, 5]
    back = np.stack([y[:, 6, 5] - source, y[:, 5, 6] - source], axis=-1)
    shift = -np.linalg.solve(back, source[..., None])[..., 0]
    factor = 1 / np.sqrt(np.linalg.det(back))
    return {
        "factor": factor,
        "angle": np.arctan2(back[:, 0, 1], back[:, 0, 0]),
        "down": shift[:, 0],
        "right": shift[:, 1],
    }


def test_draws_are_uniform_in_their_bounds_and_independent():
    found = measured(translate=2, rotate=40, scale=0.25)
    for name, (low, high) in RANGES.items():
        assert low - 1e-4 <= found[name].min() and found[name].max() <= high + 1e-4, name
        assert stats.kstest(found[name], stats.uniform(low, high - low).cdf).pvalue > 0.01, name
    correlations = np.corrcoef(list(found.values())) - np.eye(4)
    assert np.abs(correlations).max() < 0.06


@pytest.mark.parametrize(("on", "moved"), [("translate", "down right"), ("rotate", "angle"), ("scale", "factor")])
def test_each_has_its_switch(on, moved):
    defaults = {"translate": 2.0, "rotate": 15.0, "scale": 0.1}
    found = measured(100, **{name: value if name == on else 0 for name, value in defaults.items()})
    for name, values in found.items():
        rest = 1.0 if name == "factor" else 0.0
        assert (np.abs(values - rest).max() > 0.05) == (name in moved.split()), name
        if name not in moved.split():
            np.testing.assert_allclose(values, rest, atol=1e-5)


def test_the_defaults_are_the_papers():
    found = measured()
    assert [round(float(np.abs(found[name]).max()), 1) for name in ("down", "right")] == [2.0, 2.0]
    assert math.degrees(np.abs(found["angle"]).max()) == pytest.approx(15, abs=0.1)
    assert [round(float(end), 2) for end in (found["factor"].min(), found["factor"].max())] == [0.9, 1.1]


def test_with_all_switches_off_the_image_stays_as_it_is():
    x = tf.constant(images())
    np.testing.assert_array_equal(RandomAffine(0, 0, 0)(x, draws=Draws(0, 0, "training")), x)


def test_the_draw_is_a_function_of_seed_step_and_stream():
    layer, x = RandomAffine(), tf.constant(images())
    streams = [(0, 0, "a"), (0, 0, "a"), (0, 0, "b"), (0, 1, "a"), (1, 0, "a")]
    first, *others = (apply_views([layer], x, Draws(seed, step, "training"), name) for seed, step, name in streams)
    assert [bool(np.array_equal(first, other)) for other in others] == [True, False, False, False]
    # Two in a row are not the same one twice.
    turns = [RandomAffine(0, 30, 0, name=name) for name in "ab"]
    twice = apply_views(turns, x, Draws(0, 0, "training"), "a")
    same = turns[0](x, draws=Draws(0, 0, "training"), stream="a/0")
    assert np.abs(twice - turns[0](same, draws=Draws(0, 0, "training"), stream="a/0")).max() > 0.01


def test_a_probability_leaves_some_images_alone():
    x = tf.constant(images(200))
    y = RandomAffine(probability=0.25)(x, draws=Draws(0, 0, "training"))
    assert np.mean(np.any(x != y, axis=(1, 2, 3))) == pytest.approx(0.25, abs=0.08)


# ── Where it runs ────────────────────────────────────────────────────────────────────────────────────────────────


def test_xla_compiles_it():
    x, rows = tf.constant(images()), np.random.default_rng(0).uniform(-1, 1, (3, 4))
    layer = RandomAffine()

    def transform(batch):
        return layer(batch, draws=Chosen(*rows))

    compiled = tf.function(transform, jit_compile=True)
    np.testing.assert_allclose(compiled(x), transform(x), atol=1e-5)
    drawn = tf.function(lambda batch: layer(batch, draws=Draws(0, 0, "training")), jit_compile=True)(x)
    assert drawn.shape == x.shape and np.abs(drawn - x).max() > 0.01


def test_batches_of_unknown_size_compile():
    signature = [tf.TensorSpec([None, 7, 7, 1])]
    transform = tf.function(lambda x: RandomAffine()(x, draws=Draws(0, 0, "training")), input_signature=signature)
    np.testing.assert_allclose(transform(images()), RandomAffine()(images(), draws=Draws(0, 0, "training")), atol=1e-6)


@pytest.mark.parametrize(("policy", "jit"), [("mixed_bfloat16", False), ("float32", True)])
@pytest.mark.slow
def test_models_train_with_it_under_every_policy(policy, jit):
    keras.mixed_precision.set_global_policy(policy)
    try:
        assert RandomAffine()(tf.constant(images()), draws=Draws(0, 0, "training")).dtype == tf.float32
        model = zoo.ConsistencyVAE(*build("mlp", (7, 7, 1), 2, depth=1, width=8), 2, seed=0)
        model.compile("sgd", jit_compile=jit)
        assert np.isfinite(list(model.fit(images(8), batch_size=4, verbose=0).history.values())).all()
    finally:
        keras.mixed_precision.set_global_policy("float32")


@pytest.mark.parametrize("arguments", [{}, {"translate": 1.5, "rotate": 7, "scale": 0.3, "probability": 0.4}])
def test_configurations_round_trip(arguments):
    layer = RandomAffine(**arguments)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(copy) is RandomAffine and copy.get_config() == layer.get_config()
    expected = {"translate": 2.0, "rotate": 15.0, "scale": 0.1, "probability": 1.0, **arguments}
    assert {name: copy.get_config()[name] for name in expected} == expected


# ── Mistakes ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ({"translate": -1}, ("translate", "greater than or equal to 0", "-1")),
        ({"rotate": -15}, ("rotate", "-15")),
        ({"scale": -0.1}, ("scale", "-0.1")),
        ({"scale": 1.0}, ("scale", "1.0", "below 1")),
        ({"probability": 1.5}, ("probability", "1.5")),
        ({"rotate": float("inf")}, ("rotate", "finite")),
    ],
)
def test_bad_hyperparameters(arguments, parts):
    with pytest.raises(ValueError) as error:
        RandomAffine(**arguments)
    assert "\n" not in str(error.value) and all(part in str(error.value) for part in parts)


@pytest.mark.parametrize("arguments", [{"translate": 7}, {"translate": 5, "transformations": [RandomAffine(7)]}])
def test_a_shift_out_of_the_image_is_refused(arguments):
    with pytest.raises(ValueError, match=r"translate: 7.0 pixels can leave nothing of images of 7×9×1; .*below 6.072"):
        zoo.ConsistencyVAE(*build("mlp", (7, 9, 1), 2, depth=0), 2, **arguments).compile("sgd")


@pytest.mark.parametrize(("rotate", "scale"), [(0, 0), (0, 0.5), (20, 0.3), (45, 0.0), (170, 0.2)])
def test_the_limit_is_where_nothing_remains(rotate, scale):
    size = 200
    lengths = np.linspace(size / 2, size, 101)

    def refused(length):
        try:
            RandomAffine(length, rotate, scale).check_size((size, size, 1))
        except ValueError:
            return True
        return False

    limit = min([length for length in lengths if refused(length)])
    turns = np.linspace(0, 1, 18)
    worst = [(-1, turn, 1, 1) for turn in turns]
    ones = np.ones((len(turns), size, size, 1), "float32")
    for length, left in ((limit + 2, False), (limit - 4, True)):
        found = applied(ones, *worst, translate=length, rotate=rotate, scale=scale).max(axis=(1, 2, 3))
        assert found.min() > 0 if left else found.min() == 0


def test_what_is_no_image_is_refused():
    encoder = keras.Sequential([keras.Input((10,)), keras.layers.Dense(4)])
    decoder = keras.Sequential([keras.Input((2,)), keras.layers.Dense(10)])
    with pytest.raises(ValueError, match="RandomAffine: takes images of height × width × channels, got 10"):
        zoo.ConsistencyVAE(encoder, decoder, 2, transformations=[RandomAffine()]).compile("sgd")
    # By default, features have transformations of their own.
    model = zoo.ConsistencyVAE(encoder, decoder, 2)
    model.compile("sgd")
    assert model.transformations and not any(isinstance(layer, RandomAffine) for layer in model.transformations)
    assert zoo.ConsistencyVAE(encoder, decoder, 2, transformations=[]).transformations == []
    with pytest.raises(ValueError, match=r"scale: 1\.5 can shrink"):
        zoo.ConsistencyVAE(*build("mlp", (7, 7, 1), 2, depth=0), 2, scale=1.5).compile("sgd")


@pytest.mark.parametrize("given", ["x", [3], RandomAffine()])
def test_transformations_must_be_a_list_of_layers(given):
    with pytest.raises(ValueError, match="transformations: must be a list of Keras layers"):
        zoo.ConsistencyVAE(*build("mlp", (7, 7, 1), 2, depth=0), 2, transformations=given)


def test_a_copy_of_less_than_two_pixels_is_refused():
    with pytest.raises(ValueError, match=r"scale: 0\.95 can shrink images of 28×28×1 to less than two pixels"):
        RandomAffine(0, 0, 0.95).check_size((28, 28, 1))
    RandomAffine(0, 0, 0.9).check_size((28, 28, 1))
