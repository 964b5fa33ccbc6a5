"""The catalogue, the embedded digits, pixels, sizes and binarisation: exact where there is something exact."""

import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from zoo.data import CATALOGUE, Examples, load, read, source
from zoo.data.pixels import as_pixels, binarize_once, check_pixels, to_unit_interval
from zoo.data.resizing import centre_crop, fit, resize, with_channels


def one_line(caught):
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.slow
def test_the_catalogue_imports_nothing_heavy():
    code = (
        "import sys; sys.argv = ['zoo']; import zoo.data.catalogue, zoo.data\n"
        "heavy = {'numpy', 'tensorflow', 'tensorflow_datasets', 'sklearn', 'PIL'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[1], check=True)


def test_names_are_found_and_misspelt_ones_corrected():
    assert source("omniglot") is CATALOGUE["omniglot"]
    assert source("emnist/balanced") is CATALOGUE["emnist"]
    for name, entry in CATALOGUE.items():
        assert entry.name == name
        assert list(entry.splits) == ["train", "validation", "test"]
        assert entry.default_label is None or entry.default_label in entry.labels
    with pytest.raises(ValueError, match="unknown data set 'mnits'; did you mean 'mnist'") as caught:
        source("mnits")
    assert all(name in one_line(caught) for name in CATALOGUE)
    with pytest.raises(ValueError, match="unknown data set"):
        load("mnits", "train")


def test_digits_have_three_fixed_splits():
    splits = {name: load("digits", name) for name in ("train", "validation", "test")}
    assert {name: len(each.images) for name, each in splits.items()} == {"train": 1197, "validation": 300, "test": 300}
    for each in splits.values():
        assert each.images.shape[1:] == CATALOGUE["digits"].shape
        assert each.images.dtype == np.uint8
        assert each.labels.dtype == np.int64
        # A stratified split: every class within one example of its share of the whole.
        share = np.array([178, 182, 177, 183, 181, 182, 181, 179, 174, 180]) * len(each.labels) / 1797
        assert np.abs(np.bincount(each.labels) - share).max() <= 1
    # What every machine must get, to the bit.
    assert zlib.crc32(splits["train"].images.tobytes()) == 4224574460
    assert zlib.crc32(splits["test"].labels.tobytes()) == 1387021991


def test_digits_are_scikit_learns_each_once():
    from sklearn.datasets import load_digits

    raw = load_digits()
    expected = resize(np.rint(raw.images * 255 / 16).astype(np.uint8)[..., None], 28)
    found = load("digits", "all")
    rows = [np.lexsort(images.reshape(1797, -1).T) for images in (expected, found.images)]
    np.testing.assert_array_equal(found.images[rows[1]], expected[rows[0]])
    np.testing.assert_array_equal(found.labels[rows[1]], raw.target[rows[0]])


def test_digits_slices():
    train, test = load("digits", "train"), load("digits", "test")
    np.testing.assert_array_equal(load("digits", "train[50%:]").images, train.images[598:])
    both = load("digits", "test[:3] + train[-2:]")
    np.testing.assert_array_equal(both.labels, [*test.labels[:3], *train.labels[-2:]])
    load("digits", "test[:3]").images[:] = 0  # the reader's own copy
    assert load("digits", "test[:3]").images.any()
    np.testing.assert_array_equal(read("tfds:digits/test", (28, 28, 1)).images, test.images)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "tset"}, "digits has no split 'tset'; it has train, validation, test"),
        ({"split": "train[5:5]"}, "is empty"),
        ({"split": "train[:9999]"}, "reaches beyond the 1197 examples"),
        ({"split": "train[1:"}, "does not parse"),
        ({"size": 0}, "size must be a whole number of at least 1, got 0"),
        ({"size": 28.0}, "size must be a whole number"),
        ({"channels": 2}, "channels must be 1"),
        ({"binarize": "fixd"}, "unknown binarize 'fixd'; did you mean 'fixed'"),
        ({"labels": "lable"}, "no labels 'lable': did you mean 'label'"),
        ({"path": "x.npy"}, "takes no path"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message) as caught:
        load("digits", **({"split": "train"} | options))
    one_line(caught)


def test_fixed_binarisation_is_the_same_every_time():
    gray = load("digits", "test", binarize="dynamic")
    np.testing.assert_array_equal(gray.images, load("digits", "test").images)
    fixed = load("digits", "test", binarize="fixed", seed=3)
    assert set(np.unique(fixed.images)) == {0, 255}
    np.testing.assert_array_equal(fixed.images, load("digits", "test", binarize="fixed", seed=3).images)
    assert (fixed.images != load("digits", "test", binarize="fixed", seed=4).images).any()
    np.testing.assert_array_equal(fixed.labels, gray.labels)


@pytest.mark.parametrize("floats", [False, True])
def test_fixed_binarisation_has_the_right_mean(floats):
    levels = np.arange(256, dtype=np.uint8)
    images = np.broadcast_to(levels[:, None, None, None], (256, 60, 60, 1))
    given = images.astype(np.float32) / 255 if floats else images
    binary = binarize_once(given, seed=-1, split="train")
    assert binary.dtype == np.uint8
    means = binary.mean(axis=(1, 2, 3)) / 255
    assert means[0] == 0
    assert means[255] == 1
    assert means[254] < 1
    np.testing.assert_allclose(means, levels / 255, atol=5 * 0.5 / 60)
    # Two splits do not share their noise, nor do two images.
    assert (binary[128] != binarize_once(given, seed=-1, split="test")[128]).mean() > 0.4
    assert (binary[128] != binary[127]).mean() > 0.4


