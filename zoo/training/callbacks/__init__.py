"""Keras callbacks: what is watched, recorded and saved while a model trains."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.training.callbacks.alarm import CollapseAlarm as CollapseAlarm
    from zoo.training.callbacks.checkpoint import Checkpoint as Checkpoint
    from zoo.training.callbacks.checkpoint import Replay as Replay
    from zoo.training.callbacks.clock import Clock as Clock
    from zoo.training.callbacks.information import Information as Information
    from zoo.training.callbacks.monitor import TensorBoardMonitor as TensorBoardMonitor
    from zoo.training.callbacks.nan import StopOnNaN as StopOnNaN
    from zoo.training.callbacks.probe import Probe as Probe
    from zoo.training.callbacks.progress import Progress as Progress
    from zoo.training.callbacks.projector import Projector as Projector
    from zoo.training.callbacks.record import Record as Record
    from zoo.training.callbacks.selection import ChosenWeights as ChosenWeights
    from zoo.training.callbacks.selection import EndEarly as EndEarly

_NAMES = {
    "CollapseAlarm": "alarm",
    "Checkpoint": "checkpoint",
    "Replay": "checkpoint",
    "ChosenWeights": "selection",
    "Clock": "clock",
    "EndEarly": "selection",
    "Information": "information",
    "TensorBoardMonitor": "monitor",
    "StopOnNaN": "nan",
    "Probe": "probe",
    "Progress": "progress",
    "Projector": "projector",
    "Record": "record",
}

__all__ = [
    "Checkpoint",
    "ChosenWeights",
    "Clock",
    "CollapseAlarm",
    "EndEarly",
    "Information",
    "Probe",
    "Progress",
    "Projector",
    "Record",
    "Replay",
    "StopOnNaN",
    "TensorBoardMonitor",
]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(importlib.import_module(f"zoo.training.callbacks.{_NAMES[name]}"), name)
    raise AttributeError(f"module 'zoo.training.callbacks' has no attribute {name!r}")
