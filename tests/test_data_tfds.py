"""Data sets of TFDS: written by the tests in TFDS's own format, plus the real ones where there is a prepared copy."""

import os
from pathlib import Path

import numpy as np
import pytest

from zoo.data import load, read
from zoo.data.splits import parse, resolve

pytestmark = pytest.mark.slow

tf = pytest.importorskip("tensorflow")
tfds = pytest.importorskip("tensorflow_datasets")

REAL = os.environ.get("TFDS_DATA_DIR")


def prepare(directory, name, version, features, splits, per_shard=100):
    """Writes `splits`, lists of examples by name, as TFDS does when it prepares a data set."""
    folder = directory / name / version
    folder.mkdir(parents=True)
    dataset, *config = name.split("/")
    identity = tfds.core.dataset_info.DatasetIdentity(
        name=dataset,
        version=tfds.core.Version(version),
        data_dir=str(folder),
        module_name="",
        config_name=config[0] if config else None,
    )
    info = tfds.core.DatasetInfo(builder=identity, features=tfds.features.FeaturesDict(features))
    writer = tfds.core.SequentialWriter(info, per_shard)
    writer.initialize_splits(list(splits))
    writer.add_examples(splits)
    writer.close_all()


@pytest.fixture
def directory(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def offline(monkeypatch):
    """No test reaches for the network, and TFDS must not be asked to."""
    import requests

    def unreachable(*_args, **_kwargs):
        raise requests.ConnectionError

    monkeypatch.setattr(requests, "head", unreachable)
    monkeypatch.setattr(
        tfds.core.DatasetBuilder, "download_and_prepare", lambda self, **_: pytest.fail("tried to download")
    )


def gray(count, side=28, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 1), dtype=np.uint8)


IMAGE, LABEL = tfds.features.Image, tfds.features.ClassLabel


@pytest.fixture
def mnist(directory):
    images = gray(250)
    examples = [{"image": image, "label": index % 10} for index, image in enumerate(images)]
    features = {"image": IMAGE(shape=(28, 28, 1)), "label": LABEL(num_classes=10)}
    # Three shards: the order must be that of the files, one after the other.
    prepare(directory, "mnist", "3.0.1", features, {"train": examples, "test": examples[:20]})
    return images


def test_names_of_classes(directory):
    # TFDS knows them by itself.
    names = ["T-shirt/top", "Trouser", *"23456789"]
    examples = [{"image": image, "label": index % 2} for index, image in enumerate(gray(5))]
    features = {"image": IMAGE(shape=(28, 28, 1)), "label": LABEL(names=names)}
    prepare(directory, "fashion_mnist", "3.0.1", features, {"train": examples})
    found = load("fashion_mnist", "train")
    assert found.classes().tolist() == ["T-shirt/top", "Trouser", "T-shirt/top", "Trouser", "T-shirt/top"]


def test_order_slices_and_labels(mnist, monkeypatch):
    monkeypatch.setattr("zoo.data.tfds_source._BATCH", 64)  # several batches, the last one smaller
    examples = load("mnist", "train")
    np.testing.assert_array_equal(examples.images, mnist)
    assert examples.images.dtype == np.uint8
    np.testing.assert_array_equal(examples.labels, np.arange(250) % 10)
    np.testing.assert_array_equal(load("mnist", "train[:95]").images, mnist[:95])
    np.testing.assert_array_equal(load("mnist", "train[90%:]").images, mnist[225:])
    np.testing.assert_array_equal(load("mnist", "test+train[-3:]").images, np.concatenate([mnist[:20], mnist[-3:]]))


@pytest.mark.parametrize("split", ["a", "a[3:9]", "a[:-2]+b[10%:55%]", "b[33%:]", "b[-25%:]", "a[:1%]+b", "all"])
def test_split_strings_mean_what_tfds_says(split):
    sizes = {"a": 101, "b": 47}
    infos = {n: tfds.core.SplitInfo(name=n, shard_lengths=[s], num_bytes=0) for n, s in sizes.items()}
    instruction = tfds.core.ReadInstruction.from_spec(split)
    expected = [
        (part.splitname, part.from_ or 0, sizes[part.splitname] if part.to is None else part.to)
        for part in instruction.to_absolute(infos)
    ]
    found = resolve(split, sizes, "here")
    assert [(part.name, part.start, part.stop) for part in found] == expected
    assert [part.of for part in found] == [sizes[part.name] for part in found]


