"""The checkpoints of a run, as files: a folder an epoch, under one checksum; nothing here needs TensorFlow."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

WEIGHTS = "model.weights.h5"
STATE = "state.json"
# What `read` raises where a file is damaged.
DAMAGED = (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError)


class CheckpointError(RuntimeError):
    """A checkpoint could not be written, or does not fit; the message is one line."""


def checksum(weights: bytes | memoryview, state: dict[str, Any]) -> str:
    """Over the content of both files, the state without its own checksum."""
    digest = hashlib.sha256(json.dumps(state, sort_keys=True).encode())
    digest.update(weights)
    return digest.hexdigest()


def folder_name(epoch: int) -> str:
    """Of the checkpoint after so many epochs."""
    return f"epoch-{epoch:04d}"


def epoch_of(path: Path) -> int:
    """After how many epochs a checkpoint was written."""
    return int(path.name.removeprefix("epoch-"))


def checkpoints(directory: Path) -> list[Path]:
    """The complete checkpoints of a run, oldest first."""
    found = (path for path in directory.glob("epoch-*") if re.fullmatch(r"epoch-\d{4,9}", path.name))
    return sorted(found, key=epoch_of)


def prune(directory: Path, epoch: int, keep: int = 2, also: int | None = None) -> None:
    """Removes checkpoints that are too old, and what a kill left half written.

    Only one process trains into a directory, so nothing that is half written is another's.

    Args:
        directory: of the checkpoints.
        epoch: the latest good one.
        keep: how many stay, with that one.
        also: the epoch of another that stays: the best so far.
    """
    older = [path for path in checkpoints(directory) if epoch_of(path) <= epoch]
    too_old = [path for path in older[:-keep] if epoch_of(path) != also]
    for old in (*too_old, *directory.glob(".epoch-*")):
        shutil.rmtree(old)


def read(path: Path) -> tuple[dict[str, Any], bytes]:
    """The state and the weights of a checkpoint; raises what tells that it is damaged."""
    state = json.loads((path / STATE).read_text(encoding="utf-8"))
    weights = (path / WEIGHTS).read_bytes()
    stated = state.pop("sha256")
    # Earlier versions took it over the weights alone.
    if stated != (checksum(weights, state) if "rows" in state else hashlib.sha256(weights).hexdigest()):
        raise ValueError("its checksum does not match")
    if path.name != folder_name(state["epoch"]):
        raise ValueError(f"it says that it is of epoch {state['epoch']}")
    return state, weights


def recorded(directory: Path, epoch: int) -> list[dict[str, float]] | None:
    """What a good checkpoint holds of the epochs behind it; None where an earlier version of the zoo wrote it."""
    return read(directory / folder_name(epoch))[0].get("rows") if epoch else []
