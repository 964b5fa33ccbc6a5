"""The user's own arrays, images or features: .npy and .npz files."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from zoo.data.examples import Examples
from zoo.data.pixels import as_pixels
from zoo.data.values import as_features


class _Keys(NamedTuple):
    """Which arrays of a file make up a split."""

    x: str
    labels: str | None


class ArrayFile:
    """A .npy or .npz file as splits; an array is read when its split is asked for.

    Args:
        path: Of the file.
        kind: What it holds: `images` or `features`. A .npz file has them under this name.

    Attributes:
        splits: The names of the splits. A file without named ones has `all`.

    Raises:
        ValueError: If the file is not there, is damaged, or holds none of the kind.
    """

    def __init__(self, path: Path, kind: str = "images") -> None:
        self._path = path
        self._kind = kind
        try:
            self._file = np.load(path, mmap_mode="r" if path.suffix == ".npy" else None, allow_pickle=False)
        except FileNotFoundError:
            raise ValueError(f"{path} does not exist") from None
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path} cannot be read as NumPy data: {error}") from None
        if isinstance(self._file, np.ndarray):
            self._arrays: Mapping[str, np.ndarray] = {kind: self._file}
        else:
            self._arrays = self._file
        self._keys = self._find_splits()
        self.splits = list(self._keys)

    def _find_splits(self) -> dict[str, _Keys]:
        names, kind = list(self._arrays), self._kind

        def optional(name: str) -> str | None:
            return name if name in names else None

        if kind in names:
            return {"all": _Keys(kind, optional("labels"))}
        splits = {}
        for name in names:
            if match := re.fullmatch(r"x_([\w-]+)", name):
                splits[match[1]] = _Keys(name, optional(f"y_{match[1]}"))
            elif match := re.fullmatch(rf"([\w-]+)_{kind}", name):
                splits[match[1]] = _Keys(name, optional(f"{match[1]}_labels"))
        if not splits and len(names) == 1:
            splits["all"] = _Keys(names[0], None)
        if not splits:
            raise ValueError(
                f"{self._path} holds no {kind} that can be told by their keys: it has {', '.join(names) or 'none'}, and"
                f" should have `{kind}` (and `labels`), `x_NAME` (`y_NAME`), `NAME_{kind}` (`NAME_labels`), or a single"
                " array"
            )
        return splits

    def _array(self, key: str) -> np.ndarray:
        try:
            return self._arrays[key]
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"{self._path}: the array {key!r} cannot be read: {error}") from None

    def read(self, split: str) -> Examples:
        """Returns a whole split in the order of the file.

        Returns:
            Images [n, h, w, c] (a channel axis is added to [n, h, w]), uint8 or float32, or features [n, ...], float32;
            and labels [n] or `None`; text is numbered by its sorted values over all splits.

        Raises:
            ValueError: If pixels, features or labels are not what they can be.
        """
        keys = self._keys[split]
        where = f"{self._path}" if self._path.suffix == ".npy" else f"{self._path}: {keys.x}"
        convert = as_pixels if self._kind == "images" else as_features
        x = convert(self._array(keys.x), where=where)
        if keys.labels is None:
            return Examples(x, None)
        labels = self._labels(keys.labels)
        if labels.shape != x.shape[:1] or labels.dtype.kind not in "buiSU":
            raise ValueError(
                f"{self._path}: {keys.labels} must hold one integer for each of the {len(x)} {self._kind},"
                f" got {labels.dtype} of shape {labels.shape}; names of classes will do as well"
            )
        if labels.dtype.kind in "bui":
            return Examples(x, labels.astype(np.int64))
        classes = self._classes()
        return Examples(x, np.searchsorted(classes, labels).astype(np.int64), class_names=tuple(classes.tolist()))

    def _labels(self, key: str) -> np.ndarray:
        """The labels of a split as the file has them, byte strings as text."""
        labels = self._array(key)
        if labels.ndim == 2 and labels.shape[1] == 1:  # as Keras stores CIFAR-10's
            labels = labels[:, 0]
        if labels.dtype.kind != "S":
            return labels
        try:
            return np.char.decode(labels, "utf-8")
        except UnicodeDecodeError:
            raise ValueError(f"{self._path}: the text in {key} is not UTF-8") from None

    def _classes(self) -> np.ndarray:
        """The sorted names of the classes over all splits, so that a number means one class in each."""
        named = [self._labels(keys.labels) for keys in self._keys.values() if keys.labels is not None]
        if any(each.dtype.kind != "U" for each in named):
            raise ValueError(f"{self._path}: labels are text in one split and numbers in another")
        return np.unique(np.concatenate([each.ravel() for each in named]))
