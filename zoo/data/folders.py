"""The user's own pictures: a folder of image files, with or without folders for splits and classes in it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from zoo.data.examples import Examples
from zoo.data.resizing import fit, with_channels

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif")
_SPLIT_FOLDERS = {"train", "validation", "test"}
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
        self, split: str, rows: np.ndarray | None = None, *, size: int | None = None, channels: int | None = None
    ) -> Examples:
        """Decodes pictures of a split.

        Args:
            split: The name of a split.
            rows: Which pictures, in the order of the sorted names; `None` reads all of them.
            size: Height and width: the middle square of each picture is resized to it. `None` keeps the pictures,
                which must then be of one size.
            channels: 1 or 3. `None` keeps the pictures, which must then be all gray or all in colour.

        Returns:
            Images [n, h, w, c], uint8, and the numbers of the classes or `None`.

        Raises:
            ValueError: If a picture cannot be read, or differs in size or channels from the first; names the file.
        """
        listing = self._splits[split]
        wanted = np.arange(len(listing.files)) if rows is None else rows
        files = [listing.files[row] for row in wanted]
        first = _decode(files[0], size, channels)
        images = np.empty((len(files), *first.shape), np.uint8)
        for file, target in zip(files, images, strict=True):
            picture = _decode(file, size, channels)
            if picture.shape != first.shape:
                differ = "channels" if picture.shape[:2] == first.shape[:2] else "size"
                raise ValueError(
                    f"{file} is {_size(picture)} but {files[0]} is {_size(first)} (height x width x channels):"
                    f" give `{differ}` to bring all pictures to one"
                )
            target[...] = picture
        if listing.classes is None:
            return Examples(images, None)
        number = {name: index for index, name in enumerate(self.class_names)}
        return Examples(images, np.array([number[listing.classes[row]] for row in wanted], np.int64))


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
    """Returns one picture as [h, w, c], uint8, turned as its camera says; of an animation, the first frame."""
    try:
        with Image.open(file) as opened:
            if opened.mode not in _MODES:
                raise ValueError(f"{file} has pixels of mode {opened.mode}; only 8 bits a channel are supported")
            mode = _MODES[opened.mode] if channels is None else {1: "L", 3: "RGB"}[channels]
            picture = np.asarray(ImageOps.exif_transpose(opened).convert(mode))
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"{file} cannot be read as a picture: {error}") from None
    images = picture.reshape(1, *picture.shape[:2], -1)
    return with_channels(fit(images, size), channels, where=str(file))[0]


def _size(picture: np.ndarray) -> str:
    return "x".join(map(str, picture.shape))
