"""Trains and evaluates many runs, each in a process of its own, several at a time; what is done is not done again."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Lock
from typing import NamedTuple

import yaml
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from zoo.experiments.configurations import dump
from zoo.experiments.run_directory import RunDirectory, RunError
from zoo.experiments.schema import Experiment
from zoo.papers.needs import Needs
from zoo.papers.strengths import StrengthSearch
from zoo.parameters import PACKAGE

_LOOK_EVERY = 0.5  # seconds


class Job(NamedTuple):
    """A run to be trained, where it is missing, and evaluated."""

    label: str
    experiment: Experiment
    run: RunDirectory


class _FailedError(Exception):
    """A process ended with an error; its last line."""


class Jobs:
    """Carries jobs out.

    Args:
        workers: how many at a time; the processor's cores are shared out among them.
        needs: what the evaluations must hold, by split.
        quiet: no progress bars.
    """

    def __init__(self, workers: int, needs: Mapping[str, Needs], quiet: bool = False) -> None:
        self.workers = workers
        self.needs = needs
        self.stopping = Event()
        self.done, self.counting = 0, Lock()
        self.runs: dict[Path, int] = {}
        self.epochs: dict[Path, int] = {}
        name = TextColumn("{task.description}", markup=False)
        columns = (name, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        console = Console(stderr=True, markup=False)
        self.bars = Progress(*columns, console=console, disable=quiet or not console.is_terminal)
        self.announce: Callable[[str], None] = (lambda text: None) if quiet else self._say

    def search(self, searches: list[StrengthSearch]) -> dict[Path, str]:
        """Carries out searches and returns what went wrong, in one line, by the search's path.

        Raises:
            KeyboardInterrupt: as `carry_out`.
        """
        return self._all({search.place.path: functools.partial(self._search, search) for search in searches})

    def carry_out(self, jobs: list[Job]) -> dict[Path, str]:
        """Does all jobs and returns what went wrong, in one line, by the run's path.

        Raises:
            KeyboardInterrupt: after all processes have been stopped; what they did so far is kept, and gone on with.
        """
        self.runs = {job.run.path: _epochs(job.run) for job in jobs}
        self.epochs = {job.run.path: job.experiment.train.epochs for job in jobs}
        self.whole = self.bars.add_task("", total=sum(self.epochs.values()))
        self._count()
        return self._all({job.run.path: functools.partial(self._one, job) for job in jobs})

    def _all(self, tasks: Mapping[Path, Callable[[], None]]) -> dict[Path, str]:
        """Carries tasks out, as many at a time as there are workers; what went wrong, by their paths."""
        wrong: dict[Path, str] = {}
        with self.bars, ThreadPoolExecutor(self.workers) as pool:
            futures = {path: pool.submit(task) for path, task in tasks.items()}
            try:
                for path, future in futures.items():
                    try:
                        future.result()
                    except (_FailedError, RunError, ValueError, OSError) as error:
                        wrong[path] = str(error)
            except KeyboardInterrupt:
                self.stopping.set()
                pool.shutdown(cancel_futures=True)
                raise
        return wrong

    def _search(self, search: StrengthSearch) -> None:
        """Tunes a row; the bar counts the trials that have ended."""
        began, label = time.monotonic(), f"{search.label}: tuning, trials"
        bar = self.bars.add_task(label, total=search.trials, completed=search.done())
        search.written.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            configuration, space = Path(folder) / "experiment.yaml", Path(folder) / "space.yaml"
            configuration.write_text(dump(search.experiment), encoding="utf-8")
            space.write_text(yaml.safe_dump(dict(search.space)), encoding="utf-8")
            self._call(search.arguments(configuration, space), lambda: self.bars.update(bar, completed=search.done()))
        self.bars.remove_task(bar)
        self.announce(f"tuned {search.label} ({time.monotonic() - began:.0f} s): {search.note()}")

    def _one(self, job: Job) -> None:
        run, epochs = job.run, job.experiment.train.epochs
        bar = self.bars.add_task(job.label, total=epochs, completed=_epochs(run))
        if not run.model.is_file():
            began = time.monotonic()
            self._train(job, bar)
            # Fewer than the configuration's where the training has ended early.
            self.epochs[run.path] = _epochs(run)
            self.announce(f"trained {job.label} ({time.monotonic() - began:.0f} s)")
        self._count(bar, job)
        for split, needs in self.needs.items():
            missing = needs.missing(run, split)
            if missing:
                self.bars.update(bar, description=f"{job.label}: evaluating")
                began = time.monotonic()
                self._call(["evaluate", str(run.path), "--split", split, "--quiet", *missing.arguments()])
                self.announce(f"evaluated {job.label} on {split} ({time.monotonic() - began:.0f} s)")
        self.bars.remove_task(bar)
        with self.counting:
            self.done += 1
        self._count()
        self.announce(f"{self.done} of {len(self.runs)} runs done")

    def _count(self, bar: TaskID | None = None, job: Job | None = None) -> None:
        """Moves the bar of a run, and that of all runs, to the epochs that are done."""
        if job is not None and bar is not None:
            self.runs[job.run.path] = _epochs(job.run)
            self.bars.update(bar, completed=self.runs[job.run.path])
        text = f"all: {self.done} of {len(self.runs)} runs, epochs"
        done, total = sum(self.runs.values()), sum(self.epochs.values())
        self.bars.update(self.whole, description=text, completed=done, total=total)

    def _train(self, job: Job, bar: TaskID) -> None:
        look = functools.partial(self._count, bar, job)
        if job.run.config.is_file():
            job.run.check_same(job.experiment)
            self._call(["train", "--resume", str(job.run.path), "--quiet"], look)
            return
        with tempfile.TemporaryDirectory() as folder:
            configuration = Path(folder) / "experiment.yaml"
            configuration.write_text(dump(job.experiment), encoding="utf-8")
            self._call(["train", str(configuration), "--run-dir", str(job.run.path), "--quiet"], look)

    def _call(self, arguments: list[str], look: Callable[[], None] = lambda: None) -> None:
        """Runs a `zoo` command, and looks how far it is, again and again."""
        threads = max(1, (os.cpu_count() or 1) // self.workers)
        path = os.pathsep.join(filter(None, [str(PACKAGE.parent), os.environ.get("PYTHONPATH")]))
        surroundings = {**os.environ, "PYTHONPATH": path}
        if self.workers > 1:
            surroundings |= {"TF_NUM_INTRAOP_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
        with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
            command = [sys.executable, "-m", "zoo", *arguments]
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=surroundings)
            while process.poll() is None:
                if self.stopping.wait(_LOOK_EVERY):
                    process.terminate()
                    process.wait()
                    raise _FailedError("interrupted")
                look()
            if process.returncode:
                output.seek(0)
                lines = output.read().strip().splitlines() or [f"ended with exit code {process.returncode}"]
                raise _FailedError(lines[-1].removeprefix("zoo: "))

    def _say(self, text: str) -> None:
        self.bars.console.print(f"zoo: {text}", highlight=False, soft_wrap=True)


def _epochs(run: RunDirectory) -> int:
    """How many epochs a run has behind it."""
    return run.metrics.read_text(encoding="utf-8").count("\n") if run.metrics.is_file() else 0
