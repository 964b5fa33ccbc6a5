"""Whatever is damaged, and whenever a kill or an error comes: the same as before, or a line that says so."""

import errno
import json
import os
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from zoo.experiments import configurations
from zoo.experiments.evaluation import write_evaluation
from zoo.experiments.run_directory import RunDirectory, RunError
from zoo.experiments.same_configuration import values
from zoo.experiments.schema import ConfigurationError
from zoo.training import checkpoints, metrics_file
from zoo.training.callbacks import checkpoint, record

# The same examples every time; one that takes longer hangs. Fixtures hold what all examples start from. A failure shows
# what was damaged, so that nothing is gained by minutes of making it smaller.
quick = settings(
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    deadline=timedelta(seconds=20),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

# Configurations.

positive = st.floats(1e-6, 1e6, allow_nan=False)
VALUES = {
    "model.method": st.sampled_from(["vae", "iwae", "contrastive", "consistency", "[consistency, iwae]", "critic"]),
    "model.latent_dim": st.integers(1, 200),
    "model.beta": st.one_of(positive, st.just("{name: linear, start: 0.0, end: 1.0, epochs: 3}")),
    "model.network": st.sampled_from(["mlp", "conv", "{name: mlp, width: 7, depth: 3}", "{name: conv, depth: 3}"]),
    "model.likelihood": st.sampled_from(["bernoulli", "{name: gaussian, variance: 0.1}", "laplace"]),
    "data.binarize": st.sampled_from(["null", "dynamic", "fixed"]),
    "data.train": st.integers(2, 1000).map(lambda n: f"train[:{n}]"),
    "train.optimizer": st.builds(lambda rate: f"{{name: adam, learning_rate: {rate!r}}}", positive),
    "train.schedule": st.sampled_from(["{name: cosine}", "{name: plateau, patience: 1}", "{name: constant}"]),
    "train.epochs": st.integers(1, 10**6),
    "train.seed": st.integers(0, 2**31 - 1),
    "watch.images": st.integers(1, 10**5),
}
given_settings = st.fixed_dictionaries({}, optional=VALUES).map(lambda found: [f"{k}={v}" for k, v in found.items()])


@pytest.mark.slow
@settings(quick, max_examples=100)
@given(chosen=given_settings)
def test_a_configuration_is_read_as_it_was_written(tmp_path, chosen):
    try:
        experiment = configurations.load("digits/vae", chosen)
    except ConfigurationError as error:
        # Some do not go together.
        assert "\n" not in str(error)
        return
    path = tmp_path / "own.yaml"
    path.write_text(configurations.dump(experiment))
    again = configurations.load(path)
    assert again.flat() == experiment.flat() and values(again) == values(experiment)
    assert configurations.dump(again) == configurations.dump(experiment)


ODD = [b"\0", b"\xff", b"&a [*a]", b"<<: *a", b"{[", b"!!python/object:os.system ", b"1" * 5000, b"[" * 3000, b"nan"]
ODD += [b"-.inf", b"1e999", b"null", b"\n---\n", b"\t", b"'", b": ", b"\xe2\x80\xa8"]


def damaged(content, draw):
    """Bytes with one change: one of them another, cut short, a part lost or twice, or something put in."""
    place = draw(st.integers(0, max(len(content) - 1, 0)))
    end = draw(st.integers(place, min(place + 200, len(content))))
    match draw(st.sampled_from(["flip", "cut", "lose", "double", "insert"])):
        case "flip":
            other = content[place] ^ draw(st.integers(1, 255))
            return content[:place] + bytes([other]) + content[place + 1 :]
        case "cut":
            return content[:place]
        case "lose":
            return content[:place] + content[end:]
        case "double":
            return content[:end] + content[place:]
    odd = st.sampled_from(ODD) | st.binary(max_size=20)
    return content[:place] + draw(odd) + content[place:]


@pytest.mark.slow
@settings(quick, max_examples=150)
@given(data=st.data())
def test_a_damaged_configuration_is_one_line_or_a_configuration(tmp_path, data):
    shipped = data.draw(st.sampled_from(["digits/vae", "digits/contrastive", "mnist/iwae"]))
    path = tmp_path / "own.yaml"
    path.write_bytes(damaged(configurations.dump(configurations.load(shipped)).encode(), data.draw))
    try:
        found = configurations.load(path)
    except ConfigurationError as error:
        assert "\n" not in str(error) and len(str(error)) < 1000, error
    else:
        assert values(found)


# Files of a run.


@pytest.fixture
def run(tmp_path):
    return RunDirectory.create(tmp_path / "run", configurations.load("digits/vae"))


@settings(quick, max_examples=200)
@given(data=st.data())
def test_a_damaged_evaluation_is_the_same_or_a_line(run, data):
    figure = {"value": -1.25, "unit": "nats", "examples": 300, "note": "", "error": 0.5, "values": [1.0, 2e-7]}
    run.evaluation.unlink(missing_ok=True)
    write_evaluation(run, "test", {"rate": figure}, {"knn": "no labels"})
    whole, left_out = run.evaluated(), run.left_out("test")
    run.evaluation.write_bytes(damaged(run.evaluation.read_bytes(), data.draw))
    try:
        found = run.evaluated(), run.left_out("test")
    except RunError as error:
        assert "\n" not in str(error) and "is damaged" in str(error)
    else:
        assert found == (whole, left_out) or "sha256" not in json.loads(run.evaluation.read_text())


@pytest.mark.slow
@settings(quick, max_examples=100)
@given(data=st.data())
def test_a_damaged_configuration_of_a_run_is_the_same_or_a_line(run, data):
    known = configurations.load("digits/vae")
    run.config.write_bytes(damaged(configurations.dump(known).encode(), data.draw))
    try:
        found = run.experiment(resolve=True).flat()
    except (ConfigurationError, RunError) as error:
        assert "\n" not in str(error) and str(error).startswith(str(run.path))
    else:
        # How long it trains is said when it goes on.
        assert {**found, "train.epochs": 20} == known.flat()


ROWS = [{"epoch": epoch, "step": 3 * epoch, "loss": 1 / epoch} for epoch in (1, 2, 3)]


@settings(quick, max_examples=200)
@given(data=st.data(), kept=st.integers(0, 3))
def test_damaged_metrics_are_noticed_and_written_anew(tmp_path, data, kept):
    path, fits = tmp_path / "metrics.jsonl", metrics_file.text(ROWS[:kept]).encode()
    path.write_bytes(damaged(metrics_file.text(ROWS).encode(), data.draw))
    held = path.read_bytes()
    for row in metrics_file.rows(path):
        assert isinstance(row["epoch"], int)
    assert metrics_file.rewrite(path, ROWS[:kept]) == held.startswith(fits)
    assert path.read_bytes() == fits and metrics_file.rows(path) == ROWS[:kept]


# Checkpoints: of a model of two weights, whose values tell the epoch.


class Small(keras.Sequential):
    def build_optimizers(self):
        self.optimizer.build(self.trainable_variables)


def model_of(epoch):
    model = Small([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.build_optimizers()
    model.set_weights([np.full(w.shape, epoch) for w in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def models():
    return {epoch: model_of(epoch) for epoch in range(5)}


def save(models, folder, epochs):
    for epoch in epochs:
        callback = checkpoint.Checkpoint(folder, record=record.Record(folder / "none", ROWS[:epoch]))
        callback.set_model(models[epoch])
        callback.on_epoch_end(epoch - 1)


def restored(models, folder):
    """What a resume takes: the epoch, once weights and rows have proven to be its own; and what it said."""
    said = []
    models[0].set_weights([np.zeros(w.shape) for w in models[0].get_weights()])
    epoch = checkpoint.restore(folder, models[0], said.append)
    for weights in models[0].get_weights():
        np.testing.assert_array_equal(weights, epoch)
    assert checkpoints.recorded(folder, epoch) == ROWS[:epoch]
    assert not any("\n" in line for line in said)
    return epoch, said


@pytest.mark.slow
@settings(quick, max_examples=60)
@given(data=st.data(), name=st.sampled_from([checkpoints.STATE, checkpoints.WEIGHTS]))
def test_a_damaged_checkpoint_is_the_same_or_passed_over(tmp_path, models, data, name):
    shutil.rmtree(tmp_path / "saved", ignore_errors=True)
    save(models, tmp_path / "saved", (1, 2))
    path = tmp_path / "saved" / "epoch-0002" / name
    path.write_bytes(damaged(path.read_bytes(), data.draw))
    epoch, said = restored(models, tmp_path / "saved")
    assert (epoch, len(said)) in ((2, 0), (1, 1))


CALLS = ("rename", "replace", "mkdir", "fsync", "rmdir", "unlink", "open")


def before_each_call(monkeypatch, do):
    """Does something before each call with which Python changes files."""

    def told(real):
        def call(*arguments, **more):
            do()
            return real(*arguments, **more)

        return call

    for name in CALLS:
        monkeypatch.setattr(os, name, told(getattr(os, name)))


def test_a_kill_at_any_call_leaves_a_whole_checkpoint(tmp_path, models, monkeypatch):
    """What a kill leaves is what is there before the call: a copy is taken each time."""
    folder, copies = tmp_path / "saved", []
    save(models, folder, (1, 2))
    copying = []

    def copy():
        if not copying:
            copying.append(True)
            copies.append(shutil.copytree(folder, tmp_path / f"copy-{len(copies)}"))
            copying.clear()

    with monkeypatch.context() as patch:
        before_each_call(patch, copy)
        save(models, folder, (3,))
    found = [restored(models, path) for path in copies]
    assert len(found) > 10 and all(said == [] for _, said in found)
    epochs = [epoch for epoch, _ in found]
    assert epochs == sorted(epochs) and set(epochs) == {2, 3}


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_an_error_at_any_call_leaves_a_whole_checkpoint(tmp_path, models, monkeypatch, number):
    refused = 0
    for fails in range(100):
        folder, calls = tmp_path / f"{fails}", []
        save(models, folder, (1, 2))

        def fail(calls=calls, last=fails + 1):
            calls.append(None)
            if len(calls) == last:
                raise OSError(number, os.strerror(number))

        with monkeypatch.context() as patch:
            before_each_call(patch, fail)
            try:
                save(models, folder, (3,))
            except (checkpoints.CheckpointError, OSError) as error:
                # An older checkpoint that cannot be removed is the disk's own error, which `fitting` puts in a line.
                refused += 1
                assert "\n" not in str(error) and os.strerror(number) in str(error)
        epoch, said = restored(models, folder)
        assert epoch in (2, 3) and said == []
        if len(calls) <= fails:
            break
    assert refused > 5 and epoch == 3


@pytest.mark.slow
def test_the_benchmark_counts_no_silent_difference(tmp_path):
    script, rows = Path(__file__).parents[1] / "benchmarks" / "faults.py", tmp_path / "rows.jsonl"
    arguments = [sys.executable, str(script), "--only", "configurations,moments", "--kills", "1", "--to", str(rows)]
    ended = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    ends = [json.loads(line)["end"] for line in rows.read_text().splitlines()]
    assert ends == ["refused"] * 14 + ["survived"]
