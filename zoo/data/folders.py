"""The user's own pictures: a folder of image files, with or without folders for splits and classes in it."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from zoo.data.examples import Examples
from zoo.data.resizing import fit, with_channels

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
_SPLIT_FOLDERS = {"train", "validation", "test"}
# Unreadable pictures that an error names.
_NAMED = 10
# Pillow's modes, by the number of channels that they become. Other modes have more than 8 bits a channel.
_MODES = {"1": "L", "L": "L", "LA": "L", "P": "RGB", "RGB": "RGB", "RGBA": "RGB", "CMYK": "RGB", "YCbCr": "RGB"}


class _Listing(NamedTuple):
    """The files of one split, sorted by class and name, and the class of each (`None`: not sorted into classes)."""

    files: list[Path]
    classes: list[str] | None


class ImageFolder:
    """A folder of pictures as splits; files are decoded when they are asked for.

    A folder that has a subfolder `train`, `validation` or `test` is split by its subfolders; any other is one split,
    `all`. In a split, either the pictures lie side by side, or each subfolder is a class; classes are numbered by
    their sorted names over all splits.

    Attributes:
        sizes: The number of pictures of each split.
        class_names: The sorted names of the classes; empty without class folders.

    Raises:
        ValueError: If there is no such folder or there are no pictures in it.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise ValueError(f"{path} is not a folder" if path.exists() else f"{path} does not exist")
        self._path = path
        folders = _subfolders(path)
        if _SPLIT_FOLDERS & {folder.name for folder in folders}:
            self._splits = {folder.name: _list_pictures(folder) for folder in folders}
        else:
            self._splits = {"all": _list_pictures(path)}
        names = {name for listing in self._splits.values() for name in listing.classes or ()}
        self.class_names = sorted(names)
        self.sizes = {name: len(listing.files) for name, listing in self._splits.items()}

    def read(
        self,
        split: str,
        rows: np.ndarray | None = None,
        *,
        size: int | None = None,
        channels: int | None = None,
        skip_unreadable: bool = False,
    ) -> Examples:
        """Decodes pictures of a split.

        Args:
            split: The name of a split.
            rows: Which pictures, in the order of the sorted names; `None` reads all of them.
            size: Height and width: the middle square of each picture is resized to it. `None` keeps the pictures,
                which must then be of one size.
            channels: 1 or 3. `None` keeps the pictures, which must then be all gray or all in colour.
            skip_unreadable: Leave out pictures that cannot be read, with a warning that says how many.

        Returns:
            Images [n, h, w, c], uint8, the numbers of the classes or `None`, their names, and the files' names
            relative to the folder.

        Raises:
            ValueError: If pictures cannot be read, whatever their split: says how many, and which; or if one differs
                in size or channels from the first.
        """
        wanted = np.arange(self.sizes[split]) if rows is None else np.asarray(rows)
        images, kept = self.decode(split, wanted, size=size, channels=channels, skip_unreadable=skip_unreadable)
        self.check_left_out(split, wanted, kept)
        labels, names = self.known(split, kept)
        return Examples(images, labels, names, () if labels is None else tuple(self.class_names))

    def decode(
        self, split: str, wanted: np.ndarray, *, size: int | None, channels: int | None, skip_unreadable: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Decodes pictures of a split, as `read`, which says what its arguments are.

        Returns:
            Images [m, h, w, c], uint8, and their rows, [m]: those of `wanted` that can be read.
        """
        listing = self._splits[split]
        images, first, kept = np.empty(0, np.uint8), None, list[int]()
        for row in wanted:
            file = listing.files[row]
            try:
                picture = _decode(file, size, channels)
            except _UnreadableError:
                if skip_unreadable:
                    continue
                raise ValueError(self._all_unreadable()) from None
            if first is None:
                images, first = np.empty((len(wanted), *picture.shape), np.uint8), file
            elif picture.shape != images.shape[1:]:
                differ = "channels" if picture.shape[:2] == images.shape[1:3] else "size"
                raise ValueError(
                    f"{file} is {_size(picture.shape)} but {first} is {_size(images.shape[1:])} (height x width x"
                    f" channels): give `{differ}` to bring all pictures to one"
                )
            images[len(kept)] = picture
            kept.append(int(row))
        return images[: len(kept)], np.array(kept, np.int64)

    def check_left_out(self, split: str, wanted: np.ndarray, kept: np.ndarray) -> None:
        """Warns of the pictures among `wanted` that are not `kept`. Raises ValueError if none is."""
        if not len(kept):
            raise ValueError(f"{self._path}: none of the {len(wanted)} pictures of {split!r} can be read")
        if left_out := len(wanted) - len(kept):
            files = self._splits[split].files
            lost = [self._name(files[row]) for row in np.setdiff1d(wanted, kept)]
            more = f", and {left_out - _NAMED} more" if left_out > _NAMED else ""
            warnings.warn(
                f"{self._path}: {left_out} of the {len(wanted)} pictures that were asked for cannot be read and are "
                f"left out: {', '.join(lost[:_NAMED])}{more}",
                stacklevel=3,
            )

    def known(self, split: str, rows: np.ndarray) -> tuple[np.ndarray | None, np.ndarray]:
        """Returns the numbers of the classes of these pictures or `None`, and their files' names; [m] each."""
        listing = self._splits[split]
        names = np.array([self._name(listing.files[row]) for row in rows])
        if listing.classes is None:
            return None, names
        number = {name: index for index, name in enumerate(self.class_names)}
        return np.array([number[listing.classes[row]] for row in rows], np.int64), names

    def fingerprint(self, split: str) -> str:
        """Returns a digest over the names, sizes and times of a split's files."""
        digest = hashlib.sha256()
        for file in self._splits[split].files:
            status = file.stat()
            digest.update(f"{self._name(file)}\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
        return digest.hexdigest()

    def _name(self, file: Path) -> str:
        return file.relative_to(self._path).as_posix()

    def _all_unreadable(self) -> str:
        """One line on the pictures of all splits that cannot be read, for which every one is opened."""
        files = [file for listing in self._splits.values() for file in listing.files]
        reasons = {self._name(file): why for file in files if (why := _trouble(file))}
        named = [f"{name} ({why})" for name, why in [*reasons.items()][:_NAMED]]
        more = f", and {len(reasons) - _NAMED} more" if len(reasons) > _NAMED else ""
        return (
            f"{self._path}: {len(reasons)} of {len(files)} pictures cannot be read: {', '.join(named)}{more}; mend or"
            " remove them, or go on without them: data.skip_unreadable: true"
        )


class _UnreadableError(Exception):
    """A picture that cannot be read, and why."""


def _trouble(file: Path) -> str:
    """Why a picture cannot be read; nothing for a good one."""
    try:
        _decode(file, None, None)
    except _UnreadableError as error:
        return str(error)
    return ""


def _subfolders(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _pictures(folder: Path) -> list[Path]:
    return sorted(
        entry for entry in folder.iterdir() if entry.suffix.lower() in SUFFIXES and not entry.name.startswith(".")
    )


def _list_pictures(folder: Path) -> _Listing:
    here = _pictures(folder)
    by_class = {each.name: _pictures(each) for each in _subfolders(folder)}
    files = [file for pictures in by_class.values() for file in pictures]
    if here and files:
        raise ValueError(
            f"{folder} holds pictures ({here[0].name}) beside folders of pictures ({files[0].parent.name})"
        )
    if not here and not files:
        raise ValueError(f"{folder} holds no pictures ({', '.join(SUFFIXES)})")
    if here:
        return _Listing(here, None)
    return _Listing(files, [file.parent.name for file in files])


def _decode(file: Path, size: int | None, channels: int | None) -> np.ndarray:
    """Returns one picture as [h, w, c], uint8, turned as its camera says; of an animation, the first frame.

    Raises:
        _UnreadableError: If the file is damaged, is no picture, or has more than 8 bits a channel.
    """
    try:
        with Image.open(file) as opened:
            if opened.mode not in _MODES:
                raise _UnreadableError(f"pixels of mode {opened.mode}; only 8 bits a channel are supported")
            mode = _MODES[opened.mode] if channels is None else {1: "L", 3: "RGB"}[channels]
            picture = np.asarray(ImageOps.exif_transpose(opened).convert(mode))
    except UnidentifiedImageError:
        raise _UnreadableError("no picture") from None
    # Pillow's decoders have no one error: a damaged header may be any of these.
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise _UnreadableError(str(error) or type(error).__name__) from None
    images = picture.reshape(1, *picture.shape[:2], -1)
    return with_channels(fit(images, size), channels, where=str(file))[0]


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
