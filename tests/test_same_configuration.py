"""A run goes on with the configuration that it was begun with, or says what has changed."""

import json

import pytest

from zoo.experiments import configurations
from zoo.experiments.run_directory import RunDirectory, RunError
from zoo.experiments.same_configuration import check_begun, check_trained


def experiment(*settings):
    return configurations.load("digits/vae", list(settings))


@pytest.fixture
def run(tmp_path):
    return RunDirectory.create(tmp_path / "run", experiment())


def stored(found):
    """As a checkpoint gives it back."""
    return json.loads(json.dumps(found.values()))


def test_what_a_run_reads_is_what_it_was_begun_with(run):
    check_begun(run, run.experiment(resolve=True))
    check_trained(run.config, run.experiment(resolve=True), stored(experiment()), pytest.fail)


# What is set, and how both values are named.
CHANGES = {
    "model.beta=4.0": "model.beta is 4.0, and the last checkpoint was trained with 1.0",
    "model.beta={name: linear, start: 0.0, end: 1.0, epochs: 2}": 'model.beta is {"name": "linear", "start": 0.0',
    "train.seed=1": "train.seed is 1, and the last checkpoint was trained with 0",
    "data.train=train[:100]": 'data.train is "train[:100]", and the last',
    "model.network=mlp": 'model.network.name is "mlp", and the last checkpoint was trained with "conv"',
    "watch.images=100": "watch.images is 100, and the last",
    "train.optimizers={critic: {name: adam}}": 'train.optimizers is {"critic": {"name": "adam"',
}


@pytest.mark.parametrize("setting", CHANGES)
def test_another_value_is_refused(run, setting):
    changed = experiment(setting)
    with pytest.raises(RunError) as refused:
        check_trained(run.config, changed, stored(experiment()), pytest.fail)
    assert str(refused.value).startswith(f"{run.config}: {CHANGES[setting]}") and "\n" not in str(refused.value)
    assert str(refused.value).endswith("; put that value back, or train the changed one into another --run-dir")
    with pytest.raises(RunError, match=r"config\.yaml: has changed since the run was made"):
        check_begun(run, changed)


def test_a_later_version_may_know_more(run):
    known = stored(experiment())
    del known["watch"]["alarm"]["patience"]
    check_trained(run.config, experiment(), known, pytest.fail)
    # And read the digest of other keys.
    written = json.loads(run.environment.read_text())
    run.environment.write_text(json.dumps({**written, "zoo": "0.0.1"}))
    check_begun(run, experiment("model.beta=4.0"))


def test_a_run_may_go_on_for_longer_and_its_data_may_move(tmp_path):
    said = []
    begun, now = (
        experiment(f"train.epochs={epochs}", f"data={{name: files, path: /{where}}}")
        for epochs, where in ((3, "here"), (7, "there"))
    )
    run = RunDirectory.create(tmp_path / "run", begun)
    check_trained(run.config, now, stored(begun), said.append)
    check_begun(run, now)
    assert said == [
        f'{run.config}: data.path is "/there"; it was "/here" when the last checkpoint was written',
        f"{run.config}: train.epochs is 7; it was 3 when the last checkpoint was written",
    ]
