"""The data sets that come from TensorFlow Datasets, each brought to upright pictures in 0..255 with bright strokes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from zoo.data.catalogue import Source
from zoo.data.examples import Examples
from zoo.data.resizing import centre_crop, fit, with_channels
from zoo.data.splits import Part, parse, resolve

_BATCH = 1024


class _Preparation(NamedTuple):
    """Where TFDS downloads a data set from, and what is done to its pictures before they are resized."""

    origin: str
    picture: Callable[[np.ndarray], np.ndarray] = lambda images: images


def _upright(images: np.ndarray) -> np.ndarray:
    """EMNIST is stored with rows and columns exchanged."""
    return images.transpose(0, 2, 1, 3)


def _bright_strokes(images: np.ndarray) -> np.ndarray:
    """Omniglot is stored as dark strokes on white, in three equal channels."""
    return 255 - images[..., :1]


def _full_scale(images: np.ndarray) -> np.ndarray:
    """Binarised MNIST is stored as zeros and ones."""
    return images * np.uint8(255)


def _face(images: np.ndarray) -> np.ndarray:
    """The usual crop of CelebA: the middle 140x140 of 218x178, most of the background cut away."""
    return centre_crop(images, 140)


_PREPARATIONS = {
    "mnist": _Preparation("https://storage.googleapis.com"),
    "binarized_mnist": _Preparation("http://www.cs.toronto.edu", _full_scale),
    "fashion_mnist": _Preparation("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"),
    "emnist": _Preparation("https://biometrics.nist.gov", _upright),
    "cifar10": _Preparation("https://www.cs.toronto.edu"),
    "omniglot": _Preparation("https://github.com", _bright_strokes),
    "celeb_a": _Preparation("https://drive.google.com", _face),
}
# TFDS keeps prepared copies of some data sets here and asks it first.
_TFDS_BUCKET = "https://storage.googleapis.com"


def load_tfds(
    source: Source, split: str, *, size: int | None = None, channels: int | None = None, label: str | None = None
) -> Examples:
    """Reads a split of a data set from TFDS, in TFDS's canonical order, in the same way on every machine.

    A copy prepared under `TFDS_DATA_DIR` is used; without one, TFDS downloads and prepares the data set.

    Args:
        source: A data set of the catalogue that has a TFDS name.
        split: A split string of TFDS.
        size: Height and width to resize to; `None` takes the catalogue's.
        channels: 1 or 3; `None` takes the catalogue's.
        label: The feature that becomes the labels; `None` reads none.

    Returns:
        Images [n, size, size, channels], uint8, and labels [n] or `None`.

    Raises:
        ValueError: If the data set is neither prepared nor can be downloaded, or has no such split.
    """
    with _without_warnings():
        builder = _prepared_builder(source)
        parts = _parts(source, split, builder)
        dataset = _open(builder, split, _features(source, label))

    count = sum(part.stop - part.start for part in parts)
    side = source.shape[0] if size is None else size
    depth = source.shape[2] if channels is None else channels
    images = np.empty((count, side, side, depth), np.uint8)
    labels = None if label is None else np.empty(count, np.int64)
    start = 0
    for batch in dataset.batch(_BATCH).prefetch(2).as_numpy_iterator():
        pictures = fit(_PREPARATIONS[source.name].picture(batch["image"]), side)
        stop = start + len(pictures)
        images[start:stop] = with_channels(pictures, depth, where=source.name)
        if labels is not None and label is not None:
            labels[start:stop] = batch["attributes"][label] if source.name == "celeb_a" else batch[label]
        start = stop
    return Examples(images, labels, class_names=_class_names(builder, label), parts=tuple(parts))


def _class_names(builder: Any, label: str | None) -> tuple[str, ...]:
    """Returns what TFDS calls the classes; nothing where it only numbers them."""
    names = getattr(dict(builder.info.features.items()).get(label), "names", None) or []
    return () if names == [str(number) for number in range(len(names))] else tuple(names)


def _parts(source: Source, split: str, builder: Any) -> list[Part]:
    """Returns which examples a split string means; what is wrong with it is said here, in one line."""
    sizes = {name: info.num_examples for name, info in builder.info.splits.items()}
    missing = {part.name for part in parse(split)} - set(sizes)
    usual = {part.name for default in source.splits.values() for part in parse(default)}
    try:
        return resolve(split, sizes, f"{source.name} in {builder.data_path}")
    except ValueError as error:
        cure = f"; to prepare all of it: {_build_command(source)} --overwrite" if missing & usual else ""
        raise ValueError(f"{error}{cure}") from None


def _features(source: Source, label: str | None) -> dict[str, Any]:
    if label is None:
        return {"image": True}
    return {"image": True} | ({"attributes": {label: True}} if source.name == "celeb_a" else {label: True})


def _open(builder: Any, split: str, features: dict[str, Any]) -> Any:
    """Returns a `tf.data` set of these features of a split, in the canonical order."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    options = tf.data.Options()
    options.autotune.enabled = False
    options.deterministic = True
    # One file after the other: TFDS would otherwise mix the shards of a large data set.
    config = tfds.ReadConfig(options=options, interleave_cycle_length=1, try_autocache=False, skip_prefetch=True)
    decoders = tfds.decode.PartialDecoding(features)
    return builder.as_dataset(split=split, shuffle_files=False, decoders=decoders, read_config=config)


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Keeps TFDS's remarks about its own code, and about folders that are not there yet, off the screen."""
    from absl import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)


def _data_dir() -> str | None:
    # Asked for at each call: TFDS itself looks at the variable only once, when it is imported.
    return os.environ.get("TFDS_DATA_DIR") or None


def _build_command(source: Source) -> str:
    directory = _data_dir()
    return f"tfds build {source.tfds}" + (f" --data_dir {directory}" if directory else "")


def _prepared_builder(source: Source) -> Any:
    """Returns a builder whose files are there, downloading them if need be."""
    import tensorflow_datasets as tfds

    builder = tfds.builder(source.tfds, data_dir=_data_dir())
    if builder.is_prepared():
        return builder
    try:
        # A copy that an older TFDS prepared serves as well.
        older = tfds.builder(f"{source.tfds}:*.*.*", data_dir=_data_dir())
        if older.is_prepared():
            return older
    except (tfds.core.DatasetNotFoundError, AssertionError, ValueError):
        pass
    try:
        _check_download(source, Path(builder.data_path))
        builder.download_and_prepare()
    except Exception as error:  # whatever the network, the disk or TFDS say, the cure is the same
        given = os.environ.get("TFDS_DATA_DIR")
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(
            f"data set {source.name!r} is not prepared under TFDS_DATA_DIR="
            f"{given or f'(not set, so {tfds.core.constants.DATA_DIR})'} and cannot be downloaded ({reason[:200]});"
            f" set TFDS_DATA_DIR to a folder that has it, or prepare it where there is a network: "
            f"{_build_command(source)}"
        ) from error
    return builder


def _check_download(source: Source, data_path: Path) -> None:
    """Fails at once where a download could not work: TFDS itself retries for minutes before it gives up."""
    import requests

    parent = next(path for path in (data_path, *data_path.absolute().parents) if path.exists())
    # A folder that is marked as read-only stays so for the superuser, too, whom the system would let write.
    if not os.access(parent, os.W_OK) or not parent.stat().st_mode & 0o222:
        raise PermissionError(f"{parent} is read-only")
    for url in (_PREPARATIONS[source.name].origin, _TFDS_BUCKET):
        try:
            requests.head(url, timeout=5)
        except requests.RequestException:
            continue
        return
    raise ConnectionError("no network")
