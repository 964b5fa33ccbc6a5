"""The user's own files: arrays and folders of pictures, written by the tests."""

import re

import numpy as np
import pytest
from PIL import Image

from zoo.data import load, read

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 6, 6, 1), dtype=np.uint8)
LABELS = np.arange(40)


@pytest.fixture
def npz(tmp_path):
    path = tmp_path / "own.npz"
    np.savez(path, images=IMAGES, labels=LABELS.astype(np.uint8))
    return path


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def error(path, split="all", **options):
    with pytest.raises(ValueError) as caught:
        load("files", split, path=path, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_all_is_permuted_once_and_then_sliced(npz):
    defaults = ("all[:80%]", "all[80%:90%]", "all[90%:]")
    parts = [load("files", split, path=npz) for split in defaults]
    assert [len(part.images) for part in parts] == [32, 4, 4]
    found = np.concatenate([part.labels for part in parts])
    assert sorted(found) == list(range(40))
    assert not np.array_equal(found, np.arange(40))
    np.testing.assert_array_equal(np.concatenate([part.images for part in parts]), IMAGES[found])
    np.testing.assert_array_equal(load("files", "all", path=npz).labels, found)
    assert parts[0].labels.dtype == np.int64


@pytest.mark.parametrize(
    ("arrays", "split", "labels"),
    [
        ({"x_train": IMAGES, "y_train": LABELS[:, None], "x_test": IMAGES[:3], "y_test": LABELS[:3]}, "train", True),
        ({"train_images": IMAGES, "train_labels": LABELS, "test_images": IMAGES[:3]}, "train", True),
        ({"x_train": IMAGES, "y_other": LABELS}, "train", False),
    ],
)
def test_named_splits_keep_their_order(tmp_path, arrays, split, labels):
    path = tmp_path / "own.npz"
    np.savez(path, **arrays)
    examples = load("files", f"{split}[10:]", path=path)
    np.testing.assert_array_equal(examples.images, IMAGES[10:])
    assert (examples.labels is not None) == labels
    if labels:
        np.testing.assert_array_equal(examples.labels, LABELS[10:])
    assert f"has no split 'all'; it has {split}" in error(path, "all[:80%]")


def test_kinds_of_pixels(tmp_path):
    path = tmp_path / "own.npy"
    np.save(path, IMAGES[..., 0].astype(np.int64))
    examples = load("files", "all", path=str(path))
    assert (examples.images.shape, examples.images.dtype) == (IMAGES.shape, np.uint8)
    assert examples.labels is None
    np.testing.assert_array_equal(read(str(path)).images, IMAGES)
    np.save(path, IMAGES / 255)
    assert load("files", "all", path=path).images.dtype == np.float32
    assert load("files", "all", path=path, size=3, channels=3).images.shape == (40, 3, 3, 3)
    fixed = load("files", "all", path=path, binarize="fixed")
    assert set(np.unique(fixed.images)) == {0, 255}
    np.save(path, IMAGES / 200)
    assert f"{path}: float pixels must lie in [0, 1]" in error(path, binarize="fixed")
    np.save(path, IMAGES.astype(int) * 2)
    assert "must lie in 0..255" in error(path)
    np.save(path, np.full((3, 6, 6, 1), np.nan))
    assert "108 pixels are NaN or infinite, the first at index (0, 0, 0, 0)" in error(path)


def test_arrays_that_are_refused(tmp_path):
    path = tmp_path / "own.npz"
    np.savez(path, codes=IMAGES, weights=LABELS)
    assert "it has codes, weights, and should have `images`" in error(path)
    np.savez(path, images=IMAGES, labels=LABELS[:7])
    assert "labels must hold one integer for each of the 40 images, got int64 of shape (7,)" in error(path)
    np.savez(path, images=IMAGES, labels=np.eye(40))
    assert "got float64 of shape (40, 40)" in error(path)
    np.savez(path, images=np.array([None]))
    assert "'images' cannot be read" in error(path)
    path.write_bytes(path.read_bytes()[:90])
    assert "cannot be read as NumPy data" in error(path)
    np.save(tmp_path / "flat.npy", IMAGES.reshape(40, -1))
    assert "got shape (40, 36)" in error(tmp_path / "flat.npy")
    np.save(tmp_path / "empty.npy", IMAGES[:0])
    assert "no images" in error(tmp_path / "empty.npy")
    (tmp_path / "zero.npy").touch()
    assert "cannot be read as NumPy data" in error(tmp_path / "zero.npy")
    assert "does not exist" in error(tmp_path / "missing.npz")
    (tmp_path / "images.txt").touch()
    assert "neither a .npy, .npz or .csv file" in error(tmp_path / "images.txt")
    assert "needs a path" in error(None)


def test_class_folders(tmp_path):
    for label, name in enumerate(("apes", "bees", "cats")):
        for index in range(4):
            save(tmp_path / name / f"{index}.png", np.full((5, 5), 10 * label + index, np.uint8))
    save(tmp_path / ".cache" / "thumbnail.png", np.zeros((2, 2), np.uint8))
    (tmp_path / "bees" / "._0.png").write_text("what some systems leave beside a file")
    (tmp_path / "apes" / "notes.txt").touch()
    examples = load("files", "all", path=tmp_path)
    assert examples.images.shape == (12, 5, 5, 1)
    np.testing.assert_array_equal(examples.images[:, 2, 2, 0] // 10, examples.labels)
    assert sorted(examples.images[:, 0, 0, 0]) == [10 * label + index for label in range(3) for index in range(4)]
    assert len(set(load("files", "all[:6]", path=tmp_path).labels)) == 3
    in_order = read(str(tmp_path), (5, 5, 1))
    assert in_order.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4


def test_split_folders_share_the_numbers_of_their_classes(tmp_path):
    for split, names in (("train", "abc"), ("test", "bc"), ("extra", "c")):
        for name in names:
            save(tmp_path / split / name / "0.png", np.zeros((4, 4), np.uint8))
    assert load("files", "train", path=tmp_path).labels.tolist() == [0, 1, 2]
    assert load("files", "test+extra", path=tmp_path).labels.tolist() == [1, 2, 2]
    assert "has no split 'validation'; it has extra, test, train" in error(tmp_path, "validation")
    with pytest.raises(ValueError, match="several splits, extra, test, train: name one"):
        read(str(tmp_path))
    assert read(str(tmp_path / "test")).labels.tolist() == [0, 1]


def test_pictures_are_cropped_resized_and_converted(tmp_path):
    rows, columns = np.mgrid[:8, :12].astype(np.uint8) * 10
    save(tmp_path / "a.png", np.stack([rows, columns, rows], -1))
    save(tmp_path / "b.bmp", np.zeros((8, 12, 3), np.uint8))
    kept = read(str(tmp_path))
    assert kept.images.shape == (2, 8, 12, 3)
    assert kept.labels is None
    cropped = load("files", "all", path=tmp_path, size=8)
    np.testing.assert_array_equal(
        cropped.images[cropped.images.any((1, 2, 3))][0], np.stack([rows, columns, rows], -1)[:, 2:10]
    )
    assert read(str(tmp_path), (4, 4, 1)).images.shape == (2, 4, 4, 1)
    # A palette and an alpha channel are how a picture is stored, not what it shows.
    Image.fromarray(np.stack([rows, columns, rows], -1)).quantize(4).save(tmp_path / "c.png")
    save(tmp_path / "d.png", np.zeros((8, 12, 4), np.uint8))
    assert read(str(tmp_path)).images.shape == (4, 8, 12, 3)
    # A camera that was held upright says so.
    turned = Image.fromarray(np.stack([rows, columns, rows], -1))
    turned.getexif()[0x0112] = 6
    turned.save(tmp_path / "e.png", exif=turned.getexif())
    assert "e.png is 12x8x3 but" in error(tmp_path)
    assert "give `size`" in error(tmp_path)


def test_pictures_that_are_refused(tmp_path):
    assert "holds no pictures" in error(tmp_path)
    save(tmp_path / "a.png", np.zeros((8, 8), np.uint8))
    save(tmp_path / "b.png", np.zeros((8, 8, 3), np.uint8))
    assert "give `channels`" in error(tmp_path)
    assert {"a.png is 4x4x1 but", "b.png is 4x4x3 but"} & set(re.findall(r"\w.png is \w+ but", error(tmp_path, size=4)))
    assert load("files", "all", path=tmp_path, channels=3).images.shape == (2, 8, 8, 3)
    save(tmp_path / "b.png", IMAGES[:, :, 0, 0])
    (tmp_path / "b.png").write_bytes((tmp_path / "b.png").read_bytes()[:150])
    assert "1 of 2 pictures cannot be read: b.png (" in error(tmp_path)
    (tmp_path / "b.png").write_text("not a picture")
    assert "1 of 2 pictures cannot be read: b.png (no picture); mend or remove" in error(tmp_path)
    save(tmp_path / "b.png", np.zeros((8, 8), np.uint16))
    assert "only 8 bits a channel" in error(tmp_path)
    save(tmp_path / "class" / "c.png", np.zeros((8, 8), np.uint8))
    assert "holds pictures (a.png) beside folders of pictures (class)" in error(tmp_path)


def test_read_arrays_for_an_encoder(tmp_path, npz):
    np.testing.assert_array_equal(read(str(npz), (6, 6, 1)).labels, LABELS)
    with pytest.raises(ValueError, match="holds images of 6x6x1, but 28x28x1"):
        read(str(npz), (28, 28, 1))
    several = tmp_path / "several.npz"
    np.savez(several, x_train=IMAGES, x_test=IMAGES[:3])
    np.testing.assert_array_equal(read(f"{several}:test").images, IMAGES[:3])
    with pytest.raises(ValueError, match=r"several splits, train, test: write .*several.npz:train"):
        read(str(several))
    with pytest.raises(ValueError, match="no split 'tset'; it has train, test"):
        read(f"{several}:tset")
    for missing in ("missing", "missing.npz:test", "missing.npy"):
        with pytest.raises(ValueError, match="does not exist"):
            read(missing)
