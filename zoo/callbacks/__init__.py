"""Keras callbacks: what is watched, recorded and saved while a model trains."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.callbacks.alarm import CollapseAlarm as CollapseAlarm
    from zoo.callbacks.checkpoint import Checkpoint as Checkpoint
    from zoo.callbacks.checkpoint import Replay as Replay
    from zoo.callbacks.clock import Clock as Clock
    from zoo.callbacks.information import Information as Information
    from zoo.callbacks.monitor import TensorBoardMonitor as TensorBoardMonitor
    from zoo.callbacks.nan import StopOnNaN as StopOnNaN
    from zoo.callbacks.probe import Probe as Probe
    from zoo.callbacks.progress import Progress as Progress
    from zoo.callbacks.projector import Projector as Projector
    from zoo.callbacks.record import Record as Record

_NAMES = {
    "CollapseAlarm": "alarm",
    "Checkpoint": "checkpoint",
    "Replay": "checkpoint",
    "Clock": "clock",
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
    "Clock",
    "CollapseAlarm",
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
        return getattr(importlib.import_module(f"zoo.callbacks.{_NAMES[name]}"), name)
    raise AttributeError(f"module 'zoo.callbacks' has no attribute {name!r}")
