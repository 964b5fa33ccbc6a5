"""Loading saved models. Importing this module registers with Keras every class of the zoo that one can hold."""

from __future__ import annotations

import importlib
import inspect
import json
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from zoo import outside
from zoo.domains import DOMAINS, Domain
from zoo.export.finding import keras_file
from zoo.latents.prior import Prior
from zoo.likelihoods import LIKELIHOODS
from zoo.models import METHODS, method
from zoo.training.schedules import Schedule

if TYPE_CHECKING:
    from zoo.models.vae import VAE

for _module in (
    *(f"zoo.models.{name}" for name in (*METHODS, "combination")),
    *(f"zoo.likelihoods.{name}" for name in LIKELIHOODS),
    *(f"zoo.domains.{name}" for name in DOMAINS),
    *(f"zoo.augmentation.{name}" for name in ("affine", "features", "images")),
    *("zoo.latents.prior", "zoo.networks.normalization", "zoo.training.schedules"),
):
    importlib.import_module(_module)


def load_model(path: str | Path) -> VAE:
    """The model of a `.keras` file, with its networks, its weights and its optimiser's state.

    `keras.saving.load_model` does the same in any process that has imported `zoo`, but for classes from outside the
    zoo, which it must have been told of. Here their modules are imported: those of a run from where the run found
    them, others from Python's path, the current folder or beside the file. So load only files from folders that you
    trust. A file alone can name no more than parts of models: classes of Keras's kinds, and functions of modules of
    your own.

    Args:
        path: of the file that `model.save` wrote.

    Raises:
        ValueError: no such file, none of a model, or one that needs a class that cannot be imported, or something that
            is no part of a model.
    """
    file = Path(path)
    return keras.saving.load_model(file, custom_objects=_from_outside(file))


def load(name: str | Path) -> VAE:
    """A trained model, to be trained on, fine-tuned or looked at: `model.compile(…)`, `model.fit(…)`.

    It has its weights and its hyperparameters. An export has no optimiser's state; a run's model has.

    Args:
        name: of one of the zoo's exports, such as `mnist/contrastive`; the folder of an export or of a run; or
            `hf://owner/name`.

    Raises:
        ValueError: there is none, a damaged one, one of a newer format, or an export without a Keras model.
    """
    return load_model(keras_file(name))


def _from_outside(file: Path) -> dict[str, Any]:
    """The classes and functions that a file needs and neither the zoo nor Keras has, by their names in the file."""
    try:
        with zipfile.ZipFile(file) as parts:
            config = json.loads(parts.read("config.json"))
    except Exception:  # Keras says what is wrong with the file.
        return {}
    found: dict[str, Any] = {}
    folders = outside.folders_for(file)
    for name, given in _names(config):
        if given == "methods":
            if "<locals>" not in name:
                method(name, folders)
        elif keras.saving.get_registered_object(given) is None:
            thing = _part_of_a_model(name, folders)
            # Its author may have registered it in the module that has just been imported.
            if keras.saving.get_registered_object(given) is None:
                found[given] = thing
    return found


def _part_of_a_model(name: str, folders: list[Path]) -> Any:
    """The class or function of a name, if a saved model can hold it.

    Keras calls what a file names; functions such as `os.system` are none of its business.
    """
    module = name.partition(":")[0]
    if module.partition(".")[0] not in sys.stdlib_module_names or module == "__main__":
        thing = outside.find(name, "any", folders)
        own = inspect.isfunction(thing) and thing.__module__ == module and not outside.is_installed(module)
        if own or (isinstance(thing, type) and issubclass(thing, _PARTS)):
            return thing
    raise ValueError(f"{name}: is no part of a model (a class derived from one of Keras's, or a function of your own)")


def _names(tree: Any) -> Iterator[tuple[str, str]]:
    """(`module:Name`, the name that Keras looks up) of all that is from outside; of combined methods `methods`."""
    if isinstance(tree, list):
        for value in tree:
            yield from _names(value)
    elif isinstance(tree, dict):
        module, named = tree.get("module"), tree.get("class_name")
        if isinstance(module, str) and isinstance(named, str) and module.partition(".")[0] not in _KNOWN:
            name = tree["config"] if named == "function" else named
            yield f"{module}:{name}", name if named == "function" else tree.get("registered_name") or name
        if module == "zoo.models.combination":
            yield from ((name, "methods") for name in tree["config"]["methods"] if outside.is_outside(name))
        for value in tree.values():
            yield from _names(value)


_PARTS = (
    keras.layers.Layer,
    keras.Optimizer,
    keras.Loss,
    keras.Metric,
    keras.initializers.Initializer,
    keras.regularizers.Regularizer,
    keras.constraints.Constraint,
    Schedule,
    Domain,
    Prior,
)
# Modules whose classes Keras finds by itself.
_KNOWN = {"builtins", "keras", "zoo"}
