"""Random views against what they promise: ranges, means, and draws that follow seed, step and stream."""

import colorsys

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo.augmentation.images import (
    LUMA,
    ColorJitter,
    RandomFlip,
    RandomGrayscale,
    RandomResizedCrop,
    contrastive_views,
)
from zoo.augmentation.view import apply_views
from zoo.randomness import Draws

ALL = [RandomResizedCrop, RandomFlip, ColorJitter, RandomGrayscale]


def view(layer, x, step=0, seed=0, stream="view", phase="training"):
    return layer(tf.constant(x, tf.float32), draws=Draws(seed, step, phase), stream=stream).numpy()


def images(n=500, channels=1, size=6):
    return np.random.default_rng(0).random((n, size, size, channels)).astype("float32")


def ramps(n, size=9):
    """Images whose two channels are the relative height and width of a pixel."""
    line = np.linspace(0, 1, size, dtype="float32")
    return np.broadcast_to(np.stack(np.meshgrid(line, line, indexing="ij"), -1), (n, size, size, 2))


def test_a_crop_of_a_constant_image_is_constant():
    x = np.broadcast_to(np.linspace(0, 1, 50, dtype="float32")[:, None, None, None], (50, 7, 5, 3))
    np.testing.assert_allclose(view(RandomResizedCrop(0.01), x), x, atol=1e-6)


def test_a_crop_of_everything_is_the_image():
    x = images(20, channels=3)
    np.testing.assert_allclose(view(RandomResizedCrop(smallest=1.0, aspect=1.0), x), x, atol=1e-6)


def test_crops_have_the_area_the_aspect_and_the_place_asked_for():
    y = view(RandomResizedCrop(smallest=0.1, largest=0.5, aspect=1.5), ramps(4000))
    # On a ramp, the slope around the middle is the crop's side and the middle's value its centre.
    heights, widths = 4 * (y[:, 5, 4, 0] - y[:, 3, 4, 0]), 4 * (y[:, 4, 5, 1] - y[:, 4, 3, 1])
    areas, aspects = heights * widths, np.log(widths / heights)
    assert 0.0999 < areas.min() < 0.11
    assert 0.49 < areas.max() < 0.5001
    assert areas.mean() == pytest.approx(0.3, abs=0.01)
    assert -np.log(1.5) - 1e-4 < aspects.min() < -0.38
    assert 0.38 < aspects.max() < np.log(1.5) + 1e-4
    assert aspects.mean() == pytest.approx(0, abs=0.02)
    assert abs(np.corrcoef(areas, aspects)[0, 1]) < 0.06
    for centre, length in ((y[:, 4, 4, 0], heights), (y[:, 4, 4, 1], widths)):
        # Of the places where the crop fits, from 0 to 1; values 0 and 1 are the centres of the outermost pixels.
        place = ((8 * centre + 0.5) / 9 - length / 2) / (1 - length)
        assert -1e-4 < place.min() < 0.01
        assert 0.99 < place.max() < 1.0001
        assert place.mean() == pytest.approx(0.5, abs=0.02)
        assert place.std() == pytest.approx(12**-0.5, abs=0.02)
        assert abs(np.corrcoef(place, areas)[0, 1]) < 0.06


def drawn_anew(draws, sides, places, smallest, aspect):
    """What torchvision's RandomResizedCrop does with these numbers, one image after the other, before it rounds."""
    height, width = draws
    for (area, ratio), place in zip(sides, places, strict=True):
        for u, v in zip(area, ratio, strict=True):
            a, r = height * width * (smallest + (1 - smallest) * u), np.exp((2 * v - 1) * np.log(aspect))
            h, w = np.sqrt(a / r), np.sqrt(a * r)
            if h <= height and w <= width:
                yield (height - h) * place[0], (width - w) * place[1], h, w
                break
        else:
            h, w = height, width
            if width / height < 1 / aspect:
                h = width * aspect
            elif width / height > aspect:
                w = height * aspect
            yield (height - h) / 2, (width - w) / 2, h, w


