"""Split strings: `train`, `train[:55000]`, `all[80%:90%]`, `small1+small2`.

The notation and its rounding are those of TensorFlow Datasets (https://www.tensorflow.org/datasets/splits), so that
one configuration key serves data sets from there and the user's own files, which TFDS cannot slice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

_PART = re.compile(r"(?P<name>[\w-]+)(\[(?P<start>-?[\d_.]+%?)?:(?P<stop>-?[\d_.]+%?)?\])?")


class Part(NamedTuple):
    """One summand of a split string: the examples `start` to `stop` (exclusive) of the split `name`, which has `of`."""

    name: str
    start: int
    stop: int
    of: int


class _Parsed(NamedTuple):
    name: str
    start: str | None
    stop: str | None


def parse(split: str) -> list[_Parsed]:
    """Reads a split string without knowing the data set.

    Raises:
        ValueError: If it is not NAME or NAME[FROM:TO], or several of them joined by `+`.
    """
    parsed = []
    for text in str(split).split("+"):
        match = _PART.fullmatch(text.strip())
        bounds = [bound for bound in (match["start"], match["stop"]) if bound] if match else []
        percent = [bound.endswith("%") for bound in bounds]
        if match is None or len(set(percent)) > 1 or not all(map(_is_number, bounds)):
            raise ValueError(
                f"the split {split!r} does not parse: write NAME, NAME[FROM:TO] with both bounds as whole numbers"
                " or both as percentages (train[:55000], train[90%:]), or several joined by +"
            )
        parsed.append(_Parsed(match["name"], match["start"], match["stop"]))
    return parsed


def _is_number(bound: str) -> bool:
    try:
        return abs(float(bound[:-1])) <= 100 if bound.endswith("%") else isinstance(int(bound), int)
    except ValueError:
        return False


def _position(bound: str, count: int) -> int:
    position = round(float(bound[:-1]) * count / 100.0) if bound.endswith("%") else int(bound)
    return position + count if position < 0 else position


def resolve(split: str, sizes: Mapping[str, int], where: str) -> list[Part]:
    """Finds which examples a split string means.

    Args:
        split: A split string. `all` is the sum of all splits, unless there is one of that name.
        sizes: The number of examples of each split that exists.
        where: What holds them, for messages: "mnist", "faces.npz".

    Returns:
        The parts in the order in which they were named, none of them empty.

    Raises:
        ValueError: If the string does not parse, names a split that does not exist, reaches beyond its end, or
            selects nothing.
    """
    parts: list[Part] = []
    for name, start, stop in parse(split):
        if name == "all" and "all" not in sizes and start is None and stop is None:
            parts.extend(Part(each, 0, count, count) for each, count in sizes.items())
            continue
        if name not in sizes:
            raise ValueError(f"{where} has no split {name!r}; it has {', '.join(sizes) or 'none'}")
        count = sizes[name]
        first = _position(start, count) if start else 0
        last = _position(stop, count) if stop else count
        if not (0 <= first <= count and 0 <= last <= count):
            raise ValueError(f"the split {split!r} reaches beyond the {count} examples of {name!r} in {where}")
        parts.append(Part(name, first, last, count))
    if not any(part.stop > part.start for part in parts):
        raise ValueError(f"the split {split!r} of {where} is empty")
    return [part for part in parts if part.stop > part.start]


def steps_per_epoch(count: int, batch_size: int) -> int:
    """Returns how many whole batches `count` examples make; the remainder of an epoch is left out.

    Raises:
        ValueError: If there is not a single one.
    """
    if batch_size < 1:
        raise ValueError(f"the batch size must be at least 1, got {batch_size}")
    if count < batch_size:
        raise ValueError(f"{count} examples do not fill one batch of {batch_size}: use a smaller batch size")
    return count // batch_size
