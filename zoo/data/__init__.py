"""Data sets: from a name or a path to images in memory, and from there to `tf.data`.

Importing this package imports neither TensorFlow nor NumPy: `load` and `read` do so when they are called. The
pipelines are in `zoo.data.pipeline`, the checks of pixels in `zoo.data.pixels`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.data.catalogue import CATALOGUE, Source, source
from zoo.data.examples import Examples

if TYPE_CHECKING:
    from zoo.data.indexing import with_index
    from zoo.data.loading import load, read

__all__ = ["CATALOGUE", "Examples", "Source", "load", "read", "source", "with_index"]


def __getattr__(name: str) -> Any:
    if name == "with_index":
        from zoo.data import indexing

        return indexing.with_index
    if name in ("load", "read"):
        from zoo.data import loading

        return getattr(loading, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
