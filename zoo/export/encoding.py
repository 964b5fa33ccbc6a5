"""Reading exports: loading one, and encoding files with it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from zoo import data
from zoo.export.card import Card
from zoo.export.finding import checked, find
from zoo.export.saved_model import SAVED_MODEL
from zoo.files import replacing


def load_encoder(name: str | Path) -> Any:
    """An export, to encode, decode, reconstruct and sample; it needs TensorFlow, and none of the zoo's classes.

    Args:
        name: of one of the zoo's exports, such as `mnist/contrastive`; the folder of an export; or `hf://owner/name`.

    Returns:
        An object with the endpoints as methods: `encode(x)` gives `loc` and `scale`, [n, d] each.

    Raises:
        ValueError: there is none, a damaged one, or one of a newer format.
    """
    return load_export(find(name))


def load_export(directory: Path) -> Any:
    """The SavedModel of an export, after a look at its checksum: an object with the endpoints as methods.

    Raises:
        ValueError: no export, a damaged one, or one of a newer format.
    """
    import tensorflow as tf

    if not (directory / SAVED_MODEL).is_file():
        raise ValueError(f"{directory}: not an export (it has no {SAVED_MODEL})")
    checked(directory)
    loaded = tf.saved_model.load(str(directory))
    for name in ("encode", "decode", "reconstruct", "sample"):
        if endpoint := getattr(loaded, name, None):
            # A function holds its variables by weak references: who keeps the function alone would lose them.
            endpoint.owner = loaded
    return loaded


def encode_file(
    export: Path, source: str, to: Path, *, batch_size: int = 256, progress: Callable[[str, float], None] | None = None
) -> Path:
    """Encodes examples with an export into a .npz file with `loc` and `scale`, [n, d] each, and what is known of them.

    That is `labels` [n]; `class_names`, what the labels 0, 1, … stand for; `names` [n], the pictures' files.

    Args:
        export: the export's directory.
        source: a .npy, .npz or .csv file, a folder of pictures, or `tfds:NAME/SPLIT` (see `zoo.data.read`).
        to: the .npz file; one that is there is replaced.
        batch_size: examples encoded at once.
        progress: is told what is being done, and the share that is done.

    Returns:
        The path of the .npz file.

    Raises:
        ValueError: no export, examples that it does not take, a table without the columns of the training or with them
            in another order, or a file that cannot be written; in one line.
    """
    card = Card.read(export)
    if to.is_dir():
        raise ValueError(f"{to}: cannot be written: a folder has this name")
    if not to.absolute().parent.is_dir():
        raise ValueError(f"{to}: cannot be written: no such folder {to.absolute().parent}")
    examples = _read(source, card)
    x = examples.images
    loc, scale = (np.empty([len(x), card.latent_dim], np.float32) for _ in range(2))
    try:
        # Opened first, so that a place that cannot be written shows before the work is done.
        with replacing(to) as sibling, sibling.open("wb") as file:
            loaded = load_export(export)
            for start in range(0, len(loc), batch_size):
                rows = slice(start, start + batch_size)
                posterior = _answer(loaded.encode, x[rows], source)
                loc[rows], scale[rows] = posterior["loc"], posterior["scale"]
                if progress:
                    progress("encoding", min(rows.stop / len(loc), 1.0))
            codes = {"loc": loc, "scale": scale}
            if examples.labels is not None:
                codes["labels"] = examples.labels
            if examples.class_names:
                codes["class_names"] = np.array(examples.class_names)
            if examples.names is not None:
                codes["names"] = examples.names
            np.savez(file, allow_pickle=False, **codes)
    except OSError as error:
        raise ValueError(f"{to}: cannot be written: {error.strerror or error}") from None
    return to


def _read(source: str, card: Card) -> data.Examples:
    """The examples of a source, as the export takes them."""
    from zoo.domains import DOMAINS, get

    name = card.domain["name"]
    sizes = [size for size in card.example_shape if size is not None]
    shape = tuple(sizes) if len(sizes) == len(card.example_shape) else None
    kind = "images" if name == "images" else "features"
    section = card.configuration.get("data", {})
    examples = data.read(
        source,
        shape,
        kind=kind,
        label_column=section.get("label_column"),
        columns=card.domain.get("columns", ()),
        skip_unreadable=bool(section.get("skip_unreadable")),
    )
    x = examples.images
    if x.dtype.name not in card.types or (card.support == "categories" and (x == np.round(x)).all()):
        x = x.astype(card.types[0])
    if name in DOMAINS:
        get(card.domain).check(x, source, card.support)
    return replace(examples, images=x)


def _answer(encode: Callable, x: np.ndarray, source: str) -> dict[str, Any]:
    """The codes of a batch; what the graph refuses becomes one line."""
    import tensorflow as tf

    try:
        return encode(x)
    except tf.errors.InvalidArgumentError as error:
        if found := re.search(r"assertion failed: \[(.+)\]", error.message):
            raise ValueError(f"{source}: {found.group(1).replace('] [', ' ')}") from None
        raise
