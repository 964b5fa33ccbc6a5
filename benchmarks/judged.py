"""A small training, what it must end in, and how a command ended that met a fault: the judge of `faults.py`."""

import functools
import os
import shutil
import time
import zipfile
from pathlib import Path

import forked
import numpy as np
import system_calls

# Three epochs, so that a checkpoint is removed, of two steps each; the plateau acts.
SETTINGS = (
    "data.train=train[:128]",
    "data.validation=validation[:32]",
    "data.test=test[:32]",
    "model.network={name: mlp, width: 8, depth: 1}",
    "model.latent_dim=4",
    "train.epochs=3",
    "train.kl_warmup=1",
    "watch.pictures=false",
    "watch.images=32",
)
# How an experiment can end, the good ends first.
ENDS = ("survived", "refused", "told", "left something", "silent difference", "traceback", "hang", "crash")
GOOD = 3
SLOW = 240


def bad(ended, allowed=(0, 2), killed=()):
    """What is wrong with how a command ended; None if it succeeded, or was refused in lines of the zoo's own."""
    if ended.hung:
        return "hang"
    if ended.code in killed:
        return None
    lines = ended.err.splitlines()
    if "Traceback" in ended.err or (ended.code in (1, 2) and not (lines and lines[-1].startswith("zoo: "))):
        return "traceback"
    return None if ended.code in allowed else "crash"


def said(ended, folder):
    """The zoo's lines, without the names of folders, and without those that every resume begins with."""
    always = ("zoo: resuming after epoch", "zoo: from the start: no checkpoint yet", "zoo: already trained")
    return {line.replace(str(folder), "") for line in ended.err.splitlines() if not line.startswith(always)}


class Reference:
    """A training that nothing has disturbed, and what else is made of it where it is asked for.

    Args:
        folder: where all of it goes.
    """

    def __init__(self, folder):
        self.folder, self.run = folder, folder / "whole" / "run"
        self.log = folder / "strace.log"
        self.data = folder / "digits.npy"
        ended = self.train(self.run.parent)
        assert ended.code == 0, ended.err
        self.seconds, self.lines = ended.seconds, said(ended, self.run.parent)
        # No data that the zoo knows, so that it cannot have taken them.
        np.save(self.data, np.random.default_rng(0).integers(0, 256, (20, 28, 28, 1), dtype=np.uint8))

    @functools.cached_property
    def calls(self):
        """The system calls of a training, in their order; none without strace. The run with them is another one."""
        if why := system_calls.missing():
            print(f"left out: {why}", flush=True)
            return []
        traced = self.folder / "traced"
        ended = self.train(traced, strace=system_calls.survey(self.log))
        assert ended.code == 0, ended.err
        assert self.differs(traced / "run") is None, "two trainings differ with no fault at all"
        return system_calls.calls(self.log, traced)

    @functools.cached_property
    def interrupted(self):
        """A run that was killed when its last checkpoint was to take its place; None without strace."""
        if not self.calls:
            return None
        (last,) = [call for call in self.calls if call.name == "rename" and "/.epoch-0003" in call.what]
        place = self.folder / "killed"
        ended = self.train(place, strace=system_calls.kill_at(last, self.log))
        assert ended.code == -9 and system_calls.happened(self.log), ended
        return place / "run"

    def train(self, place, **more):
        """Trains a new run into a folder."""
        place.mkdir(exist_ok=True)
        words = [word for setting in SETTINGS for word in ("--set", setting)]
        return forked.zoo("train", "digits/vae", *words, "--run-dir", place / "run", "--quiet", **more)

    def started(self, place, **more):
        """As `train`, and does not wait."""
        place.mkdir(exist_ok=True)
        words = [word for setting in SETTINGS for word in ("--set", setting)]
        return forked.Command(["train", "digits/vae", *words, "--run-dir", place / "run", "--quiet"], **more)

    def differs(self, run):
        """What a finished run has otherwise than the reference; None where it is the same, bit for bit."""
        names = [self.run / "metrics.jsonl", *sorted((self.run / "checkpoints").rglob("*.*"))]
        for path in names:
            other = run / path.relative_to(self.run)
            if not other.is_file() or other.read_bytes() != path.read_bytes():
                return other.name
        if len([*(run / "checkpoints").iterdir()]) != len([*(self.run / "checkpoints").iterdir()]):
            return "checkpoints"
        if _weights(run) != _weights(self.run):
            return "model.keras"
        return None if (run / "export" / "saved_model.pb").is_file() else "export"

    def finished(self, place):
        """Resumes the run in a folder, or trains it anew where there is none yet: how that ended, and the lines."""
        run = place / "run"
        # As if two hours had gone by: a younger export, half written, may be another process's.
        for left in place.rglob(".*.partial"):
            os.utime(left, (time.time() - 7200,) * 2)
        resume = (run / "config.yaml").exists()
        ended = forked.zoo("train", "--resume", run, "--quiet") if resume else self.train(place)
        return self.judged(ended, place)

    def judged(self, ended, place):
        """How a training ended, as one of `ENDS`, with a word on it."""
        if wrong := bad(ended):
            return wrong, ended.err
        if ended.code:
            return "refused", ended.err
        difference = self.differs(place / "run")
        if difference is None:
            left = [path.name for path in place.rglob(".*.partial")]
            return ("left something", " ".join(left)) if left else ("survived", ended.err)
        return ("told" if said(ended, place) - self.lines else "silent difference"), f"{difference}: {ended.err}"


def _weights(run):
    with zipfile.ZipFile(run / "model.keras") as file:
        return file.read("model.weights.h5")


def copied(source, target):
    """A copy of a folder."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    return Path(target)
