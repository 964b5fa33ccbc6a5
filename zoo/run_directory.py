"""The directory of a run: all that is needed to resume, evaluate, export and report it."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
from pathlib import Path
from typing import Any

from zoo.config import Experiment
from zoo.configurations import dump, load

PACKAGES = ("tensorflow", "keras", "tensorflow-probability", "tensorflow-datasets", "scikit-learn", "numpy")


class RunError(RuntimeError):
    """Something is wrong with a run's directory; the message is one line."""


def environment() -> dict[str, Any]:
    """Versions and the machine's kind, for `environment.json`."""
    from zoo import __version__

    return {
        "zoo": __version__,
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in PACKAGES},
        "system": platform.system(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
    }


class RunDirectory:
    """Names the files of a run.

    Args:
        path: of the directory.

    Attributes:
        config: the resolved configuration (YAML).
        metrics: one JSON line an epoch.
        seconds: how long each epoch took, likewise.
        tensorboard: event files.
        checkpoints: a folder each for the last two epochs.
        model: the trained model (`.keras`); only there once training has ended.
        export: its SavedModel.
        evaluation: what `zoo evaluate` found, by split (JSON).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.yaml"
        self.environment = path / "environment.json"
        self.metrics = path / "metrics.jsonl"
        self.seconds = path / "seconds.jsonl"
        self.tensorboard = path / "tensorboard"
        self.checkpoints = path / "checkpoints"
        self.model = path / "model.keras"
        self.export = path / "export"
        self.evaluation = path / "evaluation.json"

    @classmethod
    def create(cls, path: Path, experiment: Experiment) -> RunDirectory:
        """Makes the directory of a new run, whole or not at all.

        Raises:
            RunError: it exists, or cannot be written.
        """
        run = cls(path)
        run.check_new()
        sibling = path.with_name(f".{path.name}.tmp")
        try:
            shutil.rmtree(sibling, ignore_errors=True)
            sibling.mkdir(parents=True)
            (sibling / run.config.name).write_text(dump(experiment), encoding="utf-8")
            text = json.dumps(environment(), indent=2) + "\n"
            (sibling / run.environment.name).write_text(text, encoding="utf-8")
            if path.exists():
                path.rmdir()
            sibling.rename(path)
        except OSError as error:
            raise RunError(f"{path}: cannot be written: {error.strerror}") from None
        return run

    def check_new(self) -> None:
        """Raises RunError where a new run must not go: a directory with something in it, or a file."""
        if self.path.is_dir() and not any(self.path.iterdir()):
            return
        if self.config.exists():
            raise RunError(f"{self.path}: holds a run already; go on with it by --resume, or name another --run-dir")
        if self.path.exists():
            raise RunError(f"{self.path}: exists and is not a run; name another --run-dir")

    @classmethod
    def open(cls, path: Path) -> RunDirectory:
        """The directory of an existing run.

        Raises:
            RunError: there is none.
        """
        run = cls(path)
        if not run.config.is_file():
            raise RunError(f"{path}: not the directory of a run (it has no {run.config.name})")
        return run

    def experiment(self) -> Experiment:
        """The run's configuration."""
        return load(self.config)

    def check_same(self, experiment: Experiment) -> None:
        """Raises RunError where the run has another configuration, and names the first key that differs."""
        mine, theirs = self.experiment().flat(), experiment.flat()
        for key in (*mine, *theirs):
            if mine.get(key) != theirs.get(key):
                raise RunError(
                    f"{self.path}: is the run of another configuration: {key} is {mine.get(key)!r} there, "
                    f"{theirs.get(key)!r} here"
                )

    def read(self, file: Path) -> dict[str, Any]:
        """The content of one of the run's JSON files; empty where it does not exist.

        Raises:
            RunError: a file that is damaged.
        """
        try:
            return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        except ValueError:
            raise RunError(f"{file}: is damaged; remove it, and what it held is measured or written anew") from None

    def require_model(self) -> Path:
        """The trained model's file.

        Raises:
            RunError: training has not ended yet.
        """
        if not self.model.is_file():
            raise RunError(f"{self.path}: has no trained model yet; finish it with: zoo train --resume {self.path}")
        return self.model
