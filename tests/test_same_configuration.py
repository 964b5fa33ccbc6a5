"""A run goes on, and is measured, with the configuration that it was made with, or says what has changed."""

import json

import pytest

from zoo.experiments import configurations
from zoo.experiments.run_directory import RunDirectory
from zoo.experiments.same_configuration import check_unchanged, values
from zoo.experiments.schema import ConfigurationError


def experiment(*settings):
    return configurations.load("digits/vae", list(settings))


@pytest.fixture
def run(tmp_path):
    return RunDirectory.create(tmp_path / "run", experiment())


def test_what_a_run_reads_is_what_it_was_made_with(run):
    # As a checkpoint gives it back.
    known = json.loads(json.dumps(values(experiment())))
    check_unchanged(run.config, run.experiment(resolve=True), known, announce=pytest.fail)
    assert run.read(run.environment)["configuration"] == known


# What is set, and how both values are named.
CHANGES = {
    "model.beta=4.0": "model.beta is 4.0, and environment.json says that the run was made with 1.0;",
    "model.beta={name: linear, start: 0.0, end: 1.0, epochs: 2}": 'model.beta is {"name": "linear", "start": 0.0',
    "train.seed=1": "train.seed is 1, and environment.json says that the run was made with 0;",
    "data.train=train[:100]": 'data.train is "train[:100]", and environment.json says that the run',
    "model.network=mlp": 'model.network.name is "mlp", and environment.json says that the run was made with "conv";',
    "watch.images=100": "watch.images is 100, and environment.json says that the run was made with 300;",
    "train.optimizers={critic: {name: adam}}": 'train.optimizers is {"critic": {"name": "adam"',
}


@pytest.mark.parametrize("setting", CHANGES)
def test_another_value_is_refused(run, setting):
    run.config.write_text(configurations.dump(experiment(setting)))
    with pytest.raises(ConfigurationError) as refused:
        run.experiment(resolve=True)
    assert str(refused.value).startswith(f"{run.config}: {CHANGES[setting]}") and "\n" not in str(refused.value)
    assert str(refused.value).endswith("; put that value back, or train the changed one into another --run-dir")


def test_a_later_version_may_know_more(run):
    written = json.loads(run.environment.read_text())
    del written["configuration"]["watch"]["alarm"]["patience"]
    run.environment.write_text(json.dumps(written))
    assert run.experiment(resolve=True).flat() == experiment().flat()
    # And an earlier one did not write it down.
    del written["configuration"]
    run.environment.write_text(json.dumps(written))
    assert run.experiment(resolve=True).flat() == experiment().flat()


def test_a_run_may_go_on_for_longer_and_its_data_may_move(tmp_path):
    said = []
    made, now = (
        experiment(f"train.epochs={epochs}", f"data={{name: files, path: /{where}}}")
        for epochs, where in ((3, "here"), (7, "there"))
    )
    run = RunDirectory.create(tmp_path / "run", made)
    check_unchanged(run.config, now, values(made), "it was", said.append)
    # Of the epochs, a resume says from which to which it goes.
    assert said == [f'{run.config}: data.path is "/there", and it was "/here"']
    run.config.write_text(configurations.dump(now))
    assert run.experiment(resolve=True).flat() == now.flat()
