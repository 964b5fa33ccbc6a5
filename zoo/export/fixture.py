"""A few examples beside an export, and the checksum of their codes: whether it encodes here as where it was made."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

FIXTURE = Path("assets.extra") / "examples.npz"
# Codes are rounded to tenths; none is nearer to where the rounding turns than another processor's arithmetic takes it.
_STEP = 0.1
_MARGIN = 0.002
_EXAMPLES = 8
# Of so many examples the first that keep the margin are taken.
_AMONG = 500


def codes_checksum(loc: Any, scale: Any) -> str:
    """`sha256:` and the digest over codes in tenths: the bytes of loc, then of scale, as little-endian int32.

    Args:
        loc: posterior means, [n, d].
        scale: posterior standard deviations, [n, d].
    """
    tenths = [np.rint(np.asarray(part, np.float64) / _STEP).astype("<i4") for part in (loc, scale)]
    return f"sha256:{hashlib.sha256(b''.join(part.tobytes() for part in tenths)).hexdigest()}"


def write(directory: Path, x: np.ndarray, encode: Callable[[np.ndarray], tuple[Any, Any]]) -> str:
    """Puts examples into an export, and returns the checksum of their codes; empty where no example keeps the margin.

    Args:
        directory: of the export.
        x: examples to choose from, [n, …].
        encode: gives loc and scale, [n, d] each.
    """
    codes = [np.asarray(part, np.float64) for part in encode(x[:_AMONG])]
    turns = [np.abs(part / _STEP - np.floor(part / _STEP) - 0.5) * _STEP for part in codes]
    kept = np.flatnonzero(np.all([(part > _MARGIN).all(axis=1) for part in turns], axis=0))[:_EXAMPLES]
    if not len(kept):
        return ""
    (directory / FIXTURE).parent.mkdir(exist_ok=True)
    np.savez_compressed(directory / FIXTURE, x=x[kept])
    return codes_checksum(*(part[kept] for part in codes))
