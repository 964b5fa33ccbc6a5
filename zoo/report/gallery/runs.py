"""Runs for a figure: their labels, what they have in common, their models, codes and images.

Importing this module does not import TensorFlow.
"""

from __future__ import annotations

import functools
import itertools
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.experiments.run_directory import RunDirectory
from zoo.experiments.schema import Data, Experiment

if TYPE_CHECKING:
    import numpy as np

    from zoo.data import Examples
    from zoo.models.codec import Codes
    from zoo.models.vae import VAE

Runs = Mapping[str, RunDirectory]


def labelled(paths: Sequence[Path]) -> dict[str, RunDirectory]:
    """Runs by the shortest ends of their paths that tell them apart.

    Raises:
        ValueError: one run twice.
        RunError: the path is not that of a run.
    """
    whole = [Path(os.path.abspath(path)) for path in paths]
    seen: set[Path] = set()
    for path in whole:
        if path in seen:
            raise ValueError(f"plot: {path} is given twice")
        seen.add(path)
    for depth in range(1, max((len(path.parts) for path in whole), default=1) + 1):
        labels = ["/".join(path.parts[-depth:]) for path in whole]
        if len({*labels}) == len(labels):
            break
    return {label: RunDirectory.open(path) for label, path in zip(labels, paths, strict=True)} if paths else {}


def data_set(data: Data) -> str:
    """What a run's images are, but for the splits: runs that differ in it cannot be compared."""
    traits = (data.path, data.size and f"size {data.size}", data.channels and f"channels {data.channels}")
    prepared = "binarised" if data.binarize else None
    return ", ".join([data.name, *(trait for trait in (*traits, prepared) if trait)])


def same_but_for_seed(runs: Runs) -> dict[str, list[str]]:
    """Labels of runs whose configurations differ in the seed alone, under what the labels have in common."""
    alike: dict[str, list[str]] = {}
    for label, run in runs.items():
        alike.setdefault(run.experiment().fingerprint(), []).append(label)
    named = {}
    for labels in alike.values():
        equal = itertools.takewhile(lambda letters: len({*letters}) == 1, zip(*labels, strict=False))
        prefix = "".join(letters[0] for letters in equal)
        common = re.sub(r"[-_/., ]*(seed)?[-_/. ]*\d*$", "", prefix) or labels[0]
        name = labels[0] if len(labels) == 1 else f"{common} ({len(labels)} seeds)"
        named[", ".join(labels) if name in named else name] = labels
    return named


@functools.lru_cache(maxsize=16)
def _model(path: Path, written: int) -> VAE:
    import tensorflow as tf

    from zoo.experiments.finished import load_model

    # Each model compiles its encoder once; TensorFlow counts those of all models and warns.
    tf.get_logger().setLevel("ERROR")
    return load_model(RunDirectory(path))


def model_of(run: RunDirectory) -> VAE:
    """The trained model of a run, read again only where its file has changed."""
    return _model(run.path, run.require_model().stat().st_mtime_ns)


@functools.lru_cache(maxsize=3)
def _split(data: Data, split: str) -> Examples:
    from zoo.experiments.building import load_split

    return load_split(Experiment.model_construct(data=data), split)


def chosen(runs: Runs, split: str, images: int, seed: int, first: int | None = None) -> Examples:
    """At most so many examples of the first run's split, in an order that the seed decides.

    Args:
        runs: whose data.
        split: of them.
        images: at most so many.
        seed: of the order.
        first: number in the split of the example that comes before all others.

    Raises:
        ValueError: no example of that number.
        RunError: the user's files have changed since a run was made, which moves examples between splits.
    """
    import numpy as np

    from zoo.experiments.same_data import check_data

    data = next(iter(runs.values())).experiment().data
    found = _split(data, split)
    for run in runs.values() if data.path else ():
        check_data(run, run.experiment(), {"train": _split(data, "train")})
    order = np.random.default_rng(seed).permutation(len(found.images))
    if first is not None:
        if not 0 <= first < len(order):
            raise ValueError(f"example: {first} given, those of the {split} split are 0 to {len(order) - 1}")
        order = np.concatenate([[first], order[order != first]])
    return found.take(order[:images])


def data_in_short(runs: Runs) -> str:
    """The data set of runs for a figure, which others see: of a path its last part alone."""
    data = next(iter(runs.values())).experiment().data
    return data_set(data.model_copy(update={"path": Path(data.path).name}) if data.path else data)


def sample(runs: Runs, split: str, count: int) -> str:
    """What a figure was drawn from, in words: data set, split and how many examples."""
    return f"{data_in_short(runs)}, {split} split: n = {count:,}"


def posteriors_of(runs: Runs, images: np.ndarray) -> dict[str, Codes]:
    """What the models of all runs make of the same images: by label, loc and scale [n, d] each."""
    return {label: model_of(run).posteriors(images) for label, run in runs.items()}


def require_images(images: np.ndarray, least: int, figure: str, split: str) -> None:
    """Raises ValueError for fewer images than a figure takes."""
    if len(images) < least:
        raise ValueError(f"images: {figure} needs at least {least} of the {split} split, got {len(images)} (--images)")
