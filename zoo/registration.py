"""Lets `keras.saving.load_model` find the zoo's classes although `import zoo` does not load them.

Keras rebuilds a saved object from the class registered under its name. Registering normally takes importing the
class, hence TensorFlow; here a stand-in is registered as soon as Keras is there, and it loads the real class when
Keras asks it to rebuild something.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

# Every class of the zoo that a saved model can hold, by module.
SAVED_CLASSES = {
    "zoo.models.vae": ["VAE"],
    "zoo.models.contrastive": ["ContrastiveVAE"],
    "zoo.models.consistency": ["ConsistencyVAE"],
    "zoo.models.triplet": ["TripletVAE"],
    "zoo.models.noise_contrastive": ["NoiseContrastiveVAE"],
    "zoo.models.critic": ["InferenceCriticVAE"],
    "zoo.models.auxiliary_softmax": ["AuxiliarySoftmaxVAE"],
    "zoo.models.iwae": ["IWAE"],
    "zoo.models.combination": ["Combination"],
    "zoo.networks.posterior": ["GaussianHead"],
    "zoo.networks.normalization": ["FusedBatchNormalization"],
    "zoo.likelihoods": ["Bernoulli", "Gaussian"],
    "zoo.transformations": ["RandomAffine"],
    "zoo.views": ["RandomResizedCrop", "RandomFlip", "ColorJitter", "RandomGrayscale"],
}


def when_keras_is_imported() -> None:
    """Registers the stand-ins now if Keras is loaded, else right after it has been."""
    if "keras" in sys.modules and hasattr(sys.modules["keras"], "saving"):
        _register()
    else:
        sys.meta_path.insert(0, _KerasFinder())


def _stand_in(module: str, name: str) -> type:
    def from_config(cls: type, config: dict) -> Any:
        return getattr(importlib.import_module(module), name).from_config(config)

    return type(name, (), {"__module__": module, "from_config": classmethod(from_config)})


def _register() -> None:
    registered = sys.modules["keras"].saving.get_custom_objects()
    for module, names in SAVED_CLASSES.items():
        for name in names:
            registered.setdefault(f"zoo>{name}", _stand_in(module, name))


class _KerasFinder(importlib.abc.MetaPathFinder):
    """Steps in when Keras is imported, and leaves the finding to the finders behind it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != "keras":
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        specs = (finder.find_spec(fullname, path, target) for finder in others if hasattr(finder, "find_spec"))
        spec = next((found for found in specs if found is not None), None)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            # Only now: others, TensorFlow among them, ask for the spec without importing.
            if self in sys.meta_path:
                sys.meta_path.remove(self)
            execute(module)
            _register()

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec
