"""Which epoch becomes the model, and when a training ends: the rule against Keras's, and held through a resume."""

import shutil
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from zoo import experiments
from zoo.experiments import configurations
from zoo.experiments.building import plateau
from zoo.experiments.continuing import has_ended
from zoo.experiments.finished import export_run, load_model
from zoo.experiments.run_directory import RunDirectory, RunError
from zoo.experiments.schema import ConfigurationError
from zoo.experiments.sections import Train
from zoo.files import NamedBytes
from zoo.training import checkpoints, metrics_file
from zoo.training.callbacks import ChosenWeights
from zoo.training.selection import REDUCTIONS, Selection


def rows(values, monitor="elbo"):
    return [{"epoch": epoch, f"val_{monitor}": value} for epoch, value in enumerate(values, 1)]


@pytest.mark.parametrize("monitor", ["elbo", "loss"])
@pytest.mark.parametrize("patience", [1, 2, 5])
@pytest.mark.parametrize("min_delta", [0.0, 0.5])
@pytest.mark.parametrize("warm_up", [0, 3])
def test_the_end_is_that_of_keras(monitor, patience, min_delta, warm_up):
    mode = "max" if monitor == "elbo" else "min"
    rule = Selection(monitor, True, patience, min_delta, warm_up=warm_up)
    for seed in range(30):
        values = np.round(np.random.default_rng(seed).normal(size=25).cumsum() / 3, 1)
        theirs = keras.callbacks.EarlyStopping(
            f"val_{monitor}", min_delta, patience, mode=mode, start_from_epoch=warm_up
        )
        theirs.set_model(SimpleNamespace(stop_training=False))
        theirs.on_train_begin()
        for epoch in range(len(values)):
            theirs.on_epoch_end(epoch, {f"val_{monitor}": values[epoch]})
            assert bool(rule.reason(rows(values[: epoch + 1], monitor))) == theirs.model.stop_training
            if theirs.model.stop_training:
                break


def test_the_chosen_epoch():
    found = rows([-3.0, -1.0, -2.0, -1.0])
    assert Selection("elbo", best=True).chosen(found) == 2  # of equal ones the first
    assert Selection("elbo").chosen(found) == 4
    assert Selection("elbo", best=True, warm_up=2).chosen(found) == 4
    assert Selection("elbo", best=True, warm_up=9).chosen(found) == 4
    assert Selection("loss", best=True).chosen(rows([3.0, 1.0, 2.0], "loss")) == 2
    # Not every epoch measures the information.
    assert (
        Selection("mutual_information", best=True).chosen([{"epoch": 1, "val_mutual_information": 0.1}, {"epoch": 2}])
        == 1
    )


def test_the_end_with_a_reduction():
    rule = Selection(reductions=2)
    assert not rule.reason([{"epoch": 1, REDUCTIONS: 0}, {"epoch": 2, REDUCTIONS: 1}])
    assert "for the 2nd time" in rule.reason([{"epoch": 3, REDUCTIONS: 2}])
    assert "for the 11th time" in Selection(reductions=11).reason([{"epoch": 3, REDUCTIONS: 11}])


@pytest.mark.parametrize(
    ("setting", "said"),
    {
        "train.monitor=elbo": "train.monitor: nothing goes by it",
        "train.stop={}": "train.stop: says no end",
        "train.stop={patience: 0}": "train.stop.patience: ",
        "train.stop={reductions: 2}": "train.stop.reductions: the schedule is constant; only plateau has reductions",
        "train.stop={reductions: 2, min_delta: 1.0}": "train.stop.min_delta: is for patience",
        "train.select=bets": "train.select: ",
        "train.schedule={name: plateau, monitor: val_los}": "train.schedule.monitor: ",
    }.items(),
)
def test_a_setting_that_nothing_goes_by_is_refused(setting, said):
    with pytest.raises(ConfigurationError, match=said.replace("{", r"\{")):
        configurations.load("digits/vae", ["train.schedule=constant", setting])


# With the third epoch the rate gets its weight, and the loss rises.
SETTINGS = [
    "data.train=train[:128]",
    "data.validation=validation[:32]",
    "model.network={name: mlp, width: 8, depth: 1}",
    "model.beta={name: piecewise, boundaries: [4], values: [0.0, 30.0]}",
    "train.epochs=9",
    "train.schedule=constant",
    "train.optimizer={name: adam, learning_rate: 0.003}",
    "train.select=best",
    "train.stop.patience=2",
    "watch.pictures=false",
    "watch.images=32",
]


def train(path, *settings, resume=False):
    said = []
    experiment = configurations.load("digits/vae", [*SETTINGS, *settings])
    model = experiments.train(experiment, RunDirectory(path), resume=resume, quiet=True, announce=said.append)
    return model, said


def values(model):
    return [v.numpy() for v in (*model.variables, *model.optimizer.variables)]


def assert_same(found, expected):
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "whole"
    model, said = train(path)
    return RunDirectory(path), values(model), said


@pytest.mark.slow
def test_the_model_is_that_of_the_best_epoch(whole):
    run, found, said = whole
    losses = [row["val_loss"] for row in metrics_file.rows(run.metrics)]
    best = 1 + int(np.argmin(losses))
    assert best == 2 and len(losses) == 4
    assert [path.name for path in checkpoints.checkpoints(run.checkpoints)] == [
        f"epoch-{epoch:04d}" for epoch in (best, best + 1, best + 2)
    ]
    assert said[-2] == f"ended after epoch {best + 2}: the validation loss has not become better for 2 epochs"
    assert said[-1].startswith(f"the model is that of epoch {best} of {best + 2}, the best by val_loss: ")
    model = load_model(run)
    assert int(model.step.numpy()) == metrics_file.rows(run.metrics)[best - 1]["step"]
    _, weights = checkpoints.read(run.checkpoints / f"epoch-{best:04d}")
    model.load_weights(NamedBytes("model.weights.h5", weights))
    assert_same(values(model)[: len(found)], found)


@pytest.mark.slow
@pytest.mark.parametrize("at", [1, 2, 3, "the end"])
def test_a_resumed_training_chooses_and_ends_alike(whole, tmp_path, at):
    there, expected, _ = whole
    last = len(metrics_file.rows(there.metrics))
    if at == "the end":
        # A kill came after the last checkpoint, before the model was written.
        run = RunDirectory(tmp_path / "run")
        shutil.copytree(there.path, run.path)
        run.model.unlink()
    else:
        run = RunDirectory(tmp_path / "run")
        train(run.path, f"train.epochs={at}", "train.select=best")
    model, said = train(run.path, resume=True)
    assert_same(values(model), expected)
    assert run.metrics.read_bytes() == there.metrics.read_bytes()
    assert sorted(path.name for path in run.checkpoints.iterdir()) == sorted(
        path.name for path in there.checkpoints.iterdir()
    )
    assert sum(line.startswith("the model is that of epoch") for line in said) == 1
    assert sum(line.startswith(f"ended after epoch {last}") for line in said) == (at != "the end")


@pytest.mark.slow
def test_a_training_that_has_ended_early_has_ended(whole, tmp_path):
    run = RunDirectory(tmp_path / "run")
    shutil.copytree(whole[0].path, run.path)
    assert not has_ended(run)
    export_run(run.path)
    assert has_ended(run)
    before = run.model.read_bytes()
    _, said = train(run.path, resume=True)
    assert run.model.read_bytes() == before and not any("the model is that" in line for line in said)


@pytest.mark.slow
def test_a_best_checkpoint_that_is_damaged_is_refused_at_once(whole, tmp_path):
    run = RunDirectory(tmp_path / "run")
    shutil.copytree(whole[0].path, run.path)
    run.model.unlink()
    best = checkpoints.checkpoints(run.checkpoints)[0]
    (best / checkpoints.WEIGHTS).write_bytes(b"nothing")
    with pytest.raises(RunError, match="the best so far, is missing or damaged; put it back"):
        train(run.path, resume=True)
    assert not run.model.is_file()


@pytest.mark.slow
def test_the_last_epoch_by_default_and_the_end_with_the_first_reduction(tmp_path):
    settings = "train.schedule={name: plateau, monitor: val_loss, patience: 1}", "train.stop={reductions: 1}"
    model, said = train(tmp_path / "run", *settings, "train.select=last")
    found = metrics_file.rows(tmp_path / "run" / "metrics.jsonl")
    losses = [row["val_loss"] for row in found]
    assert losses[-1] > min(losses) and [row[REDUCTIONS] for row in found] == [0] * (len(found) - 1) + [1]
    assert int(model.step.numpy()) == found[-1]["step"] and found[-1]["learning_rate"] == pytest.approx(0.003)
    assert said[-1].startswith(f"ended after epoch {len(found)}: the learning rate was lowered for the 1st time")


@pytest.mark.parametrize(
    ("monitor", "figures", "reductions"),
    [
        ("loss", [3.0, 2.0, 1.0], 0),
        ("val_loss", [1.0, 2.0, 3.0], 2),
        ("val_elbo", [-3.0, -2.0, -1.0], 0),
        ("val_elbo", [-1.0, -2.0, -3.0], 2),
    ],
)
def test_a_plateau_knows_which_way_its_figure_is_better(monitor, figures, reductions):
    schedule = {"name": "plateau", "monitor": monitor, "patience": 1}
    (callback,) = plateau(Train(schedule=schedule))
    callback.set_model(SimpleNamespace(optimizer=keras.optimizers.SGD(0.1)))
    callback.on_train_begin()
    for epoch, figure in enumerate(figures):
        logs = {monitor: figure}
        callback.on_epoch_end(epoch, logs)
    assert logs[REDUCTIONS] == reductions


def test_a_training_that_never_began_chooses_nothing(tmp_path):
    chosen = ChosenWeights(Selection(best=True), SimpleNamespace(rows=[]), tmp_path, print)
    chosen.on_train_begin()
    chosen.on_train_end()
