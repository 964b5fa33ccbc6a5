"""Reading exports: loading one, and encoding files with it, however many examples they hold."""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from zoo import data
from zoo.export.card import CARD, Card, versions
from zoo.export.codes import Origin, writing
from zoo.export.finding import checked, find
from zoo.export.saved_model import SAVED_MODEL


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
    export: Path,
    source: str | data.Stream,
    to: Path,
    *,
    batch_size: int = 256,
    progress: Callable[[str, float], None] | None = None,
    note: Callable[[str], None] | None = None,
) -> Path:
    """Encodes examples with an export into a .npz file with `loc` and `scale`, [n, d] each, and what is known of them.

    That is `labels` [n]; `class_names`, what the labels 0, 1, … stand for; `names` [n], the pictures' files.

    Examples are read, checked, encoded and written batch by batch: memory holds a batch, labels and names (see
    `zoo.data.stream`). After a kill the same call goes on with what is in a hidden folder beside `to`, if neither the
    export nor the source has changed, and ends with the same bytes as if nothing had happened.

    Args:
        export: the export's directory.
        source: a .npy, .npz or .csv file, a folder of pictures, or `tfds:NAME/SPLIT` (see `zoo.data.read`); or what
            `open_source` returned for one.
        to: the .npz file; one that is there is replaced.
        batch_size: examples encoded at once.
        progress: is told what is being done, and the share that is done.
        note: is told whether an encoding that was killed is gone on with, or why not.

    Returns:
        The path of the .npz file.

    Raises:
        ValueError: no export, examples that it does not take, a table without the columns of the training or with them
            in another order, or a file that cannot be written; in one line.
        OSError: the source cannot be read.
    """
    card = Card.read(export)
    if to.is_dir():
        raise ValueError(f"{to}: cannot be written: a folder has this name")
    if not to.absolute().parent.is_dir():
        raise ValueError(f"{to}: cannot be written: no such folder {to.absolute().parent}")
    stream = open_source(export, source) if isinstance(source, str) else source
    digest = hashlib.sha256((export / CARD).read_bytes()).hexdigest()
    origin = Origin(export=digest, input=stream.fingerprint(), batch_size=batch_size, software=versions())
    with writing(to, card.latent_dim, origin) as codes:
        if note and codes.begun_anew:
            note(f"{to}: an encoding was interrupted; beginning anew: {codes.begun_anew}")
        elif note and codes.done:
            note(f"{to}: going on after {codes.done:,} of {stream.count:,} examples")
        loaded, prepare = load_export(export), _preparation(card)
        for start in range(codes.done, stream.count, batch_size):
            with warnings.catch_warnings():
                # They were given for the first examples, when the source was opened.
                warnings.simplefilter("ignore")
                part = stream.read(start, start + batch_size)
                where = stream.where(start, min(start + batch_size, stream.count))
                loc = scale = np.empty([0, card.latent_dim], np.float32)
                if len(part.rows):
                    posterior = _answer(loaded.encode, prepare(part.x, where), where)
                    loc, scale = posterior["loc"].numpy(), posterior["scale"].numpy()
            done = min(start + batch_size, stream.count)
            codes.append(loc, scale, done, np.setdiff1d(np.arange(start, done), part.rows).tolist())
            if progress:
                progress("encoding", done / stream.count)
        if stream.fingerprint() != origin.input:
            raise ValueError(f"{stream.source}: has changed while it was encoded; encode it again")
        codes.finish(_known(stream, codes.left_out))
    return to


def open_source(export: Path, source: str) -> data.Stream:
    """Opens the examples of a source as an export takes them; of sources, only `tfds:` loads TensorFlow.

    Raises:
        ValueError: as `zoo.data.stream`, or no export.
    """
    card = Card.read(export)
    sizes = [size for size in card.example_shape if size is not None]
    section = card.configuration.get("data", {})
    return data.stream(
        source,
        tuple(sizes) if len(sizes) == len(card.example_shape) else None,
        kind="images" if card.domain["name"] == "images" else "features",
        label_column=section.get("label_column"),
        columns=card.domain.get("columns", ()),
        skip_unreadable=bool(section.get("skip_unreadable")),
    )


def _preparation(card: Card) -> Callable[[np.ndarray, str], np.ndarray]:
    """What checks a batch and gives it the type that the export takes, of the batch and what holds it."""
    from zoo.domains import DOMAINS, get

    domain = get(card.domain) if card.domain["name"] in DOMAINS else None

    def prepare(x: np.ndarray, where: str) -> np.ndarray:
        if x.dtype.name not in card.types or (card.support == "categories" and (x == np.round(x)).all()):
            x = x.astype(card.types[0])
        if domain is not None:
            domain.check(x, where, card.support)
        return x

    return prepare


def _known(stream: data.Stream, left_out: list[int]) -> dict[str, np.ndarray]:
    """What is known of the examples beside their codes, by the names in the file."""
    known = stream.known(left_out)
    found = {"labels": known.labels, "names": known.names}
    if known.class_names:
        found["class_names"] = np.array(known.class_names)
    return {name: found[name] for name in ("labels", "class_names", "names") if found.get(name) is not None}


def _answer(encode: Callable, x: np.ndarray, where: str) -> dict[str, Any]:
    """The codes of a batch; what the graph refuses becomes one line."""
    import tensorflow as tf

    try:
        return encode(x)
    except tf.errors.InvalidArgumentError as error:
        if found := re.search(r"assertion failed: \[(.+)\]", error.message):
            raise ValueError(f"{where}: {found.group(1).replace('] [', ' ')}") from None
        raise
