"""Data sets: from a name or a path to examples in memory, and from there to `tf.data`.

Importing this package imports neither TensorFlow nor NumPy: `load` and `read` do so when they are called. The
pipelines are in `zoo.data.pipeline`, the checks of images in `zoo.data.pixels`, those of features in `zoo.data.values`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from zoo.data.catalogue import CATALOGUE, Source, source
from zoo.data.examples import Examples

if TYPE_CHECKING:
    from zoo.data.indexing import with_index
    from zoo.data.loading import load, read
    from zoo.data.streaming import Stream, stream
    from zoo.data.values import statistics

__all__ = ["CATALOGUE", "Examples", "Source", "Stream", "load", "read", "source", "statistics", "stream", "with_index"]


_MODULES = {
    "with_index": "indexing",
    "load": "loading",
    "read": "loading",
    "statistics": "values",
    "stream": "streaming",
    "Stream": "streaming",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(f"zoo.data.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
