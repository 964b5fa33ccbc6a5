"""The zoo of regularised variational auto-encoders: published cures for posterior collapse, side by side, in Keras.

Importing the package is cheap: its public names are loaded when they are first used, so that the command line
answers without waiting for TensorFlow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from zoo import registration

if TYPE_CHECKING:
    from zoo.latents import Latents as Latents
    from zoo.likelihoods import Bernoulli as Bernoulli
    from zoo.likelihoods import Gaussian as Gaussian
    from zoo.models.auxiliary_softmax import AuxiliarySoftmaxVAE as AuxiliarySoftmaxVAE
    from zoo.models.combination import combine as combine
    from zoo.models.consistency import ConsistencyVAE as ConsistencyVAE
    from zoo.models.contrastive import ContrastiveVAE as ContrastiveVAE
    from zoo.models.critic import InferenceCriticVAE as InferenceCriticVAE
    from zoo.models.iwae import IWAE as IWAE
    from zoo.models.noise_contrastive import NoiseContrastiveVAE as NoiseContrastiveVAE
    from zoo.models.triplet import TripletVAE as TripletVAE
    from zoo.models.vae import VAE as VAE

__version__ = "0.1.0"

_NAMES = {
    "VAE": "zoo.models.vae",
    "ContrastiveVAE": "zoo.models.contrastive",
    "ConsistencyVAE": "zoo.models.consistency",
    "TripletVAE": "zoo.models.triplet",
    "NoiseContrastiveVAE": "zoo.models.noise_contrastive",
    "InferenceCriticVAE": "zoo.models.critic",
    "AuxiliarySoftmaxVAE": "zoo.models.auxiliary_softmax",
    "IWAE": "zoo.models.iwae",
    "combine": "zoo.models.combination",
    "Latents": "zoo.latents",
    "Bernoulli": "zoo.likelihoods",
    "Gaussian": "zoo.likelihoods",
}
_ROOMS = {
    "callbacks", "config", "configurations", "data", "distribution", "evaluation", "export", "latents", "likelihoods",
    "metrics", "models", "networks", "report", "run", "transformations", "tuning", "views",
}  # fmt: skip

__all__ = [
    "IWAE", "VAE", "AuxiliarySoftmaxVAE", "ConsistencyVAE", "ContrastiveVAE", "InferenceCriticVAE", "Latents",
    "NoiseContrastiveVAE", "TripletVAE", "__version__", "combine",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    if name in _ROOMS:
        return importlib.import_module(f"zoo.{name}")
    raise AttributeError(f"module 'zoo' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*_NAMES, *_ROOMS, "__version__"])


registration.when_keras_is_imported()
