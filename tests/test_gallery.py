"""Walks through the latent space under a decoder that is known, and the gallery's page."""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from zoo.domains.pictures import as_uint8, grid
from zoo.models import METHODS
from zoo.models.codec import Codes
from zoo.report import figures
from zoo.report.gallery import walks

RNG = np.random.default_rng(0)
DOCS = Path(__file__).parents[1] / "docs"
TEST = RNG.integers(0, 256, (6, 2, 2, 3)).astype("uint8")


class Painter:
    """Encodes an image of 2×2 pixels in colour as its first three numbers, and paints unit k into pixel k, grey."""

    def __init__(self, variance=1.0):
        self.prior_variance = variance

    def posteriors(self, x):
        scale = np.tile(np.float32([1.0, 0.1, 0.5]), (len(x), 1))
        return Codes(x.reshape(len(x), -1)[:, :3].astype("float32") / 255, scale)

    def decode(self, z):
        brightness = np.concatenate([0.5 + z / 12, np.zeros_like(z[:, :1])], axis=1)
        images = np.repeat(brightness.reshape(-1, 2, 2, 1), 3, axis=-1).astype("float32")
        return SimpleNamespace(numpy=lambda: images)

    def reconstruct(self, x):
        return self.decode(self.posteriors(x).loc).numpy()


@pytest.fixture
def drawn(monkeypatch):
    """What a walk's figure is drawn from: (arguments, note), for models by label."""

    def call(walk, models, **options):
        def chosen(runs, split, images, seed, first=None):
            return SimpleNamespace(images=np.roll(TEST, -(first or 0), axis=0)[:images])

        taken = {}
        monkeypatch.setattr(walks, "chosen", chosen)
        monkeypatch.setattr(walks, "model_of", lambda run: run)
        monkeypatch.setattr(walks, "sample", lambda runs, split, count: f"n = {count}")
        monkeypatch.setattr(figures, walk.__name__, lambda *given: taken.update(given=given))
        monkeypatch.setattr(figures, "noted", lambda figure, text: text)
        note = walk(models, **options)
        return taken["given"], note

    return call


def test_a_row_changes_the_pixel_of_its_unit_alone(drawn):
    (found, sweep, labels, of), _ = drawn(walks.traversal, {"painter": Painter()}, example=2)
    images = found["painter"]
    loc = TEST[2].ravel()[:3] / 255
    np.testing.assert_array_equal(sweep, [-3, -2, -1, 0, 1, 2, 3])
    # Unit 1 has the narrowest posterior, and with it the highest rate.
    units = [int(label.partition(":")[0]) for label in labels["painter"]]
    assert (units[0], sorted(units), of) == (1, [0, 1, 2], "standard deviations of the prior")
    for row, unit in enumerate(units):
        pixels = images[row].reshape(7, 4, 3)
        np.testing.assert_allclose(pixels[:, unit], np.tile((0.5 + sweep / 12)[:, None], 3), rtol=1e-6)
        for other in {0, 1, 2} - {unit}:
            np.testing.assert_allclose(pixels[:, other], 0.5 + loc[other] / 12, rtol=1e-6)
    posteriors = Painter().posteriors(TEST)
    rates = (0.5 * (posteriors.loc**2 + posteriors.scale**2 - 1) - np.log(posteriors.scale)).mean(axis=0)
    assert labels["painter"] == [f"{unit}: {rates[unit]:.2f}" for unit in np.argsort(-rates)]


def test_a_unit_moves_in_standard_deviations_of_its_prior(drawn):
    models = {"wide": Painter(4.0), "several groups": Painter(None)}
    (found, sweep, _, of), note = drawn(walks.traversal, models, unit=2, images=2)
    for label, deviation in (("wide", 2.0), ("several groups", 1.0)):
        pixels = found[label].reshape(2, 7, 4, 3)[:, :, 2, 0]
        np.testing.assert_allclose(pixels, np.tile(0.5 + deviation * sweep / 12, (2, 1)), rtol=1e-6)
    assert of == "value of the unit" and "against N(0, I)" in note and "unit 2 from the means of 2 images" in note
    with pytest.raises(ValueError, match="unit: 3 given, the units of wide are 0 to 2"):
        drawn(walks.traversal, models, unit=3)


