"""The zoo of regularised variational auto-encoders: published cures for posterior collapse, side by side, in Keras.

Importing it registers its classes with Keras, so that `keras.saving.load_model` finds them. Only the command line,
which must answer `--help` without waiting for TensorFlow, loads what it needs when it needs it.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.export.encoding import load_encoder as load_encoder
    from zoo.latents.posterior import Latents as Latents
    from zoo.likelihoods import Bernoulli as Bernoulli
    from zoo.likelihoods import Gaussian as Gaussian
    from zoo.likelihoods import Likelihood as Likelihood
    from zoo.models.auxiliary_softmax import AuxiliarySoftmaxVAE as AuxiliarySoftmaxVAE
    from zoo.models.combination import combine as combine
    from zoo.models.consistency import ConsistencyVAE as ConsistencyVAE
    from zoo.models.contrastive import ContrastiveVAE as ContrastiveVAE
    from zoo.models.critic import InferenceCriticVAE as InferenceCriticVAE
    from zoo.models.iwae import IWAE as IWAE
    from zoo.models.noise_contrastive import NoiseContrastiveVAE as NoiseContrastiveVAE
    from zoo.models.objective import Term as Term
    from zoo.models.saving import load as load
    from zoo.models.saving import load_model as load_model
    from zoo.models.triplet import TripletVAE as TripletVAE
    from zoo.models.vae import VAE as VAE
    from zoo.parameters import Strength as Strength
    from zoo.training.live import Live as Live
    from zoo.training.live import configuration as configuration
    from zoo.training.players import Player as Player

from zoo.version import __version__

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
    "load": "zoo.models.saving",
    "load_encoder": "zoo.export.encoding",
    "load_model": "zoo.models.saving",
    "Latents": "zoo.latents.posterior",
    "Term": "zoo.models.objective",
    "Player": "zoo.training.players",
    "Live": "zoo.training.live",
    "configuration": "zoo.training.live",
    "Strength": "zoo.parameters",
    "Likelihood": "zoo.likelihoods",
    "Bernoulli": "zoo.likelihoods",
    "Gaussian": "zoo.likelihoods",
}
# Rooms by the names under which scripts use them.
_ROOMS = {
    "augmentation": "zoo.augmentation",
    "callbacks": "zoo.training.callbacks",
    "data": "zoo.data",
    "domains": "zoo.domains",
    "experiments": "zoo.experiments",
    "export": "zoo.export",
    "latents": "zoo.latents",
    "likelihoods": "zoo.likelihoods",
    "metrics": "zoo.metrics",
    "models": "zoo.models",
    "networks": "zoo.networks",
    "papers": "zoo.papers",
    "replicas": "zoo.replicas",
    "report": "zoo.report",
    "training": "zoo.training",
    "tuning": "zoo.experiments.tuning",
}

__all__ = [
    "IWAE", "VAE", "AuxiliarySoftmaxVAE", "ConsistencyVAE", "ContrastiveVAE", "InferenceCriticVAE", "Latents",
    "NoiseContrastiveVAE", "TripletVAE", "__version__", "combine", "load", "load_encoder", "load_model",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    if name in _ROOMS:
        return importlib.import_module(_ROOMS[name])
    raise AttributeError(f"module 'zoo' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*_NAMES, *_ROOMS, "__version__"])


def _is_command() -> bool:
    """Whether this process is the command `zoo`, or `python -m zoo`."""
    return Path(sys.argv[0] if sys.argv else "").name in {"zoo", "zoo.exe", "-m"}


# TensorFlow turns its oneDNN kernels on by itself only where a processor has AVX-512. On the others they are as fast or
# up to 2.6 times faster (docs/results.md). It reads this once, while it is imported.
if "tensorflow" not in sys.modules:
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

if not _is_command():
    importlib.import_module("zoo.models.saving")