@pytest.mark.parametrize("split", ["a[", "a[1:2%]", "a[::2]", "a[x:]", "a[:200%]", "", "a++b", "a[5]", "a b"])
def test_split_strings_that_do_not_parse(split):
    with pytest.raises(ValueError, match="does not parse") as caught:
        parse(split)
    assert "\n" not in str(caught.value)


def test_emnist_is_turned_upright(directory):
    stored = gray(3)
    features = {"image": IMAGE(shape=(28, 28, 1)), "label": LABEL(num_classes=47)}
    examples = [{"image": image, "label": 46} for image in stored]
    # An older version than the installed TFDS would prepare is read as well.
    prepare(directory, "emnist/balanced", "3.0.0", features, {"train": examples})
    for name in ("emnist", "emnist/balanced"):
        upright = load(name, "train")
        assert upright.labels.tolist() == [46, 46, 46]
        for index in range(3):
            np.testing.assert_array_equal(upright.images[index, :, :, 0], stored[index, :, :, 0].T)


def test_binarized_mnist_is_brought_to_full_scale(directory):
    stored = (gray(4) > 127).astype(np.uint8)
    prepare(
        directory,
        "binarized_mnist",
        "1.0.0",
        {"image": IMAGE(shape=(28, 28, 1))},
        {"validation": [{"image": i} for i in stored]},
    )
    examples = load("binarized_mnist", "validation")
    np.testing.assert_array_equal(examples.images, stored * 255)
    assert examples.labels is None
    # Pixels that are certain are drawn as they are.
    fixed = load("binarized_mnist", "validation", binarize="fixed")
    np.testing.assert_array_equal(fixed.images, examples.images)


def test_omniglot_is_inverted_and_shrunk(directory):
    blank = np.full((105, 105, 3), 255, np.uint8)
    block, line = blank.copy(), blank.copy()
    block[15:45, 60:90] = 0
    line[:, 52] = 0
    features = {
        "image": IMAGE(shape=(105, 105, 3), encoding_format="png"),
        "label": LABEL(num_classes=1623),
        "alphabet": LABEL(num_classes=50),
    }
    pictures = [blank, block, line]
    examples = [{"image": p, "label": 1000 + n, "alphabet": n} for n, p in enumerate(pictures)]
    prepare(directory, "omniglot", "3.0.0", features, {"small1": examples[:2], "small2": examples[2:]})

    both = load("omniglot", "small1+small2")
    assert both.images.shape == (3, 28, 28, 1)
    assert both.labels.tolist() == [1000, 1001, 1002]
    assert not both.images[0].any()
    np.testing.assert_array_equal(both.images[1, 5:11, 17:23], 255)  # 15 / 3.75 = 4 .. 45 / 3.75 = 12
    assert not both.images[1, :3].any()
    assert not both.images[1, 13:].any()
    # A stroke one pixel wide grows faint, but it does not vanish, and most of its ink: 255 / 3.75 a row.
    np.testing.assert_allclose(both.images[2, :, :, 0].sum(axis=1), 255 / 3.75, rtol=0.2)
    assert load("omniglot", "small1", labels="alphabet").labels.tolist() == [0, 1]
    np.testing.assert_array_equal(load("omniglot", "small1", size=105).images[1], 255 - block[..., :1])

    with pytest.raises(ValueError, match=r"has no split 'train'; it has small1, small2; .*tfds build omniglot"):
        load("omniglot", "train")
    with pytest.raises(ValueError, match="no labels 'alfabet': did you mean 'alphabet'"):
        load("omniglot", "small1", labels="alfabet")


