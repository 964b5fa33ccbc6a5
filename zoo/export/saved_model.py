"""Writing exports: SavedModels that TensorFlow alone can load, each with its card."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from zoo.domains.domain import times
from zoo.export import fixture, knowledge
from zoo.export.card import CARD, MODEL, PORTRAIT, Card, checksum
from zoo.export.half import HalfWeights, light_copy
from zoo.files import NamedBytes, replacing

SAVED_MODEL = "saved_model.pb"


def export_model(
    model: Any,
    directory: Path,
    card: Card | None = None,
    *,
    half: bool = False,
    trainable: bool = False,
    examples: np.ndarray | None = None,
    portrait: bytes | None = None,
) -> Path:
    """Writes a model as a SavedModel that TensorFlow alone can load.

    Endpoints, for any batch size: `encode` (x → `loc`, `scale`), `decode` (z → `mean`), `reconstruct` (x → `mean`) and
    `sample` (n, seed → `mean`). As attributes of the loaded object, `encode` and `reconstruct` take every type of the
    model's domain (of images uint8, float32 and float64), `decode` either kind of float. As signatures, which have one
    type each, they take the domain's first; `encode_uint8` and the like take the others, and `serving_default` is
    `encode`.

    The export appears whole or not at all. One that is there is replaced; if anything fails, it stays as it was.

    Args:
        model: any of the zoo's.
        directory: of the export.
        card: its `checksum` is filled in; by default what the model knows of itself.
        half: store weights in float16 where that moves none by more than a thousandth of the greatest; the arithmetic
            stays in float32.
        trainable: put the Keras model beside, as `model.keras`, without its optimisers' state.
        examples: [n, …], of which some go into the export, with the checksum of their codes in the card.
        portrait: a PNG file's content, which the card shows.

    Returns:
        The directory.

    Raises:
        ValueError: a directory that holds something else or cannot be written, a model that is not built
            and whose encoder does not say what it takes, or the card of another model.

    Warns:
        UserWarning: an endpoint that the model cannot have.
    """
    import keras
    import tensorflow as tf

    from zoo.export.endpoints import endpoints

    knowledge.require_built(model)
    card = card or Card.of_model(model)
    for what, ours in knowledge.examples(model).items():
        if (theirs := getattr(card, what)) != ours:
            shown = [times(one) if what == "example_shape" else one for one in (theirs, ours)]
            raise ValueError(f"card: is of another model: its {what} is {shown[0]}, but the model's is {shown[1]}")
    if directory.exists() and not _is_export(directory) and (directory.is_file() or any(directory.iterdir())):
        raise ValueError(f"{directory}: holds something else than an export; name another directory")
    archive = keras.export.ExportArchive()
    found, left_out = endpoints(model, HalfWeights(model.weights) if half else None)
    for name, endpoint in found.items():
        archive.add_endpoint(name, endpoint)
    for name, reason in left_out.items():
        warnings.warn(f"{directory}: has no {name!r}: {reason}", stacklevel=2)
    try:
        with replacing(directory) as sibling:
            logger = tf.get_logger()
            level = logger.level
            # It would name the place where the export is written first, in notebooks on standard output.
            logger.setLevel("WARNING")
            try:
                archive.write_out(str(sibling), verbose=False)
            finally:
                logger.setLevel(level)
            if trainable:
                (sibling / MODEL).write_bytes(_keras_file(model, half))
            codes = ""
            if examples is not None:
                written = tf.saved_model.load(str(sibling))
                codes = fixture.write(
                    sibling, examples, lambda x: tuple(written.encode(x)[p] for p in ("loc", "scale"))
                )
            if portrait:
                (sibling / PORTRAIT).parent.mkdir(exist_ok=True)
                (sibling / PORTRAIT).write_bytes(portrait)
            found_out = {"checksum": checksum(sibling), "left_out": left_out, "codes": codes}
            how = {"stored": "float16" if half else "float32", "trainable": trainable, "portrait": bool(portrait)}
            card.model_copy(update={**found_out, **how}).write(sibling)
    except OSError as error:
        raise ValueError(f"{directory}: cannot be written: {error.strerror or error}") from None
    except tf.errors.OpError as error:
        raise ValueError(f"{directory}: cannot be written: {error.message.splitlines()[0]}") from None
    return directory


def _keras_file(model: Any, half: bool) -> bytes:
    """The content of a `.keras` file without the optimisers' state."""
    content = NamedBytes(MODEL)
    model.save(content)
    return light_copy(content.getvalue(), half)


def _is_export(directory: Path) -> bool:
    return (directory / SAVED_MODEL).is_file() and (directory / CARD).is_file()
