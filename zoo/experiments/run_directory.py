"""The directory of a run: all that is needed to resume, evaluate, export and report it."""

from __future__ import annotations

import errno
import functools
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from zoo.experiments import run_files
from zoo.experiments.configurations import dump, load
from zoo.experiments.run_files import LEFT_OUT, environment
from zoo.experiments.same_configuration import check_unchanged, values
from zoo.experiments.schema import Experiment
from zoo.files import clear_beside, leftovers, locked, replacing

# Seconds after which nobody writes to a hidden folder any more.
_ABANDONED = 3600


class RunError(RuntimeError):
    """Something is wrong with a run's directory; the message is one line."""


@functools.lru_cache(maxsize=4096)
def _configuration(path: Path, _written: tuple[tuple[int, ...], ...]) -> Experiment:
    """A run's configuration, read again only where a file has changed: commands on many runs ask for it often."""
    return RunDirectory(path).checked_experiment(resolve=False)


def _written(file: Path) -> tuple[int, ...]:
    """What changes when a file is written; nothing where there is none."""
    with suppress(FileNotFoundError):
        found = file.stat()
        return found.st_mtime_ns, found.st_size, found.st_ino
    return ()


class RunDirectory:
    """Names the files of a run.

    Args:
        path: of the directory.

    Attributes:
        config: the resolved configuration (YAML).
        metrics: one JSON line an epoch.
        seconds: how long each epoch took, likewise.
        tensorboard: where the event files are, beside the rest; and the folder `projector`.
        checkpoints: a folder each for the last two epochs.
        model: the trained model (`.keras`); only there once training has ended.
        export: its SavedModel.
        converted: its exports in other forms, where `zoo export --format` puts them.
        evaluation: what `zoo evaluate` found, by split (JSON); under `left_out`, by split, why the rest is missing.
        pictures: what the model makes of a few test images (NumPy's `.npz`), left by `zoo evaluate`.
        diverged: where and how the loss became NaN or infinite, if it did (a line).
        lock: held by the process that trains; it stays, empty.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.yaml"
        self.environment = path / "environment.json"
        self.metrics = path / "metrics.jsonl"
        self.seconds = path / "seconds.jsonl"
        # TensorBoard calls a run by the folder of its event files.
        self.tensorboard = path
        self.checkpoints = path / "checkpoints"
        self.model = path / "model.keras"
        self.export = path / "export"
        self.converted = tuple(path / name for name in ("litert", "onnx"))
        self.evaluation = path / "evaluation.json"
        self.pictures = path / "pictures.npz"
        self.diverged = path / "diverged.txt"
        self.lock = path / ".lock"

    @classmethod
    def create(
        cls, path: Path, experiment: Experiment, data: Mapping[str, Mapping[str, Any]] | None = None
    ) -> RunDirectory:
        """Makes the directory of a new run, whole or not at all.

        Args:
            path: of the directory.
            experiment: the configuration.
            data: what tells the examples of its splits, as `same_data.identities` gives it.

        Raises:
            RunError: it exists, or cannot be written.
        """
        run = cls(path)
        run.check_new()
        try:
            with replacing(path) as sibling:
                sibling.mkdir()
                (sibling / run.config.name).write_text(dump(experiment), encoding="utf-8")
                begun: dict[str, Any] = {"modules": experiment.modules(), "data": dict(data or {})}
                begun["configuration"] = values(experiment.resolved())
                text = json.dumps({**environment(), **begun}, indent=2) + "\n"
                (sibling / run.environment.name).write_text(text, encoding="utf-8")
                if path.exists():
                    # Fails where another process has just made a run there.
                    path.rmdir()
        except OSError as error:
            raise RunError(f"{path}: cannot be written: {error.strerror}") from None
        # A process that is making the same run fails anyway, now that it is there.
        clear_beside(path)
        return run

    def check_new(self) -> None:
        """Raises RunError where a new run must not go: a directory with something in it, a file, a place of others."""
        if self.path.is_dir() and not any(self.path.iterdir()):
            return
        if self.config.exists():
            raise RunError(f"{self.path}: holds a run already; go on with it by --resume, or name another --run-dir")
        if self.path.exists():
            raise RunError(f"{self.path}: exists and is not a run; name another --run-dir")
        there = next(folder for folder in self.path.absolute().parents if folder.exists())
        if not there.is_dir() or not os.access(there, os.W_OK):
            reason = "cannot be written to" if there.is_dir() else "is not a folder"
            raise RunError(f"{self.path}: cannot be made: {there} {reason}; name another --run-dir")

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

    def experiment(self, *, resolve: bool = False) -> Experiment:
        """The run's configuration, with all values that it was trained with.

        Args:
            resolve: check all hyperparameters, which loads TensorFlow.

        Raises:
            RunError: another version of the zoo wrote it, and this one does not understand it.
            ConfigurationError: it is damaged, or was changed.
        """
        with self.loading():
            if resolve:
                return self.checked_experiment(resolve=True)
            return _configuration(self.path, (_written(self.config), _written(self.environment)))

    def checked_experiment(self, *, resolve: bool) -> Experiment:
        """As `experiment`, read from the files whether they have changed or not."""
        found = load(self.config, resolve=resolve)
        try:
            known = self.read(self.environment)
        except RunError:
            # What is to be trained or measured needs it; what is only read is not hidden by it.
            if resolve:
                raise
            known = {}
        check_unchanged(self.config, found, known.get("configuration", {}))
        return found

    def other_version(self) -> str | None:
        """The version of the zoo that wrote the run, where it is not this one (and is known)."""
        from zoo import __version__

        theirs = self.read(self.environment).get("zoo")
        return None if theirs is None or theirs == __version__ else str(theirs)

    @contextmanager
    def loading(self) -> Iterator[None]:
        """Around what reads the run: where that fails, and another version wrote the run, the error names both.

        Raises:
            RunError: in place of any other error, if another version of the zoo wrote the run; else errors are left
                as they are.
        """
        from zoo import __version__

        try:
            yield
        except RunError:
            raise
        except Exception as error:
            try:
                theirs = self.other_version()
            except RunError:
                theirs = None
            if theirs is None:
                raise
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            versions = f"was written by version {theirs} of the zoo, and version {__version__} cannot load it"
            raise RunError(f"{self.path}: {versions}: {reason}") from None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Around a training: keeps other processes from training into the same directory (see `zoo.files.locked`).

        Raises:
            RunError: another process holds it, or the directory cannot be written.
        """
        if not self.path.is_dir():
            # The lock would make it.
            raise RunError(f"{self.path}: cannot be written: {os.strerror(errno.ENOENT)}")
        with ExitStack() as held:
            try:
                held.enter_context(locked(self.lock))
            except BlockingIOError:
                raise RunError(f"{self.path}: is being trained by another process; wait for it, or stop it") from None
            except OSError as error:
                raise RunError(f"{self.path}: cannot be written: {error.strerror}") from None
            yield

    def clear(self) -> None:
        """Removes what a kill left half written; only while `locked`.

        An export, an evaluation and its pictures may be written by another process now, but none takes an hour.
        """
        for path in leftovers(self.path):
            written = (self.export, *self.converted, self.evaluation, self.pictures)
            others = path.name.startswith(tuple(f".{each.name}." for each in written))
            with suppress(FileNotFoundError):
                if not others or time.time() - path.stat().st_mtime > _ABANDONED:
                    shutil.rmtree(path)
        clear_beside(self.path)

    def check_same(self, experiment: Experiment) -> None:
        """Raises RunError where the run has another configuration, and names the first key that differs."""
        mine, theirs = self.experiment(resolve=True).flat(), experiment.resolved().flat()
        for key in (*mine, *theirs):
            if mine.get(key) != theirs.get(key):
                raise RunError(
                    f"{self.path}: is the run of another configuration: {key} is {mine.get(key)!r} there, "
                    f"{theirs.get(key)!r} here"
                )

    def read(self, file: Path) -> dict[str, Any]:
        """The content of one of the run's JSON files; empty where it does not exist.

        Raises:
            RunError: a file that is damaged, or holds something else.
        """
        schema = run_files.Evaluation if file == self.evaluation else run_files.Environment
        try:
            return run_files.read(schema, file)
        except ValueError as error:
            remedy = "remove it, and zoo evaluate measures what it held anew"
            if file == self.environment:
                remedy = "put it back: it says with which values the run was made; without it, train into another run"
            raise RunError(f"{file}: is damaged ({error}); {remedy}") from None

    def evaluated(self) -> dict[str, dict[str, Any]]:
        """The figures of all splits that have been evaluated: by split and name, `Measured` as a mapping.

        Raises:
            RunError: as `read`.
        """
        return {split: found for split, found in self.read(self.evaluation).items() if split != LEFT_OUT}

    def figures(self, split: str) -> dict[str, Any]:
        """The figures of a split by name; none where it has not been evaluated. Raises as `read`."""
        return self.evaluated().get(split, {})

    def left_out(self, split: str) -> dict[str, str]:
        """Why groups of figures, or single ones, could not be measured on a split, by name. Raises as `read`."""
        return self.read(self.evaluation).get(LEFT_OUT, {}).get(split, {})

    def require_model(self) -> Path:
        """The trained model's file.

        Raises:
            RunError: training has not ended yet.
        """
        if not self.model.is_file():
            raise RunError(f"{self.path}: has no trained model yet; finish it with: zoo train --resume {self.path}")
        return self.model
