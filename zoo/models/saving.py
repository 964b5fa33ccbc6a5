"""Loading saved models. Importing this module registers with Keras every class that a saved model can hold."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

import keras

from zoo.models import METHODS

if TYPE_CHECKING:
    from zoo.models.vae import VAE

for _name in METHODS:
    importlib.import_module(f"zoo.models.{_name}")


def load_model(path: str | Path) -> VAE:
    """The model of a `.keras` file, with its networks, its weights and its optimiser's state.

    `keras.saving.load_model` does the same in any process that has imported `zoo`.

    Args:
        path: of the file that `model.save` wrote.

    Raises:
        ValueError: no such file, none of a model, or one that needs a class of yours that has not been imported.
    """
    return keras.saving.load_model(Path(path))