def test_celeb_a_is_cropped_in_the_middle(directory):
    rows, columns = np.mgrid[:218, :178].astype(np.uint8)
    picture = np.stack([rows, columns, np.zeros_like(rows)], -1)
    # Encoded without loss, so that each pixel says where it comes from.
    features = {
        "image": IMAGE(shape=(218, 178, 3), encoding_format="png"),
        "attributes": {"Male": np.bool_, "Smiling": np.bool_},
    }
    examples = [{"image": picture, "attributes": {"Male": False, "Smiling": True}}]
    prepare(directory, "celeb_a", "2.1.0", features, {"test": examples})
    whole = load("celeb_a", "test", size=140)
    np.testing.assert_array_equal(whole.images[0], picture[39:179, 19:159])
    assert whole.labels is None
    assert load("celeb_a", "test", labels="Smiling").labels.tolist() == [1]
    small = load("celeb_a", "test")
    assert small.images.shape == (1, 64, 64, 3)
    # The mean of a linear ramp survives averaging.
    np.testing.assert_allclose(small.images.mean((0, 1, 2)), [108.5, 88.5, 0], atol=0.6)
    assert load("celeb_a", "test", size=32, channels=1).images.shape == (1, 32, 32, 1)


def test_what_is_not_prepared_says_what_to_do(directory, offline):
    with pytest.raises(ValueError, match="fashion_mnist") as caught:
        load("fashion_mnist", "train")
    message = str(caught.value)
    assert "\n" not in message
    assert f"TFDS_DATA_DIR={directory}" in message
    assert f"tfds build fashion_mnist --data_dir {directory}" in message
    with pytest.raises(ValueError, match="tfds build emnist/balanced"):
        load("emnist", "train")
    assert not any(directory.iterdir())


def test_a_read_only_folder_is_left_alone(directory, monkeypatch):
    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", lambda self: pytest.fail("tried to write"))
    directory.chmod(0o555)
    try:
        with pytest.raises(ValueError, match="is read-only"):
            load("mnist", "train")
    finally:
        directory.chmod(0o755)


def test_splits_that_are_not_there(mnist):
    with pytest.raises(ValueError, match=r"mnist in .* has no split 'tset'; it has train, test$"):
        load("mnist", "tset")
    with pytest.raises(ValueError, match="reaches beyond the 250 examples"):
        load("mnist", "train[:55000]")
    with pytest.raises(ValueError, match="is empty"):
        load("mnist", "train[7:7]")


def test_read_from_the_catalogue(mnist):
    np.testing.assert_array_equal(read("tfds:mnist/test", (28, 28, 1)).images, mnist[:20])
    assert read("tfds:mnist/train[:5]", (32, 32, 1)).images.shape == (5, 32, 32, 1)
    with pytest.raises(ValueError, match="holds images of 28x28x1, but 28x28x3"):
        read("tfds:mnist/test", (28, 28, 3))
    for source in ("tfds:mnist", "tfds:/test", "tfds:files/all"):
        with pytest.raises(ValueError, match="tfds:NAME/SPLIT"):
            read(source, None)


def _has(name):
    return bool(REAL) and (Path(REAL) / name).is_dir()


@pytest.mark.skipif(not _has("mnist/3.0.1"), reason="TFDS_DATA_DIR has no prepared mnist 3.0.1")
def test_real_mnist():
    train, test = load("mnist", "train[:55000]"), load("mnist", "test")
    assert train.images.shape == (55000, 28, 28, 1)
    assert np.bincount(test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    np.testing.assert_allclose(test.images.mean() / 255, 0.1325, atol=1e-4)


@pytest.mark.skipif(not _has("omniglot/3.0.0"), reason="TFDS_DATA_DIR has no prepared omniglot 3.0.0")
def test_real_omniglot():
    both = load("omniglot", "small1+small2")
    assert both.images.shape == (5840, 28, 28, 1)
    assert np.median(both.images) == 0
    assert both.images.max(axis=(1, 2, 3)).min() > 128
    # Each character was drawn by twenty people.
    assert set(np.unique(both.labels[:2720], return_counts=True)[1]) == {20}