def test_binarisation_refuses_floats_beyond_one():
    with pytest.raises(ValueError, match=r"\[0, 2\]"):
        binarize_once(np.array([0.0, 2.0]).reshape(1, 1, 2, 1), seed=0, split="train")


GOOD = np.zeros((5000, 2, 3, 1), np.float32)


def changed(index, value):
    images = GOOD.copy()
    images[index] = value
    return images


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((4, 28, 28)), r"rank 4, .* got shape \(4, 28, 28\); add a channel axis"),
        (np.zeros((28, 28)), r"got shape \(28, 28\)$"),
        (np.zeros((0, 28, 28, 1)), "no images"),
        (changed((4500, 1, 2, 0), np.nan), r"1 pixels are NaN or infinite, the first at index \(4500, 1, 2, 0\)"),
        (changed((slice(4095, 4098), 0, 0, 0), -np.inf), r"3 pixels .* index \(4095, 0, 0, 0\)"),
        (changed((4999, 0, 0, 0), 1.5), r"found \[0, 1.5\]; use uint8, or divide by 255"),
        (changed((0, 0, 0, 0), -0.25), r"found \[-0.25, 0\]"),
        (np.full((2, 1, 1, 1), 256), r"0\.\.255, found 256\.\.256"),
        (np.full((2, 1, 1, 1), -1), "found -1"),
        (np.zeros((2, 1, 1, 1), complex), "complex128 are not supported"),
        (np.full((2, 1, 1, 1), "a"), "not supported"),
    ],
)
def test_pixels_that_are_refused(images, message):
    with pytest.raises(ValueError, match=message) as caught:
        check_pixels(images, where="x.npy", unit_interval=True)
    assert one_line(caught).startswith("x.npy: ")


def test_pixels_that_are_accepted():
    for images in (GOOD, GOOD.astype(np.uint8), GOOD.astype(bool), GOOD.astype(np.int64), GOOD.astype(np.float64)):
        check_pixels(images, where="x", unit_interval=True)
    check_pixels(GOOD * 7 - 3, where="x", unit_interval=False)


def test_arrays_become_pixels():
    ints = as_pixels(np.array([[[0, 255], [3, 7]]], np.int64), where="x")
    assert (ints.dtype, ints.shape) == (np.uint8, (1, 2, 2, 1))
    assert ints.ravel().tolist() == [0, 255, 3, 7]
    assert as_pixels(np.array([[[True, False]]]), where="x").ravel().tolist() == [255, 0]
    floats = as_pixels(np.full((1, 2, 2, 1), 0.1), where="x")
    assert floats.dtype == np.float32
    with pytest.raises(ValueError, match="as float32: 1 pixels are NaN or infinite"):
        as_pixels(np.full((1, 1, 1, 1), 1e300), where="x")
    with pytest.warns(UserWarning, match="all 0 or 1"):
        assert as_pixels(np.ones((1, 1, 1, 1), np.uint8), where="x").max() == 1


def test_the_step_scales_integers_and_leaves_floats():
    tf = pytest.importorskip("tensorflow")
    for given, expected in (
        (np.array([0, 51, 255], np.uint8), [0, 0.2, 1]),
        (np.array([0, 51, 255], np.int32), [0, 0.2, 1]),
        (np.array([False, True]), [0, 1]),
        (np.array([0.25, -3.0]), [0.25, -3.0]),
    ):
        scaled = tf.function(to_unit_interval)(tf.constant(given))
        assert scaled.dtype == tf.float32
        np.testing.assert_allclose(scaled, expected, rtol=1e-6)


def test_crop_resize_and_channels():
    rows, columns = np.mgrid[:7, :5].astype(np.uint8)
    images = np.stack([rows, columns, rows + columns], -1)[None]
    np.testing.assert_array_equal(centre_crop(images, 3), images[:, 2:5, 1:4])
    np.testing.assert_array_equal(fit(images, 5), images[:, 1:6])
    assert fit(images, None) is images
    for dtype, high in ((np.uint8, 255), (np.float32, 1.0)):
        for channels in (1, 2, 3):
            halves = np.zeros((2, 8, 8, channels), dtype)
            halves[1, :, 4:] = high
            for size in (2, 16):  # a half stays a half, and images do not mix
                resized = resize(halves, size)
                assert (resized.shape, resized.dtype) == ((2, size, size, channels), dtype)
                assert not resized[0].any()
                # A pixel averages over its neighbours' halves a little, too.
                assert resized[1].min() <= 0.06 * high
                assert 0.94 * high <= resized[1].max() <= high
                np.testing.assert_allclose(resized[1].mean(), high / 2, rtol=1e-2)
    gray = with_channels(images, 1, where="x")
    np.testing.assert_allclose(gray[0, ..., 0], 0.299 * rows + 0.587 * columns + 0.114 * (rows + columns), atol=0.5)
    np.testing.assert_array_equal(with_channels(gray, 3, where="x"), np.concatenate([gray] * 3, -1))
    assert with_channels(images / np.float32(255), 1, where="x").dtype == np.float32
    with pytest.raises(ValueError, match="x: images of 4 channels cannot become images of 1"):
        with_channels(np.zeros((1, 2, 2, 4), np.uint8), 1, where="x")


def test_size_and_channels_of_an_embedded_data_set():
    assert load("digits", "test", size=32, channels=3).images.shape == (300, 32, 32, 3)


def test_examples_that_are_added_must_be_alike():
    parts = [Examples(np.zeros((2, 4, 4, 1), np.uint8), None), Examples(np.zeros((2, 5, 5, 1), np.uint8), None)]
    with pytest.raises(ValueError, match="x: splits that are added must be alike") as caught:
        Examples.concatenate(parts, "x")
    one_line(caught)