@pytest.mark.parametrize("path", walks.PATHS)
def test_walks_go_from_reconstruction_to_reconstruction(drawn, path):
    ((found,), note) = drawn(walks.interpolation, {"painter": Painter()}, images=3, path=path)
    rows = found["painter"]
    assert rows.shape == (3, 11, 2, 2, 3) and f"3 {path} walks" in note
    reconstructions = as_uint8(Painter().reconstruct(TEST))
    for place, expected in ((0, TEST[::2]), (1, reconstructions[::2]), (-2, reconstructions[1::2]), (-1, TEST[1::2])):
        np.testing.assert_array_equal(rows[:, place], expected)


def test_images_in_colour_are_drawn_in_colour():
    walk = np.stack([TEST] * 2)
    for figure in (
        figures.traversal({"a": walk, "b": walk}, np.arange(6), {label: ["0: 1.00", "1: 0.00"] for label in "ab"}),
        figures.interpolation({"a": walk, "b": walk}),
    ):
        for axis in figure.axes:
            np.testing.assert_array_equal(axis.images[0].get_array(), grid(walk.reshape(-1, 2, 2, 3), 6))
            assert axis.images[0].get_clim() == (0, 255)
    with pytest.raises(ValueError, match="images of 1 or 3 channels, these have 2"):
        figures.samples({"two": TEST[..., :2]})


def test_a_spherical_walk_is_an_arc():
    shares = np.linspace(0, 1, 5)
    found = walks.between(np.array([[3.0, 0.0]]), np.array([[0.0, 3.0]]), shares, "spherical")
    angles = shares * np.pi / 2
    np.testing.assert_allclose(found[0], 3 * np.stack([np.cos(angles), np.sin(angles)], axis=1), atol=1e-12)
    # In any dimension and from 60° too: equal angles between the steps, and no length lost.
    a = RNG.standard_normal(7)
    a /= np.linalg.norm(a)
    b = RNG.standard_normal(7)
    b -= (a @ b) * a
    b = 0.5 * a + np.sqrt(0.75) * b / np.linalg.norm(b)
    (steps,) = walks.between(a[None], b[None], shares, "spherical")
    np.testing.assert_allclose(np.linalg.norm(steps, axis=1), 1)
    np.testing.assert_allclose((steps[1:] * steps[:-1]).sum(axis=1), np.cos(np.pi / 12))


def test_where_there_is_no_arc_the_walk_is_straight():
    start = np.array([[1.0, 2.0], [0.0, 0.0], [1.0, 1.0]], np.float32)
    end = np.array([[2.0, 4.0], [1.0, 1.0], [-1.0, -1.0]], np.float32)
    spherical, linear = (walks.between(start, end, np.linspace(0, 1, 3), path) for path in ("spherical", "linear"))
    np.testing.assert_allclose(spherical, linear, atol=1e-6)
    np.testing.assert_allclose(linear[:, 1], (start + end) / 2)
    assert linear.dtype == np.float32


def test_the_page_has_every_method_and_its_pictures():
    text = (DOCS / "gallery.md").read_text(encoding="utf-8")
    for name, known in METHODS.items():
        assert re.search(rf"^\| `{name}` \| {re.escape(known.summary)} \| −\d", text, flags=re.M)
    pictures = re.findall(r"\]\((gallery/\w+\.png)\)", text)
    assert {*pictures} == {f"gallery/{path.name}" for path in (DOCS / "gallery").iterdir()}
    assert sum((DOCS / picture).stat().st_size for picture in pictures) < 1_500_000
