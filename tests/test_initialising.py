"""A training that begins with the weights of another model: what is taken over, and what is said."""

import keras
import numpy as np
import pytest

import zoo
from zoo.experiments import configurations, fitting
from zoo.experiments.initialising import initialise
from zoo.experiments.run_directory import RunDirectory
from zoo.export.saved_model import export_model

SHAPE = (8, 8, 1)


def a_model(method=zoo.VAE, shape=SHAPE, latent_dim=3, width=16, seed=0, **arguments):
    keras.utils.set_random_seed(seed)
    model = method(*zoo.networks.build("mlp", shape, latent_dim, depth=1, width=width), latent_dim, **arguments)
    model.compile("adam")
    model.build_if_known()
    return model


def weights(model, *parts):
    return [value for part in parts for value in getattr(model, part).get_weights()]


@pytest.fixture(scope="module")
def source():
    return a_model(seed=1)


@pytest.fixture(scope="module")
def export(source, tmp_path_factory):
    return export_model(source, tmp_path_factory.mktemp("exports") / "vae", trainable=True)


def test_a_model_of_one_shape_takes_over_all(source, export):
    model = a_model()
    assert any(np.any(a != b) for a, b in zip(weights(model, "encoder"), weights(source, "encoder"), strict=True))
    said = initialise(model, str(export))
    assert said == [
        f"weights of {export}:", "encoder: all 2 weights", "decoder: all 4 weights", "head: all 4 weights",
    ]  # fmt: skip
    for mine, its in zip(model.get_weights(), source.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, its)


def test_copies_follow_the_networks_that_they_are_copies_of(source, export):
    model = a_model(zoo.ContrastiveVAE, queue_size=64)
    said = initialise(model, str(export))
    assert f"key_encoder: made anew, {export} has none" in said
    for mine, its in zip(weights(model, "key_encoder", "key_head"), weights(source, "encoder", "head"), strict=True):
        np.testing.assert_array_equal(mine, its)


def test_what_does_not_fit_is_made_anew_and_said(source, export):
    model = a_model(latent_dim=5)
    fresh = [value.copy() for value in weights(model, "head")]
    said = initialise(model, str(export))
    assert "encoder: all 2 weights" in said
    assert any(line.startswith("decoder: 3 of 4 weights, the others made anew (first ") for line in said)
    assert any(line.startswith("head: 0 of 4 weights") and "16×3 there, 16×5 here" in line for line in said)
    np.testing.assert_array_equal(weights(model, "encoder")[0], weights(source, "encoder")[0])
    for mine, its in zip(weights(model, "head"), fresh, strict=True):
        np.testing.assert_array_equal(mine, its)


def test_where_nothing_fits_it_is_an_error(export):
    with pytest.raises(ValueError, match=r"init_from: nothing of .* fits: encoder: 0 of 2 weights"):
        initialise(a_model(shape=(6, 6, 1), latent_dim=2, width=5), str(export))


SETTINGS = ["train.epochs=2", "data.train=train[:128]", "model.network={name: mlp, depth: 1, width: 8}"]


def train(path, *settings, resume=False):
    said, experiment = [], configurations.load("digits/vae", [*SETTINGS, *settings])
    model = fitting.train(experiment, RunDirectory(path), resume=resume, quiet=True, announce=said.append)
    return model, said


@pytest.mark.slow
def test_a_run_begins_with_them_and_a_resume_does_not_begin_again(tmp_path):
    train(tmp_path / "first")
    settings = [f"train.init_from={tmp_path / 'first'}"]
    second, said = train(tmp_path / "second", *settings)
    assert said[0] == f"weights of {tmp_path / 'first'}:" and "encoder: all 2 weights" in said
    # It has gone on from them: the first epoch of the second is better than the last of the first.
    rows = [RunDirectory(tmp_path / name).metrics.read_text().splitlines() for name in ("first", "second")]
    losses = [[eval(line)["loss"] for line in of] for of in rows]
    assert losses[1][0] < losses[0][-1]
    RunDirectory(tmp_path / "second").model.unlink()
    again, said = train(tmp_path / "second", *settings, resume=True)
    assert not any("weights of" in line for line in said)
    for mine, its in zip(again.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, its)


def test_a_run_without_it_keeps_its_name():
    plain = configurations.load("digits/vae", resolve=False)
    assert plain.fingerprint() != configurations.load("digits/vae", ["train.init_from=x"], resolve=False).fingerprint()
    assert "train.init_from" in plain.flat()


@pytest.mark.slow
def test_mistakes_are_one_line_before_tensorflow(command, tmp_path):
    code, _, err = command("train", "digits/vae", "--init-from", "digits/vea", "--run-dir", tmp_path / "run")
    assert code == 2 and err.count("\n") == 1 and "did you mean 'digits/vae'" in err
    assert not (tmp_path / "run").exists()
