"""The user's own arrays, images or features: .npy and .npz files, read whole or in parts."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from zoo.data.examples import Examples
from zoo.data.pixels import as_pixels
from zoo.data.values import as_features


class _Keys(NamedTuple):
    """Which arrays of a file make up a split."""

    x: str
    labels: str | None


class FileRows:
    """An array in a .npy file, or in a member of a .npz file, of which rows are read when they are asked for.

    They are read and not mapped: pages of a map count as the process's memory. Rows before those that were read last
    make a member of a .npz file be read from its start again.

    Args:
        file: of the array, at its start.
        where: what holds the array, for messages.

    Attributes:
        shape: Of the whole array, [n, ...].
        dtype: Of its entries.

    Raises:
        ValueError: If rows cannot be read one by one: the file is no array, holds objects, or is in Fortran's order.
    """

    def __init__(self, file: IO[bytes], where: str) -> None:
        self._file, self._where = file, where
        headers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        version = np.lib.format.read_magic(file)
        if version not in headers:
            raise ValueError(f"{where}: version {version} of the format")
        self.shape, fortran, self.dtype = headers[version](file)
        if fortran or self.dtype.hasobject or not self.shape:
            raise ValueError(f"{where}: no rows one after the other")
        self._start = file.tell()

    def __getitem__(self, rows: slice) -> np.ndarray:
        """Returns the rows from `start` to before `stop`, in memory.

        Raises:
            ValueError: If the file is damaged or ends before them.
            OSError: If it cannot be read.
        """
        part = np.empty((rows.stop - rows.start, *self.shape[1:]), self.dtype)
        wanted = part.reshape(-1).view(np.uint8)
        try:
            self._file.seek(self._start + rows.start * (wanted.size // len(part)))
            read = self._file.readinto(wanted.data)  # type: ignore[attr-defined]
        except (EOFError, zlib.error, zipfile.BadZipFile) as error:
            raise ValueError(f"{self._where} cannot be read: {error}") from None
        if read < wanted.size:
            raise ValueError(f"{self._where} cannot be read: the file ends before row {rows.stop - 1}")
        return part


# What rows can be taken of by slices.
Rows = FileRows | np.ndarray


class ArrayFile:
    """A .npy or .npz file as splits; an array is read when its split is asked for.

    Args:
        path: Of the file.
        kind: What it holds: `images` or `features`. A .npz file has them under this name.

    Attributes:
        path: As given.
        splits: The names of the splits. A file without named ones has `all`.

    Raises:
        ValueError: If the file is not there, is damaged, or holds none of the kind.
    """

    def __init__(self, path: Path, kind: str = "images") -> None:
        self.path = path
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
                f"{self.path} holds no {kind} that can be told by their keys: it has {', '.join(names) or 'none'}, and"
                f" should have `{kind}` (and `labels`), `x_NAME` (`y_NAME`), `NAME_{kind}` (`NAME_labels`), or a single"
                " array"
            )
        return splits

    def _array(self, key: str) -> np.ndarray:
        try:
            return self._arrays[key]
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"{self.path}: the array {key!r} cannot be read: {error}") from None

    def read(self, split: str) -> Examples:
        """Returns a whole split in the order of the file.

        Returns:
            Images [n, h, w, c] (a channel axis is added to [n, h, w]), uint8 or float32, or features [n, ...], float32;
            and labels [n] or `None`; text is numbered by its sorted values over all splits.

        Raises:
            ValueError: If pixels, features or labels are not what they can be.
        """
        convert = as_pixels if self._kind == "images" else as_features
        x = convert(self._array(self._keys[split].x), where=self.where(split))
        labels, class_names = self.labels(split, len(x))
        return Examples(x, labels, class_names=class_names)

    def where(self, split: str) -> str:
        """What holds the examples of a split, for messages."""
        return f"{self.path}" if self.path.suffix == ".npy" else f"{self.path}: {self._keys[split].x}"

    def labels(self, split: str, count: int) -> tuple[np.ndarray | None, tuple[str, ...]]:
        """Returns the labels of a split of `count` examples, [count] int64 or `None`, and what they stand for.

        Raises:
            ValueError: If they are not one whole number or text for each example.
        """
        key = self._keys[split].labels
        if key is None:
            return None, ()
        labels = self._labels(key)
        if labels.shape != (count,) or labels.dtype.kind not in "buiSU":
            raise ValueError(
                f"{self.path}: {key} must hold one integer for each of the {count} {self._kind},"
                f" got {labels.dtype} of shape {labels.shape}; names of classes will do as well"
            )
        if labels.dtype.kind in "bui":
            return labels.astype(np.int64), ()
        classes = self._classes()
        return np.searchsorted(classes, labels).astype(np.int64), tuple(classes.tolist())

    def rows(self, split: str) -> Rows:
        """Returns the examples of a split as the file has them, to be read in parts.

        An array whose rows do not lie one after the other (Fortran's order) is read whole.

        Raises:
            ValueError: If the array cannot be read.
        """
        key = self._keys[split].x
        try:
            if isinstance(self._file, np.ndarray):
                return FileRows(self.path.open("rb"), self.where(split))
            # A member keeps its own file open, not NumPy's.
            with zipfile.ZipFile(self.path) as archive:
                member = archive.open(key if key in archive.namelist() else f"{key}.npy")
            return FileRows(member, self.where(split))
        except (ValueError, zipfile.BadZipFile):
            return self._array(key)

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
            raise ValueError(f"{self.path}: the text in {key} is not UTF-8") from None

    def _classes(self) -> np.ndarray:
        """The sorted names of the classes over all splits, so that a number means one class in each."""
        named = [self._labels(keys.labels) for keys in self._keys.values() if keys.labels is not None]
        if any(each.dtype.kind != "U" for each in named):
            raise ValueError(f"{self.path}: labels are text in one split and numbers in another")
        return np.unique(np.concatenate([each.ravel() for each in named]))
