"""Exports: SavedModels that encode without the zoo, each with its card (`zoo.export.card`)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo import data
from zoo.data.pixels import check_pixels, to_unit_interval
from zoo.export.card import CARD, INDEX, README, Card, cards, checksum
from zoo.files import replacing

if TYPE_CHECKING:
    import tensorflow as tf

    from zoo.models.vae import VAE

SAVED_MODEL = "saved_model.pb"
Endpoint = Any  # a tf.function


# ── Writing ──────────────────────────────────────────────────────────────────────────────────────────────────────


def export_model(model: VAE, directory: Path, card: Card) -> Path:
    """Writes a model as a SavedModel that TensorFlow alone can load.

    Endpoints, for any batch size: `encode` (x → `loc`, `scale`), `decode` (z → `mean`), `reconstruct` (x → `mean`) and
    `sample` (n, seed → `mean`). As attributes of the loaded object, `encode` and `reconstruct` take uint8, float32 and
    float64 images, `decode` either kind of float. As signatures, which have one type each, they take float32;
    `encode_uint8` and `reconstruct_uint8` take uint8, and `serving_default` is `encode`.

    The export appears whole or not at all. One that is there is replaced; if anything fails, it stays as it was.

    Args:
        model: built.
        directory: of the export.
        card: its `checksum` is filled in.

    Returns:
        The directory.

    Raises:
        ValueError: a directory that holds something else or cannot be written, or a model that is not built.
    """
    import keras
    import tensorflow as tf

    if not model.built:
        raise ValueError(
            f"{type(model).__name__}: has no weights yet; build it, or call it on images, before exporting"
        )
    if directory.exists() and not _is_export(directory) and (directory.is_file() or any(directory.iterdir())):
        raise ValueError(f"{directory}: holds something else than an export; name another directory")
    archive = keras.export.ExportArchive()
    for name, endpoint in _endpoints(model).items():
        archive.add_endpoint(name, endpoint)
    try:
        with replacing(directory) as sibling:
            archive.write_out(str(sibling), verbose=False)
            card.model_copy(update={"checksum": checksum(sibling)}).write(sibling)
    except OSError as error:
        raise ValueError(f"{directory}: cannot be written: {error.strerror or error}") from None
    except tf.errors.OpError as error:
        raise ValueError(f"{directory}: cannot be written: {error.message.splitlines()[0]}") from None
    return directory


def _endpoints(model: VAE) -> dict[str, Endpoint]:
    """The traced functions by name; the first becomes `serving_default`."""
    import keras
    import tensorflow as tf

    def stateless() -> keras.StatelessScope:
        # Encoding draws a sample too, which nobody looks at here: without this, the export would hold a counter.
        return keras.StatelessScope([(model.evaluation_step, tf.zeros([], tf.int64))])

    def encode(x: tf.Tensor) -> dict[str, tf.Tensor]:
        with stateless():
            return dict(model.encode(x)._asdict())

    def reconstruct(x: tf.Tensor) -> dict[str, tf.Tensor]:
        with stateless():
            return {"mean": model.reconstruct(x)}

    def decode(z: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"mean": model.decode(z)}

    def sample(n: tf.Tensor, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"mean": model.sample(n, seed)}

    def traced(function: Callable, *signatures: list[tf.TensorSpec]) -> Endpoint:
        made = tf.function(function, autograph=False)
        for signature in signatures:
            made.get_concrete_function(*signature)
        return made

    def typed(function: Callable, name: str, shape: tuple) -> Callable[..., Endpoint]:
        # The network is in the graph once, as a function of float32, which those of the other types call.
        core = traced(function, [tf.TensorSpec((None, *shape), tf.float32, name)])

        def converted(values: tf.Tensor) -> dict[str, tf.Tensor]:
            return core(to_unit_interval(values))

        return lambda *dtypes: traced(converted, *([tf.TensorSpec((None, *shape), dtype, name)] for dtype in dtypes))

    encodes = typed(encode, "x", model.example_shape)
    reconstructs = typed(reconstruct, "x", model.example_shape)
    decodes = typed(decode, "z", (model.latent_dim,))
    return {
        # The first type is the signature's.
        "encode": encodes(tf.float32, tf.uint8, tf.float64),
        "encode_uint8": encodes(tf.uint8),
        "reconstruct": reconstructs(tf.float32, tf.uint8, tf.float64),
        "reconstruct_uint8": reconstructs(tf.uint8),
        "decode": decodes(tf.float32, tf.float64),
        "sample": traced(sample, [tf.TensorSpec([], tf.int32, "n"), tf.TensorSpec([], tf.int32, "seed")]),
    }


def _is_export(directory: Path) -> bool:
    return (directory / SAVED_MODEL).is_file() and (directory / CARD).is_file()


def update_index(exports: Path) -> Path:
    """Writes `index.json`, the list of all exports under a folder, from their cards.

    Returns:
        The file's path.

    Raises:
        ValueError: a card is damaged.
    """
    entries: list[dict[str, Any]] = []
    for name, card in cards(exports).items():
        kept = card.model_dump(
            mode="json",
            include={"method", "image_shape", "latent_dim", "metrics", "checksum"},
            exclude_none=True,
        )
        entries.append({"name": name, "summary": card.summary(), "data": card.data.name, **kept})
    with replacing(exports / INDEX) as sibling:
        sibling.write_text(json.dumps({"exports": entries}, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return exports / INDEX


# ── Reading ──────────────────────────────────────────────────────────────────────────────────────────────────────


def load_export(directory: Path) -> Any:
    """The SavedModel of an export, after a look at its checksum: an object with the endpoints as methods.

    Raises:
        ValueError: no export, or a damaged one.
    """
    import tensorflow as tf

    if not (directory / SAVED_MODEL).is_file():
        raise ValueError(f"{directory}: not an export (it has no {SAVED_MODEL})")
    if Card.read(directory).checksum != checksum(directory):
        raise ValueError(f"{directory}: damaged: its files do not have the checksum that {README} states")
    return tf.saved_model.load(str(directory))


def encode_file(
    export: Path, source: str, to: Path, *, batch_size: int = 256, progress: Callable[[str, float], None] | None = None
) -> Path:
    """Encodes images with an export into a .npz file with `loc`, `scale` and, where they are known, `labels`.

    Args:
        export: the export's directory.
        source: a .npy or .npz file, a folder of pictures, or `tfds:NAME/SPLIT` (see `zoo.data.read`).
        to: the .npz file; one that is there is replaced.
        batch_size: images encoded at once.
        progress: is told what is being done, and the share that is done.

    Returns:
        The path of the .npz file.

    Raises:
        ValueError: no export, images that it does not take, or a file that cannot be written; in one line.
    """
    card = Card.read(export)
    if to.is_dir():
        raise ValueError(f"{to}: cannot be written: a folder has this name")
    if not to.absolute().parent.is_dir():
        raise ValueError(f"{to}: cannot be written: no such folder {to.absolute().parent}")
    examples = data.read(source, card.image_shape)
    check_pixels(examples.images, where=source, unit_interval=card.unit_interval)
    loc, scale = (np.empty([len(examples.images), card.latent_dim], np.float32) for _ in range(2))
    try:
        # Opened first, so that a place that cannot be written shows before the work is done.
        with replacing(to) as sibling, sibling.open("wb") as file:
            model = load_export(export)
            for start in range(0, len(loc), batch_size):
                rows = slice(start, start + batch_size)
                posterior = model.encode(examples.images[rows])
                loc[rows], scale[rows] = posterior["loc"], posterior["scale"]
                if progress:
                    progress("encoding", min(rows.stop / len(loc), 1.0))
            codes = {"loc": loc, "scale": scale}
            if examples.labels is not None:
                codes["labels"] = examples.labels
            np.savez(file, allow_pickle=False, **codes)
    except OSError as error:
        raise ValueError(f"{to}: cannot be written: {error.strerror or error}") from None
    return to
