"""What is wrong between splits: rows of the data set, or equal pictures, in two of them; classes that one lacks."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping

import numpy as np

from zoo.data.examples import Examples
from zoo.data.splits import Part, parse, resolve


def overlaps(splits: Mapping[str, str], read: Mapping[str, Examples], *, compare: bool = False) -> list[str]:
    """Says which splits share examples.

    Args:
        splits: Split strings by role: `train`, `validation`, `test`.
        read: The examples of some of the roles. How large the splits of the data set are is known from them; what
            they do not name cannot overlap with them.
        compare: Whether to look for equal examples in what was read, too. That hashes every example once.

    Returns:
        A line for each pair of roles that share rows, or else, under `compare`, equal examples.
    """
    sizes = {part.name: part.of for examples in read.values() for part in examples.parts}
    rows = {role: _known(split, sizes) for role, split in splits.items()}
    digests = {role: _digests(examples) for role, examples in read.items()} if compare else {}
    found = []
    for one, other in itertools.combinations(splits, 2):
        if shared := sum(_common(a, b) for a in rows[one] for b in rows[other]):
            found.append(
                f"data.{one} ({splits[one]}) and data.{other} ({splits[other]}) share {shared:,} examples: what is"
                f" measured on {other} is not held out"
            )
        elif repeated := _repeated(digests.get(one, []), digests.get(other, [])):
            names = read[other].names
            first = f"number {repeated[0]}" if names is None else str(names[repeated[0]])
            found.append(
                f"{len(repeated):,} of {len(digests[other]):,} images of data.{other} are in data.{one} too, pixel for"
                f" pixel; the first is {first}"
            )
    return found


# With so many examples a class of the training split, a split drawn at random has hardly ever none of a class.
_ENOUGH = 4
# Classes that a line names.
_NAMED = 5


def lacking(read: Mapping[str, Examples]) -> list[str]:
    """Says which held-out splits have none of some classes of the training split.

    Args:
        read: The examples of some of the roles `train`, `validation` and `test`.

    Returns:
        A line for each such split that is large enough to have all of them.
    """
    train = read.get("train")
    if train is None or train.labels is None:
        return []
    classes, found = np.unique(train.labels), []
    for role, examples in read.items():
        if role == "train" or examples.labels is None or len(examples.labels) < _ENOUGH * len(classes):
            continue
        missing = np.setdiff1d(classes, examples.labels)
        if len(missing):
            names = [train.class_names[label] if train.class_names else str(label) for label in missing]
            more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
            found.append(
                f"data.{role} has {len(classes) - len(missing)} of the {len(classes)} classes of data.train; it lacks "
                f"{', '.join(names[:_NAMED])}{more}"
            )
    return found


def _known(split: str, sizes: Mapping[str, int]) -> list[Part]:
    """The parts of a split whose sizes are known."""
    found: list[Part] = []
    for text in split.split("+"):
        name = parse(text)[0].name
        if name in sizes or (name == "all" and "all" not in sizes):
            found += resolve(text, sizes, split)
    return found


def _common(a: Part, b: Part) -> int:
    return max(0, min(a.stop, b.stop) - max(a.start, b.start)) if a.name == b.name else 0


def _repeated(digests: list[bytes], others: list[bytes]) -> list[int]:
    """Where the others have what is among the first, too."""
    known = {*digests}
    return [at for at, digest in enumerate(others) if digest in known]


def _digests(examples: Examples) -> list[bytes]:
    return [hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in examples.images]
