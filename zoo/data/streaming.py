"""Examples that are read in parts, so that there may be more of them than fit into the memory.

Nothing here imports TensorFlow, but for `tfds:`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from zoo.data import pixels, values
from zoo.data.arrays import ArrayFile
from zoo.data.examples import Examples
from zoo.data.folders import ImageFolder
from zoo.data.loading import as_pictures, check_shape, open_file, open_folder, read

# Bytes of the examples at the start that are looked at before anything is done.
_FIRST = 2**26


class Part(NamedTuple):
    """Some examples of a stream: images or features [m, ...], as `zoo.data.read` gives them, and their rows [m]."""

    x: np.ndarray
    rows: np.ndarray


class Stream:
    """Examples in the order of their source, to be read in parts. Labels and names are in memory.

    Args:
        source: What holds the examples, for messages.
        count: How many there are, with those that turn out to be unreadable.

    Attributes:
        source, count: As given.
    """

    def __init__(self, source: str, count: int) -> None:
        self.source, self.count = source, count

    def read(self, start: int, stop: int) -> Part:
        """Returns the examples from `start` to before `stop`; those that are left out are missing.

        Raises:
            ValueError: If they are not what they can be: names the row, or the rows among which it is.
            OSError: If they cannot be read.
        """
        raise NotImplementedError

    def known(self, left_out: Sequence[int]) -> Examples:
        """Returns the labels and names of the examples that are not in these rows; its `images` mean nothing.

        Raises:
            ValueError: If there are none.
        """
        raise NotImplementedError

    def fingerprint(self) -> str:
        """Returns text that changes when the source does: from sizes and times of files, where there are files."""
        raise NotImplementedError

    def where(self, start: int, stop: int) -> str:
        """The source, for messages on a part: with the rows, if it is not the whole."""
        return self.source if stop - start >= self.count else f"{self.source}, examples {start} to {stop - 1}"


class _InMemory(Stream):
    """Examples that are in memory anyway: a table's, and those of the catalogue."""

    def __init__(self, source: str, examples: Examples) -> None:
        super().__init__(source, len(examples.images))
        self._examples = examples

    def read(self, start: int, stop: int) -> Part:
        return Part(self._examples.images[start:stop], np.arange(start, min(stop, self.count)))

    def known(self, left_out: Sequence[int]) -> Examples:
        return self._examples

    def fingerprint(self) -> str:
        return hashlib.sha256(np.ascontiguousarray(self._examples.images).data).hexdigest()


class _Array(Stream):
    """The rows of a .npy file, or of an array of a .npz file."""

    def __init__(self, file: ArrayFile, split: str, path: Path, shape: tuple[int, ...] | None, kind: str) -> None:
        self._rows, self._path, self._kind = file.rows(split), path, kind
        source, found, dtype = file.where(split), self._rows.shape, self._rows.dtype
        if kind == "images":
            found = (*found, 1) if len(found) == 3 else found
            pixels.check_form(found, dtype, source)
        else:
            values.check_form(found, dtype, source)
        super().__init__(source, found[0])
        check_shape(found[1:], shape, str(path), kind)
        labels, class_names = file.labels(split, self.count)
        self._known = Examples(np.empty(0), labels, class_names=class_names)
        # A mistake that all examples share shows in the first, and so do the warnings.
        self.read(0, min(self.count, values.BLOCK, max(1, _FIRST * self.count // (dtype.itemsize * _product(found)))))

    def read(self, start: int, stop: int) -> Part:
        stop = min(stop, self.count)
        convert = pixels.as_pixels if self._kind == "images" else values.as_features
        x = convert(self._rows[start:stop], where=self.where(start, stop), first_row=start)
        return Part(x, np.arange(start, stop))

    def known(self, left_out: Sequence[int]) -> Examples:
        return self._known

    def fingerprint(self) -> str:
        status = self._path.stat()
        return f"{self.source} {self._rows.dtype} {self._rows.shape} {status.st_size} {status.st_mtime_ns}"


class _Folder(Stream):
    """The pictures of a folder, decoded when they are asked for."""

    def __init__(
        self, folder: ImageFolder, split: str, source: str, shape: tuple[int, ...] | None, skip_unreadable: bool
    ) -> None:
        super().__init__(source, folder.sizes[split])
        self._folder, self._split, self._skip = folder, split, skip_unreadable
        self._size, self._channels = as_pictures(shape, "images")
        self._shape = shape
        first = self.read(0, 1)
        # Where nothing says what they must be, the others must be like the first.
        if self._shape is None and len(first.rows):
            self._shape = first.x.shape[1:]

    def read(self, start: int, stop: int) -> Part:
        wanted = np.arange(start, min(stop, self.count))
        x, rows = self._folder.decode(
            self._split, wanted, size=self._size, channels=self._channels, skip_unreadable=self._skip
        )
        if len(rows):
            check_shape(x.shape[1:], self._shape, self.where(start, start + len(wanted)), "images")
        return Part(x, rows)

    def known(self, left_out: Sequence[int]) -> Examples:
        wanted = np.arange(self.count)
        rows = np.delete(wanted, left_out)
        self._folder.check_left_out(self._split, wanted, rows)
        labels, names = self._folder.known(self._split, rows)
        return Examples(np.empty(0), labels, names, () if labels is None else tuple(self._folder.class_names))

    def fingerprint(self) -> str:
        return self._folder.fingerprint(self._split)


def stream(
    source: str,
    shape: tuple[int, ...] | None = None,
    *,
    kind: str,
    label_column: str | None = None,
    columns: Sequence[str] = (),
    skip_unreadable: bool = False,
) -> Stream:
    """Opens what is to be encoded, to read it in parts; the arguments are those of `zoo.data.read`.

    Arrays of .npy and .npz files and pictures of a folder are read when they are asked for; but not arrays in Fortran's
    order, tables, and data sets of the catalogue: they are in memory. Warnings look at the first examples only, up to
    4,096; errors at all.

    Raises:
        ValueError: In one line, for what can be known at once: no such source, another shape or type, wrong labels,
            wrong values among the first examples.
    """
    if not source.startswith("tfds:"):
        if Path(source).is_dir():
            folder, split = open_folder(source, kind)
            return _Folder(folder, split, source, shape, skip_unreadable)
        contents, split = open_file(source, kind, label_column, columns)
        if isinstance(contents, ArrayFile):
            return _Array(contents, split, contents.path, shape, kind)
    return _InMemory(source, read(source, shape, kind=kind, label_column=label_column, columns=columns))


def _product(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape, dtype=np.int64))
