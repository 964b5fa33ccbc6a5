"""From a name or a path to examples in memory: what `zoo train` and `zoo encode` read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from zoo.data.arrays import ArrayFile
from zoo.data.catalogue import BINARIZE, TABLE, Source, check_preparation, kind_of, source
from zoo.data.examples import Examples
from zoo.data.folders import ImageFolder
from zoo.data.pixels import binarize_once
from zoo.data.resizing import fit, with_channels
from zoo.data.splits import Part, parse, resolve
from zoo.data.tables import Table
from zoo.parameters import nearest

# A folder is sorted by class, and a file may be: without a permutation its first 80 % would lack the last classes.
_PERMUTATION_SEED = 0


def load(
    name: str,
    split: str,
    *,
    path: str | Path | None = None,
    size: int | None = None,
    channels: int | None = None,
    binarize: str | None = None,
    seed: int = 0,
    labels: str | None = None,
    kind: str | None = None,
    label_column: str | None = None,
    skip_unreadable: bool = False,
) -> Examples:
    """Reads a split of a data set into memory.

    Args:
        name: A name of the catalogue; `files` for your own.
        split: A split string: `train`, `train[:90%]`, `small1+small2`.
        path: For `files` only: a .npy, .npz or .csv file, or a folder of pictures.
        size: Height and width: the middle square is resized to it. `None` takes the data set's own.
        channels: 1 (gray) or 3 (colour). `None` takes the data set's own.
        binarize: "fixed" draws every pixel once, with its intensity as the probability, from `seed` and `split`.
            `None` and "dynamic" leave gray pixels; for the latter, `training_pipeline` draws them in each epoch.
        seed: The seed of the fixed binarisation.
        labels: Which labels to read, where there are several ("alphabet" of omniglot, an attribute of celeb_a).
        kind: For arrays of your own: "images" (the default), or "features", real numbers of any shape and sign.
        label_column: For a .csv file: the header of the column of labels.
        skip_unreadable: For a folder of pictures: leave out those that cannot be read, with a warning.

    Returns:
        Images [n, h, w, c], uint8 (float32 for `gaussians`, and where the user's own file holds floats), or features
        [n, ...], float32; labels [n] or `None`; and the names of files, classes and columns where they are known.

    Raises:
        ValueError: In one line, for everything that a user can get wrong.
    """
    chosen = source(name)
    label = _check_options(chosen, path, size, channels, binarize, labels)
    kind = kind_of(chosen, path, kind)
    for_images = {"size": size, "channels": channels, "binarize": binarize, "skip_unreadable": skip_unreadable or None}
    check_preparation(kind, path, for_images, label_column)
    if chosen.name == "files":
        if path is None:
            raise ValueError("the data set 'files' needs a path: a .npy, .npz or .csv file, or a folder of pictures")
        examples = _load_files(Path(path), split, kind, size, channels, label_column, skip_unreadable)
    elif chosen.tfds is not None:
        from zoo.data.tfds_source import load_tfds

        examples = load_tfds(chosen, split, size=size, channels=channels, label=label)
    else:
        from zoo.data.embedded import load_embedded

        examples = load_embedded(chosen.name, split)
    if kind == "features":
        return examples
    images = with_channels(fit(examples.images, size), channels, where=chosen.name)
    if binarize == "fixed":
        images = binarize_once(images, seed=seed, split=split, where=str(path or chosen.name))
    return replace(examples, images=images)


def _check_options(
    chosen: Source,
    path: str | Path | None,
    size: int | None,
    channels: int | None,
    binarize: str | None,
    labels: str | None,
) -> str | None:
    """Raises ValueError for an option out of range, and returns the name of the labels to read."""
    if path is not None and chosen.name != "files":
        raise ValueError(f"the data set {chosen.name!r} takes no path (got {path}); the data set 'files' does")
    if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 1):
        raise ValueError(f"size must be a whole number of at least 1, got {size!r}")
    if channels not in (None, 1, 3):
        raise ValueError(f"channels must be 1 (gray) or 3 (colour), got {channels!r}")
    if binarize not in BINARIZE:
        raise ValueError(f"unknown binarize {binarize!r}; {nearest(binarize, ['fixed', 'dynamic'])}")
    if labels is None:
        return chosen.default_label
    if labels not in chosen.labels:
        known = nearest(labels, chosen.labels) if chosen.labels else "it has no labels"
        raise ValueError(f"the data set {chosen.name!r} has no labels {labels!r}: {known}")
    return labels


def _order(part: Part, sorted_by_class: bool = False) -> np.ndarray:
    """Returns the rows of a part in the order in which a split is sliced.

    `all` is permuted, and so is a split that is sorted by class, where less than the whole of it is wanted.
    """
    if part.name != "all" and not (sorted_by_class and part.stop - part.start < part.of):
        return np.arange(part.start, part.stop)
    return np.random.RandomState(_PERMUTATION_SEED).permutation(part.of)[part.start : part.stop]


def _load_files(
    path: Path,
    split: str,
    kind: str,
    size: int | None,
    channels: int | None,
    label_column: str | None,
    skip_unreadable: bool,
) -> Examples:
    chosen: list[Examples] = []
    if path.is_dir():
        if kind != "images":
            raise ValueError(f"{path} is a folder, which holds pictures; {kind} are in a .npy, .npz or .csv file")
        folder = ImageFolder(path)
        parts = resolve(split, folder.sizes, str(path))
        for part in parts:
            rows = _order(part, sorted_by_class=True)
            chosen.append(folder.read(part.name, rows, size=size, channels=channels, skip_unreadable=skip_unreadable))
    else:
        contents = _open(path, kind, label_column)
        named = {part.name for part in parse(split)}
        whole = {name: contents.read(name) for name in contents.splits if name in named or "all" in named}
        # What is not named is not read, and so of no known size.
        sizes = {name: len(whole[name].images) if name in whole else 0 for name in contents.splits}
        parts = resolve(split, sizes, str(path))
        chosen += [whole[part.name].take(_order(part)) for part in parts]
    return replace(Examples.concatenate(chosen, str(path)), parts=tuple(parts))


def _open(
    path: Path, kind: str, label_column: str | None = None, *, labelled: bool = True, columns: Sequence[str] = ()
) -> ArrayFile | Table:
    if not path.exists():
        raise ValueError(f"{path} does not exist")
    if path.suffix.lower() == TABLE:
        return Table(path, label_column, labelled=labelled, expected=columns)
    if path.suffix not in (".npy", ".npz"):
        raise ValueError(f"{path} is neither a .npy, .npz or .csv file, nor a folder of pictures")
    return ArrayFile(path, kind)


def read(
    source: str,
    shape: tuple[int, ...] | None = None,
    *,
    kind: str | None = None,
    label_column: str | None = None,
    columns: Sequence[str] = (),
    skip_unreadable: bool = False,
) -> Examples:
    """Reads what is to be encoded, in its own order: the INPUT of `zoo encode`.

    Args:
        source: A .npy or .csv file; a .npz file (FILE.npz:NAME where it has several splits); a folder of pictures; or
            tfds:NAME/SPLIT for a data set of the catalogue, prepared as for training.
        shape: What the encoder takes, of images height, width and channels. Pictures of a folder and of the catalogue
            are resized to it, and a folder's pictures are turned to gray or colour; arrays must have it. `None`: any.
        kind: "images" or "features". `None`: features in a .csv file, and where the shape is no image's.
        label_column: Of a .csv file: the header of the column of labels, which is left aside where there is one.
        columns: Of a .csv file: the names that its other columns must have, in this order; empty for any.
        skip_unreadable: Of a folder: leave out pictures that cannot be read, with a warning.

    Returns:
        Images [n, h, w, c], uint8 or float32, or features [n, ...], float32; labels [n] or `None`; and the names of
        files, classes and columns where they are known.

    Raises:
        ValueError: In one line, if there is nothing to read or it does not have the shape or the columns.
    """
    if kind is None:
        kind = "features" if source.lower().endswith(TABLE) or (shape is not None and len(shape) != 3) else "images"
    size, channels = as_pictures(shape, kind)
    if source.startswith("tfds:"):
        name, _, split = source.removeprefix("tfds:").rpartition("/")
        if not name or not split or name == "files":
            raise ValueError(f"{source!r} does not name a data set and a split: write tfds:NAME/SPLIT, tfds:mnist/test")
        examples = load(name, split, size=size)
    elif Path(source).is_dir():
        folder, split = open_folder(source, kind)
        examples = folder.read(split, size=size, channels=channels, skip_unreadable=skip_unreadable)
    else:
        contents, split = open_file(source, kind, label_column, columns)
        examples = contents.read(split)
    check_shape(examples.images.shape[1:], shape, source, kind)
    return examples


def as_pictures(shape: tuple[int, ...] | None, kind: str) -> tuple[int | None, int | None]:
    """Returns the size and the channels that pictures are brought to for what an encoder takes; `None`: as they are."""
    if shape is None or kind != "images":
        return None, None
    return (shape[0] if shape[0] == shape[1] else None), (shape[2] if shape[2] in (1, 3) else None)


def check_shape(found: tuple[int, ...], wanted: tuple[int, ...] | None, source: str, kind: str) -> None:
    """Raises ValueError for examples of another shape than is wanted; `None` takes any."""
    if wanted is not None and found != tuple(wanted):
        has, takes = ("x".join(map(str, each)) for each in (found, wanted))
        axes = " (height x width x channels)" if kind == "images" else ""
        raise ValueError(f"{source} holds {kind} of {has}, but {takes}{axes} are needed")


def open_folder(source: str, kind: str) -> tuple[ImageFolder, str]:
    """Returns a folder of pictures and its only split.

    Raises:
        ValueError: If features are needed, or it has no pictures or several splits.
    """
    if kind != "images":
        raise ValueError(f"{source} is a folder, which holds pictures; {kind} are needed")
    folder = ImageFolder(Path(source))
    if len(folder.sizes) > 1:
        raise ValueError(f"{source} has several splits, {', '.join(folder.sizes)}: name one of these folders")
    return folder, next(iter(folder.sizes))


def open_file(
    source: str, kind: str, label_column: str | None, columns: Sequence[str]
) -> tuple[ArrayFile | Table, str]:
    """Returns the contents of FILE or FILE.npz:SPLIT, and the split that is meant.

    Raises:
        ValueError: If there is no such file or split, several without one being named, or the file is damaged.
    """
    path, _, split = source.rpartition(":")
    if Path(source).exists() or Path(path).suffix != ".npz":
        path, split = source, ""
    contents = _open(Path(path), kind, label_column, labelled=False, columns=columns)
    if not split and len(contents.splits) > 1:
        raise ValueError(f"{path} has several splits, {', '.join(contents.splits)}: write {path}:{contents.splits[0]}")
    if split and split not in contents.splits:
        raise ValueError(f"{path} has no split {split!r}; it has {', '.join(contents.splits)}")
    return contents, split or contents.splits[0]