@pytest.mark.parametrize("shape", [(6, 6), (4, 7), (7, 4)])
@pytest.mark.parametrize(("smallest", "aspect"), [(0.08, 4 / 3), (0.9, 1.2), (0.999, 3.0)])
def test_crops_that_do_not_fit_are_drawn_anew(shape, smallest, aspect):
    crop, draws = RandomResizedCrop(smallest, aspect=aspect), Draws(0, 0, "training")
    found = np.stack(crop.rectangles(tf.zeros([400, *shape, 1]), draws, "crop"), axis=1)
    numbers = np.moveaxis(draws.uniform("crop/sides", [400, 10, 2]).numpy(), 2, 1)
    places = draws.uniform("crop/place", [400, 2]).numpy()
    expected = np.array(list(drawn_anew(shape, numbers, places, smallest, aspect))) / np.tile(shape, 2)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_crops_are_distributed_as_those_that_fit():
    # A crop of the area a and the ratio exp(±t) fits where a ≤ exp(−t): integrals over a in [s, 1] and t in [0, L].
    s, limit, n = 0.5, np.log(1.5), 200_000
    fits = ((1 - np.exp(-limit)) / limit - s) / (1 - s)
    mean = ((1 - np.exp(-2 * limit)) / (2 * limit) - s**2) / (2 * (1 - s)) / fits
    crop = RandomResizedCrop(s, aspect=1.5)
    _, _, height, width = crop.rectangles(tf.zeros([n, 6, 6, 1]), Draws(0, 0, "training"), "crop")
    areas = (height * width).numpy()
    assert areas.mean() == pytest.approx(mean, abs=5 * float(areas.std()) / n**0.5)
    # Where few fit, most of ten draws do not either, and the crop is the whole image.
    s, limit = 0.9, np.log(3)
    fits = (1 - s + s * np.log(s)) / (1 - s) / limit
    crop = RandomResizedCrop(s, aspect=3.0)
    _, _, height, width = crop.rectangles(tf.zeros([n, 6, 6, 1]), Draws(0, 0, "training"), "crop")
    whole = np.mean((height == 1) & (width == 1))
    assert whole == pytest.approx((1 - fits) ** 10, abs=5 * 0.5 / n**0.5)


def test_crops_interpolate_between_pixel_centres():
    """Twice the size around the centre: a quarter and three quarters of the way between neighbours."""

    class Middle(Draws):
        def uniform(self, stream, shape, low=0.0, high=1.0):
            return tf.fill(shape, 0.5)

    x = images(3, size=4)
    crop = RandomResizedCrop(smallest=0.25, largest=0.25, aspect=1.0)
    y = crop(tf.constant(x), draws=Middle(0, 0, "training")).numpy()
    weights = np.array([[0.25, 0.75, 0, 0], [0, 0.75, 0.25, 0], [0, 0.25, 0.75, 0], [0, 0, 0.75, 0.25]])
    np.testing.assert_allclose(y, np.einsum("ij,njkc,lk->nilc", weights, x, weights), atol=1e-6)


def test_flips():
    x = images(2000)
    np.testing.assert_array_equal(view(RandomFlip(1.0), x), x[:, :, ::-1])
    y = view(RandomFlip(0.3), x)
    flipped = (y == x[:, :, ::-1]).all((1, 2, 3))
    np.testing.assert_array_equal(y[~flipped], x[~flipped])
    assert flipped.mean() == pytest.approx(0.3, abs=0.04)


def test_brightness():
    y = view(ColorJitter(0.4, 0, 0, 0, probability=1.0), np.full((4000, 2, 2, 1), 0.5))
    factors = y[:, 0, 0, 0] / 0.5
    assert 0.599 < factors.min() < 0.61
    assert 1.39 < factors.max() < 1.401
    assert factors.mean() == pytest.approx(1, abs=0.01)
    assert (y == y[:, :1, :1]).all()
    assert view(ColorJitter(0.4, 0, 0, 0, probability=1.0), np.full((400, 2, 2, 1), 0.9)).max() == 1


def test_contrast():
    x = 0.5 + 0.2 * (images(4000) - 0.5)
    y = view(ColorJitter(0, 0.4, 0, 0, probability=1.0), x)
    means = x.mean((1, 2, 3), keepdims=True)
    factors = (y - means)[:, 0, 0, 0] / (x - means)[:, 0, 0, 0]
    np.testing.assert_allclose(y, means + factors[:, None, None, None] * (x - means), atol=1e-4)
    assert 0.59 < factors.min() < 0.61
    assert 1.39 < factors.max() < 1.41


def test_saturation_and_hue():
    x = 0.25 + 0.5 * images(300, channels=3)
    y = view(ColorJitter(0, 0, 0.4, 0, probability=1.0), x)
    grey = (x @ np.array(LUMA, "float32"))[..., None]
    factors = (y - grey)[:, 0, 0, 0] / (x - grey)[:, 0, 0, 0]
    np.testing.assert_allclose(y, grey + factors[:, None, None, None] * (x - grey), atol=1e-4)
    assert 0.59 < factors.min() < factors.max() < 1.41
    turned = view(ColorJitter(0, 0, 0, 0.1, probability=1.0), x)[:, 0, 0]
    shifts = []
    for before, after in zip(x[:, 0, 0], turned, strict=True):
        (h0, s0, v0), (h1, s1, v1) = colorsys.rgb_to_hsv(*before), colorsys.rgb_to_hsv(*after)
        assert (s0, v0) == pytest.approx((s1, v1), abs=1e-4)
        shifts.append((h1 - h0 + 0.5) % 1 - 0.5)
    assert -0.1001 < min(shifts) < -0.09
    assert 0.09 < max(shifts) < 0.1001


