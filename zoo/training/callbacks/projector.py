"""Test codes for TensorBoard's projector: where they lie, of which image and of which class each is."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from google.protobuf import text_format
from PIL import Image
from tensorboard.plugins.projector import EmbeddingInfo, ProjectorConfig
from tensorboard.plugins.projector.metadata import PROJECTOR_FILENAME

from zoo.data.examples import Examples
from zoo.domains import pictures
from zoo.files import replacing

FOLDER = "projector"
# TensorBoard shows no sprite that is wider or higher.
LARGEST = 8192


class Projector(keras.callbacks.Callback):
    """Writes codes (posterior means) of test images for the projector when training has ended.

    Args:
        directory: of the run's event files; what the projector shows goes into its folder `projector`.
        examples: reads the test split; only called at the end. Where it raises ValueError (no such split), or its
            images are none for the model, nothing is written.
        count: how many codes, from the first; never more images than one sprite holds.
        announce: is told in a line why nothing was written.
    """

    def __init__(
        self,
        directory: Path,
        examples: Callable[[], Examples],
        count: int = 1000,
        announce: Callable[[str], None] = print,
    ) -> None:
        super().__init__()
        self.directory = directory
        self.examples = examples
        self.count = count
        self.announce = announce

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Encodes the images and writes codes, labels, of images a sprite, and last the file that names them."""
        try:
            shown = self.examples()
            images = shown.images
            fitting = (LARGEST // max(images.shape[1:3])) ** 2 if images.ndim == 4 else self.count
            shown = shown.take(slice(min(self.count, fitting)))
            loc = self.model.posteriors(shown.images).loc
        except ValueError as error:
            self.announce(f"no codes for TensorBoard's projector: {error}")
            return
        if np.isfinite(loc).all():
            self._write(shown, loc)

    def _write(self, shown: Examples, loc: np.ndarray) -> None:
        images = shown.images
        codes = io.StringIO()
        np.savetxt(codes, loc, fmt="%.6g", delimiter="\t")
        columns = {"label": shown.classes(), "image": np.arange(len(loc)), "file": shown.names}
        known = {name: [_cell(value) for value in column] for name, column in columns.items() if column is not None}
        rows = ["\t".join(cells) for cells in zip(*known.values(), strict=True)]
        # A table of one column has no heading there.
        heading = ["\t".join(known)] if len(known) > 1 else []
        embedding = EmbeddingInfo(
            tensor_name="test codes", tensor_path=f"{FOLDER}/codes.tsv", metadata_path=f"{FOLDER}/images.tsv"
        )
        pictured = self._sprite(images, embedding) if images.ndim == 4 else {}
        config = text_format.MessageToString(ProjectorConfig(embeddings=[embedding]))
        files = {
            f"{FOLDER}/codes.tsv": codes.getvalue().encode(),
            f"{FOLDER}/images.tsv": "\n".join([*heading, *rows, ""]).encode(),
            **pictured,
            PROJECTOR_FILENAME: config.encode(),
        }
        for name, content in files.items():
            with replacing(self.directory / name) as sibling:
                sibling.write_bytes(content)

    def _sprite(self, images: np.ndarray, embedding: EmbeddingInfo) -> dict[str, bytes]:
        """The file of all images beside each other, which the embedding is told of."""
        sprite = io.BytesIO()
        # The projector expects as many images a row as make a square.
        whole = pictures.grid(images, margin=0)
        Image.fromarray(whole[..., 0] if whole.shape[-1] == 1 else whole).save(sprite, "PNG")
        embedding.sprite.image_path = f"{FOLDER}/images.png"
        embedding.sprite.single_image_dim.extend([images.shape[2], images.shape[1]])
        return {f"{FOLDER}/images.png": sprite.getvalue()}


def _cell(value: object) -> str:
    """A name in a table of lines and tabs."""
    return " ".join(str(value).split())
