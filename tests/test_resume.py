"""A run that is killed and resumed ends as the run that was never killed, bit for bit."""

import os
import shutil
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest

from zoo import experiments
from zoo.experiments import configurations
from zoo.experiments.continuing import has_ended, recorded_epochs, with_epochs
from zoo.experiments.run_directory import RunDirectory, RunError
from zoo.training import checkpoints, metrics_file
from zoo.training.callbacks import checkpoint

pytestmark = pytest.mark.slow

# The real network and every moving part: views, queue, moving average, momentum, plateau, fresh binarisation.
SETTINGS = [
    "data.train=train[:256]",
    "data.validation=validation[:64]",
    "data.binarize=dynamic",
    "model.queue_size=192",
    "train.epochs=4",
    "train.schedule.patience=1",
    "train.schedule.factor=0.5",
    "train.optimizer.learning_rate=0.00001",
    "train.kl_warmup=1",
    "model.gamma={name: linear, start: 0.0, end: 9.0, epochs: 4}",  # makes the loss rise, so that the plateau acts
    "watch.every=2",
    "watch.pictures=false",
]

KILLED = """
import os, signal, sys
from pathlib import Path
from zoo import experiments
from zoo.experiments import configurations
from zoo.training.callbacks import checkpoint, nan
from zoo.experiments.continuing import has_ended, recorded_epochs, with_epochs
from zoo.experiments.run_directory import RunDirectory


def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

epoch, batch = int(sys.argv[2]), int(sys.argv[3])
if batch < 0:  # in the middle of a checkpoint: its weights are written, its state is not
    write = checkpoint.checksum
    count = [0]
    def checksum(*arguments):
        count[0] += 1
        return die() if count[0] == epoch else write(*arguments)
    checkpoint.checksum = checksum
else:
    def on_train_batch_end(self, now, logs=None):
        if (self.epoch, now) == (epoch, batch):
            die()
    nan.StopOnNaN.on_train_batch_end = on_train_batch_end
experiment = configurations.load("digits/contrastive", sys.argv[4:])
experiments.train(experiment, RunDirectory(Path(sys.argv[1])), quiet=True)
"""


def train(path, resume=False, epochs=4):
    said = []
    experiment = with_epochs(configurations.load("digits/contrastive", SETTINGS), epochs)
    experiments.train(experiment, RunDirectory(path), resume=resume, quiet=True, announce=said.append)
    return said


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "whole"
    train(path)
    return path


