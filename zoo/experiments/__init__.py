"""What a command does, as functions: configurations, run directories, training, evaluation, tuning.

Nothing heavy is imported before it is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.experiments.building import build_model as build_model
    from zoo.experiments.building import load_split as load_split
    from zoo.experiments.evaluation import evaluate as evaluate
    from zoo.experiments.evaluation import evaluate_model as evaluate_model
    from zoo.experiments.finished import export_run as export_run
    from zoo.experiments.finished import load_model as load_model
    from zoo.experiments.finished import read_model as read_model
    from zoo.experiments.fitting import train as train
    from zoo.experiments.tuning import hypermodel as hypermodel

_NAMES = {
    "build_model": "building",
    "load_split": "building",
    "evaluate": "evaluation",
    "evaluate_model": "evaluation",
    "export_run": "finished",
    "load_model": "finished",
    "read_model": "finished",
    "train": "fitting",
    "hypermodel": "tuning",
}


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(importlib.import_module(f"zoo.experiments.{_NAMES[name]}"), name)
    raise AttributeError(f"module 'zoo.experiments' has no attribute {name!r}")
