"""Writing exports: SavedModels that TensorFlow alone can load, each with its card."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from zoo.domains.domain import times
from zoo.export import knowledge
from zoo.export.card import CARD, Card, checksum
from zoo.files import replacing

SAVED_MODEL = "saved_model.pb"


def export_model(model: Any, directory: Path, card: Card | None = None) -> Path:
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
    found, left_out = endpoints(model)
    for name, endpoint in found.items():
        archive.add_endpoint(name, endpoint)
    for name, reason in left_out.items():
        warnings.warn(f"{directory}: has no {name!r}: {reason}", stacklevel=2)
    try:
        with replacing(directory) as sibling:
            archive.write_out(str(sibling), verbose=False)
            card.model_copy(update={"checksum": checksum(sibling), "left_out": left_out}).write(sibling)
    except OSError as error:
        raise ValueError(f"{directory}: cannot be written: {error.strerror or error}") from None
    except tf.errors.OpError as error:
        raise ValueError(f"{directory}: cannot be written: {error.message.splitlines()[0]}") from None
    return directory


def _is_export(directory: Path) -> bool:
    return (directory / SAVED_MODEL).is_file() and (directory / CARD).is_file()