def assert_same(path, whole):
    mine, theirs = (keras.saving.load_model(p / "model.keras") for p in (path, whole))
    for a, b in zip(mine.variables, theirs.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy(), err_msg=f"{a.path}, {b.path}")
    for a, b in zip(mine.optimizer.variables, theirs.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy(), err_msg=f"{a.path}, {b.path}")
    assert (path / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()


def test_the_schedule_has_acted(uninterrupted):
    # Otherwise the test below would not notice a plateau that forgets.
    rates = {row["learning_rate"] for row in metrics_file.rows(uninterrupted / "metrics.jsonl")}
    assert len(rates) > 1


@pytest.mark.parametrize(("epoch", "batch"), [(0, 2), (2, 1), (3, -1)], ids=["first epoch", "third epoch", "saving"])
def test_killed_and_resumed(tmp_path, uninterrupted, epoch, batch):
    path = tmp_path / "run"
    arguments = [sys.executable, "-c", KILLED, str(path), str(epoch), str(batch), *SETTINGS]
    died = subprocess.run(arguments, check=False, capture_output=True, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()[-2000:]
    assert not (path / "model.keras").exists()
    train(path, resume=True)
    assert_same(path, uninterrupted)


def test_a_damaged_checkpoint_is_passed_over(tmp_path, uninterrupted):
    path = tmp_path / "run"
    shutil.copytree(uninterrupted, path)
    (path / "model.keras").unlink()
    latest = checkpoints.checkpoints(path / "checkpoints")[-1]
    weights = bytearray((latest / checkpoint.WEIGHTS).read_bytes())
    weights[len(weights) // 2] ^= 1
    (latest / checkpoint.WEIGHTS).write_bytes(weights)
    said = train(path, resume=True)
    assert any(latest.name in line and "damaged" in line and "\n" not in line for line in said)
    assert_same(path, uninterrupted)


def test_a_finished_run_resumes_to_itself(tmp_path, uninterrupted):
    # A `.keras` file holds the time at which it was written, so these bytes would change if it were written again.
    names = ("metrics.jsonl", "model.keras")
    before = [(uninterrupted / name).read_bytes() for name in names]
    written = (uninterrupted / "model.keras").stat().st_mtime_ns
    train(uninterrupted, resume=True)
    assert [(uninterrupted / name).read_bytes() for name in names] == before
    assert (uninterrupted / "model.keras").stat().st_mtime_ns == written


@pytest.mark.parametrize("damaged", [False, True])
def test_a_finished_run_writes_a_lost_model_anew(tmp_path, uninterrupted, damaged):
    path = tmp_path / "run"
    shutil.copytree(uninterrupted, path)
    (path / "model.keras").unlink()
    if damaged:
        (path / "model.keras").write_bytes(b"no model")
    train(path, resume=True)
    assert_same(path, uninterrupted)


def test_a_finished_run_goes_on_for_more_epochs(tmp_path, uninterrupted):
    path = tmp_path / "run"
    assert train(path, epochs=2) == []
    run = RunDirectory(path)
    run.evaluation.write_text("{}")
    run.export.mkdir()
    (run.export / "saved_model.pb").write_bytes(b"")
    assert has_ended(run)
    assert train(path, resume=True) == ["resuming after epoch 2 of 4 (so far it was a run of 2)"]
    assert_same(path, uninterrupted)
    assert run.config.read_bytes() == (uninterrupted / "config.yaml").read_bytes()
    # They were those of the model of two epochs.
    assert not run.evaluation.exists() and not run.export.exists() and not has_ended(run)
    with pytest.raises(RunError, match="has 4 epochs behind it already; --epochs goes on, so it needs 4 or more"):
        train(path, resume=True, epochs=3)
    assert run.experiment().train.epochs == 4 and run.model.is_file()


def test_a_cosine_of_more_epochs_is_another_one(tmp_path):
    settings = ["data.train=train[:64]", "data.validation=validation[:64]", "train.schedule=cosine", "train.epochs=1"]
    said, small = [], [*settings, "model.network={name: mlp, width: 8}", "watch.pictures=false"]
    experiment = configurations.load("digits/vae", small)
    for resume, epochs in ((False, 1), (True, 2)):
        experiments.train(
            with_epochs(experiment, epochs),
            RunDirectory(tmp_path / "run"),
            resume=resume,
            quiet=True,
            announce=said.append,
        )
    assert said[0].startswith("warning: train.schedule: the cosine was that of 1 epochs, and is that of 2 from here on")


@pytest.mark.parametrize("damaged", ["metrics.jsonl", "model.keras", "checkpoints/epoch-0004/state.json", "export"])
def test_a_run_has_not_ended_where_something_of_it_is_damaged(tmp_path, uninterrupted, damaged):
    path = tmp_path / "run"
    shutil.copytree(uninterrupted, path)
    (path / "export").mkdir()
    (path / "export" / "saved_model.pb").write_bytes(b"")
    assert has_ended(RunDirectory(path))
    file = path / damaged
    if damaged == "export":
        shutil.rmtree(file)
    else:
        content = file.read_bytes()
        at = len(content) // 2
        file.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    assert not has_ended(RunDirectory(path))


def test_an_existing_run_is_not_overwritten(uninterrupted):
    with pytest.raises(RunError, match="--resume"):
        train(uninterrupted)


def test_a_run_of_another_configuration_is_named(uninterrupted):
    other = configurations.load("digits/contrastive", [*SETTINGS, "model.temperature=0.5"])
    with pytest.raises(RunError, match=r"model\.temperature is 0\.1 there, 0\.5 here"):
        RunDirectory.open(uninterrupted).check_same(other)


@pytest.mark.parametrize("damage", ["a digit", "a lost line", "no file"])
def test_a_history_that_does_not_fit_its_checkpoint_is_refused(tmp_path, uninterrupted, damage):
    run = RunDirectory(tmp_path / "run")
    shutil.copytree(uninterrupted, run.path)
    assert [row["epoch"] for row in recorded_epochs(run)] == [1, 2, 3, 4]
    lines = run.metrics.read_text().splitlines(keepends=True)
    # A line more is that of an epoch whose checkpoint is being written.
    run.metrics.write_text("".join(lines) + lines[-1].replace('"epoch": 4', '"epoch": 5'))
    assert len(recorded_epochs(run)) == 5
    if damage == "no file":
        run.metrics.unlink()
    else:
        digit = lines[1].index('"val_elbo": -') + len('"val_elbo": -')
        changed = lines[1][:digit] + str((int(lines[1][digit]) + 1) % 10) + lines[1][digit + 1 :]
        run.metrics.write_text("".join([lines[0], *([changed] if damage == "a digit" else []), *lines[2:]]))
    with pytest.raises(RunError, match=r"metrics\.jsonl: is damaged: it does not fit the checkpoint epoch-0004"):
        recorded_epochs(run)