def test_jitter_without_strength_and_of_grey_images():
    x = images(50, channels=3)
    np.testing.assert_allclose(view(ColorJitter(0, 0, 0, 0, probability=1.0), x), x, atol=1e-5)
    x = images(50)
    np.testing.assert_allclose(view(ColorJitter(0, 0, 0.4, 0.1, probability=1.0), x), x, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_views_stay_in_the_unit_interval(channels):
    y = apply_views(contrastive_views(), tf.constant(images(400, channels)), Draws(0, 0, "training"), "view").numpy()
    assert y.shape == (400, 6, 6, channels)
    assert 0 <= y.min() < y.max() <= 1


def test_grayscale():
    x = images(2000, channels=3)
    y = view(RandomGrayscale(0.2), x)
    grey = (y[..., :1] == y).all((1, 2, 3))
    np.testing.assert_allclose(y[grey], np.repeat((x[grey] @ np.array(LUMA))[..., None], 3, -1), atol=1e-6)
    np.testing.assert_array_equal(y[~grey], x[~grey])
    assert grey.mean() == pytest.approx(0.2, abs=0.04)
    one = images(50)
    np.testing.assert_array_equal(view(RandomGrayscale(1.0), one), one)


@pytest.mark.parametrize("cls", ALL)
def test_draws_follow_seed_step_stream_and_phase(cls):
    x, layer = images(40, channels=3), cls()
    first = view(layer, x, step=3)
    np.testing.assert_array_equal(view(layer, x, step=3), first)
    in_graph = tf.function(lambda step: layer(tf.constant(x), draws=Draws(0, step, "training")))
    np.testing.assert_allclose(in_graph(tf.constant(3)), first, atol=1e-6)
    for other in ({"step": 4}, {"seed": 1}, {"stream": "key"}, {"phase": "evaluation"}):
        assert (view(layer, x, **{"step": 3, **other}) != first).any((1, 2, 3)).sum() > 3, other


def test_two_layers_of_a_kind_draw_apart():
    x = images(1000)
    y = apply_views([RandomFlip(), RandomFlip()], tf.constant(x), Draws(0, 0, "training"), "view").numpy()
    assert (y != x).any((1, 2, 3)).mean() == pytest.approx(0.5, abs=0.06)


def test_lists_of_views():
    x = tf.constant(images(30))
    draws = Draws(0, 0, "training")
    np.testing.assert_array_equal(apply_views([], x, draws, "view"), x)
    np.testing.assert_array_equal(apply_views([RandomFlip(0.0), RandomGrayscale(1.0)], x, draws, "view"), x)
    moved = apply_views([keras.layers.RandomTranslation(0.3, 0.3, seed=0), RandomFlip(1.0)], x, draws, "view")
    assert moved.shape == x.shape
    assert np.abs(moved - x).max() > 0


@pytest.mark.parametrize(
    "layer",
    [
        RandomResizedCrop(0.2, 0.9, 1.2, probability=0.7),
        RandomFlip(0.4),
        ColorJitter(0.1, 0.2, 0.3, 0.05, probability=0.9),
        RandomGrayscale(0.3),
    ],
)
def test_configurations_round_trip(layer):
    x = images(30, channels=3)
    copies = [type(layer).from_config(layer.get_config())]
    copies.append(keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer)))
    for copy in copies:
        assert copy.get_config() == layer.get_config()
        np.testing.assert_array_equal(view(copy, x), view(layer, x))


@pytest.mark.parametrize(
    ("cls", "arguments", "parts"),
    [
        (RandomResizedCrop, {"smallest": 0}, ("0 <",)),
        (RandomResizedCrop, {"smallest": 0.6, "largest": 0.5}, ("0.6", "0.5")),
        (RandomResizedCrop, {"largest": 1.5}, ("largest", "1.5")),
        (RandomResizedCrop, {"aspect": 0.5}, ("aspect", "0.5")),
        (RandomFlip, {"probability": 1.1}, ("probability", "1.1")),
        (ColorJitter, {"hue": -0.1}, ("hue", "-0.1")),
        (ColorJitter, {"contrast": float("nan")}, ("contrast",)),
        (RandomGrayscale, {"probability": -1}, ("probability",)),
    ],
)
def test_bad_values(cls, arguments, parts):
    with pytest.raises(ValueError) as error:
        cls(**arguments)
    for part in (cls.__name__, *parts):
        assert part in str(error.value)
    assert "\n" not in str(error.value)
