"""What can be known of a training before TensorFlow is loaded, so that a mistake is answered at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from zoo.data.catalogue import TABLE, source
from zoo.data.splits import resolve, steps_per_epoch
from zoo.experiments.schema import ConfigurationError, Experiment

# Files up to this size, in bytes, are read whole; of larger ones the training finds out.
_SMALL = 10_000_000


def precheck(experiment: Experiment, *, training: bool = True) -> None:
    """Refuses splits that the data do not have, files that are not there or cannot be read, and too large batches.

    Args:
        experiment: the configuration; it need not be resolved.
        training: whether it is to be trained, so that the training split must fill a batch.

    Raises:
        ValueError: in one line; data that only TensorFlow Datasets or a long reading can tell of are not looked at.
    """
    section, where = experiment.data, experiment.where
    splits = {role: str(getattr(section, role)) for role in ("train", "validation", "test")}
    path = None if section.path is None else Path(section.path)
    sizes = source(section.name).sizes if path is None else _sizes(path)
    if sizes:
        name = str(path or section.name)
        for role, split in splits.items():
            try:
                parts = resolve(split, sizes, name)
            except ValueError as error:
                raise ConfigurationError(f"{where}: data.{role}: {error}") from None
            if training and role == "train":
                _check_batch(experiment, sum(part.stop - part.start for part in parts))
    elif path is not None and path.stat().st_size <= _SMALL:
        from zoo.data.loading import load

        for role, split in splits.items():
            try:
                examples = load("files", split, path=path, kind=section.kind, label_column=section.label_column)
            except ValueError as error:
                raise ConfigurationError(f"{where}: data.{role}: {error}") from None
            if training and role == "train":
                _check_batch(experiment, len(examples.images))


def check_source(given: str) -> None:
    """Refuses an INPUT of `zoo encode` that names no data set or is not there. Raises ValueError, in one line."""
    if given.startswith("tfds:"):
        name, _, _ = given.removeprefix("tfds:").rpartition("/")
        if name:
            source(name)
        return
    # FILE.npz:NAME is a split of a file.
    path = Path(given) if Path(given).exists() else Path(given.rpartition(":")[0] or given)
    if not path.exists():
        raise ValueError(f"{given} does not exist")
    if not path.is_dir() and path.suffix.lower() not in (".npy", ".npz", TABLE):
        raise ValueError(f"{given} is neither a .npy, .npz or .csv file, nor a folder of pictures")


def _sizes(path: Path) -> Mapping[str, int]:
    """The number of pictures in a folder, by split; nothing for an array file or a table."""
    if not path.exists():
        raise ConfigurationError(f"data.path: {path} does not exist")
    if path.is_dir():
        from zoo.data.folders import ImageFolder

        return ImageFolder(path).sizes
    if path.suffix.lower() not in (".npy", ".npz", TABLE):
        raise ConfigurationError(f"data.path: {path} is neither a .npy, .npz or .csv file, nor a folder of pictures")
    return {}


def _check_batch(experiment: Experiment, count: int) -> None:
    try:
        steps_per_epoch(count, experiment.train.batch_size)
    except ValueError as error:
        raise ConfigurationError(f"{experiment.where}: train.batch_size: {error}") from None
