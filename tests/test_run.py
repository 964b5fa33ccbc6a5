"""From a configuration to a compiled model, and what a run does when the world gets in its way."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo import experiments
from zoo.experiments import configurations
from zoo.experiments.building import build_optimizer
from zoo.experiments.evaluation import write_evaluation
from zoo.experiments.run_directory import RunDirectory, RunError
from zoo.training import callbacks

pytestmark = pytest.mark.slow


SMALL = ["model.network={name: mlp, width: 8, depth: 1}", "data.train=train[:128]", "train.epochs=1"]


def load(*settings, name="digits/vae"):
    return configurations.load(name, [*SMALL, *settings])


def test_the_recipe_of_the_configuration_reaches_the_optimiser():
    optimizer = build_optimizer(load().train, steps_per_epoch=10)
    assert isinstance(optimizer, keras.optimizers.SGD)
    assert (optimizer.momentum, optimizer.global_clipnorm) == (0.9, 5.0)
    assert (float(optimizer.learning_rate), optimizer.weight_decay) == (pytest.approx(1e-3), 1e-8)
    changed = load("train.optimizer={name: adam, learning_rate: 1e-4}", "train.clip_norm=null")
    optimizer = build_optimizer(changed.train, steps_per_epoch=10)
    assert isinstance(optimizer, keras.optimizers.Adam)
    assert optimizer.global_clipnorm is None


def test_a_cosine_ends_at_zero_with_the_last_step():
    recipe = load("train.schedule={name: cosine}", "train.epochs=3").train
    schedule = build_optimizer(recipe, steps_per_epoch=10)._learning_rate
    rates = [float(schedule(step)) for step in (0, 15, 30)]
    np.testing.assert_allclose(rates, [1e-3, 0.5e-3, 0], atol=1e-9)


def test_warm_up_counts_epochs():
    model = experiments.build_model(load("train.kl_warmup=2.5"), (28, 28, 1), steps_per_epoch=10)
    assert model.warmup_steps == 25


@pytest.mark.parametrize("name", ["digits/vae", "digits/contrastive"])
@pytest.mark.parametrize("setting", ["train.precision=mixed_bfloat16", "train.jit_compile=true"])
def test_users_may_choose_bfloat16_and_xla(tmp_path, name, setting):
    experiments.train(load(setting, name=name), RunDirectory(tmp_path / "run"), quiet=True)
    assert keras.config.dtype_policy().name == "float32"


def test_the_same_seed_gives_the_same_weights():
    first, second = (experiments.build_model(load(), (28, 28, 1), 1).get_weights() for _ in range(2))
    other = experiments.build_model(load("train.seed=1"), (28, 28, 1), 1).get_weights()
    assert all((a == b).all() for a, b in zip(first, second, strict=True))
    assert any((a != b).any() for a, b in zip(first, other, strict=True))


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"cannot be made: .* is not a folder"):
        experiments.train(load(), RunDirectory(tmp_path / "file" / "run"), quiet=True)


@pytest.mark.parametrize(
    "error",
    [OSError(28, "No space left on device"), tf.errors.ResourceExhaustedError(None, None, "No space left on device")],
)
def test_a_full_disk_is_one_line(tmp_path, monkeypatch, error):
    def full(*_, **__):
        raise error

    monkeypatch.setattr(callbacks.TensorBoardMonitor, "on_epoch_end", full)
    with pytest.raises(RunError, match="No space left on device") as caught:
        experiments.train(load(), RunDirectory(tmp_path / "run"), quiet=True)
    assert "\n" not in str(caught.value)


def test_an_export_of_a_run_carries_its_evaluation(tmp_path):
    directory = RunDirectory(tmp_path / "run")
    experiments.train(load(), directory, quiet=True)
    write_evaluation(directory, "test", {"rate": {"value": 1.25, "unit": "nats", "examples": 300, "note": ""}})
    export = experiments.export_run(directory.path)
    assert "| test | `rate` | 1.25 | nats | 300 |" in (export / "README.md").read_text()


def test_a_damaged_model_file_is_named(tmp_path):
    directory = RunDirectory.create(tmp_path / "run", load())
    directory.model.write_bytes(b"not a model")
    with pytest.raises(RunError, match=r"model\.keras: is damaged"):
        experiments.load_model(directory)
