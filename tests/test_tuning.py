"""KerasTuner hypermodels out of configurations."""

import keras
import keras_tuner
import numpy as np
import pytest

import zoo
from zoo.experiments import configurations, tuning
from zoo.experiments.schema import ConfigurationError

pytestmark = pytest.mark.slow

# A network and a data set that train in a moment.
SETTINGS = [
    "data.train=train[:128]",
    "data.validation=validation[:96]",
    "model.network={name: mlp, depth: 1, width: 16}",
    "model.latent_dim=4",
    "model.queue_size=128",
    "train.epochs=2",
    "train.batch_size=64",
]


def experiment(name="digits/contrastive", *settings):
    return configurations.load(name, [*SETTINGS[: 5 if name.endswith("contrastive") else 4], *SETTINGS[5:], *settings])


def drawn(space, **fixed):
    """The values of the space's keys in the experiment of a trial, which are the defaults unless fixed."""
    hp = keras_tuner.HyperParameters()
    model = tuning.hypermodel(experiment(), space)
    model.configured(hp)
    hp.values.update({key.replace("__", "."): value for key, value in fixed.items()})
    flat = model.configured(hp).flat()
    return hp, {key: flat[key] for key in space}


def test_a_trial_is_the_configuration_with_the_drawn_values():
    space = {"model.gamma": (0.0, 3.0), "train.batch_size": [32, 64], "train.optimizer.learning_rate": (1e-4, 1e-1)}
    hp = keras_tuner.HyperParameters()
    model = tuning.hypermodel(experiment(), space)
    assert (
        model.configured(hp).flat() == experiment().flat()
    )  # in range, the configuration's own values are the defaults
    hp.values.update({"model.gamma": 2.5, "train.batch_size": 32, "train.optimizer.learning_rate": 0.02})
    changed = ("model.gamma=2.5", "train.batch_size=32", "train.optimizer.learning_rate=0.02")
    assert model.configured(hp).flat() == experiment("digits/contrastive", *changed).flat()


def test_build_gives_a_compiled_model_of_the_trial():
    space = {"model.gamma": (0.0, 3.0), "train.kl_warmup": (0, 2), "train.batch_size": [32, 64]}
    hp = keras_tuner.HyperParameters()
    hp.values.update({"model.gamma": 2.5, "train.kl_warmup": 1.0, "train.batch_size": 32})
    model = tuning.hypermodel(experiment(), space).build(hp)
    assert isinstance(model, zoo.ContrastiveVAE)
    assert model.built
    assert model.optimizer.built
    assert (model.gamma, model.latent_dim, model.example_shape) == (2.5, 4, (28, 28, 1))
    assert model.warmup_steps == 128 // 32


@pytest.mark.parametrize(
    ("key", "given", "kind", "properties"),
    [
        ("model.gamma", (0.0, 2.0), "Float", {"min_value": 0.0, "max_value": 2.0, "sampling": "linear"}),
        ("model.gamma", (0, 2), "Float", {"min_value": 0.0, "max_value": 2.0}),
        ("model.temperature", (0.01, 1, "log"), "Float", {"sampling": "log"}),
        ("model.gamma", (0.5, 2.0, 0.5), "Float", {"step": 0.5}),
        ("model.latent_dim", (2, 8), "Int", {"min_value": 2, "max_value": 8, "sampling": "linear"}),
        ("model.latent_dim", (2, 8, 3), "Int", {"step": 3}),
        ("model.network.width", (8, 64, "log"), "Int", {"sampling": "log"}),
        ("train.clip_norm", (0.5, 10.0), "Float", {"max_value": 10.0}),
        ("model.temperature", [0.05, 0.1, 1], "Choice", {"values": [0.05, 0.1, 1.0]}),
        ("model.elbo_on", ["query", "original"], "Choice", {"values": ["query", "original"]}),
        ("train.jit_compile", [False, True], "Choice", {"values": [False, True]}),
    ],
)
def test_ranges_and_choices(key, given, kind, properties):
    hp, values = drawn({key: given})
    (registered,) = hp.space
    assert registered.name == key
    assert type(registered).__name__ == kind
    assert {name: getattr(registered, name) for name in properties} == properties
    assert values[key] == hp.values[key]


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({}, "space: empty"),
        ({"model.gama": (0.0, 1.0)}, r"no key 'model.gama'; did you mean 'model.gamma'\?"),
        ({"data.train": ["train[:64]"]}, "no key 'data.train'"),
        ({"watch.images": (10, 20)}, "no key 'watch.images'"),
        ({"model.gamma": (1.0, 0.0)}, r"model.gamma: the range \(1.0, 0.0\) is empty"),
        ({"model.gamma": (1.0, 1.0)}, "is empty"),
        ({"model.gamma": (float("nan"), 1.0)}, "is empty"),
        ({"model.gamma": []}, "model.gamma: the list of choices is empty"),
        ({"model.gamma": 0.5}, r"model.gamma: must be a range \(low, high\).* got 0.5"),
        ({"model.gamma": "0..1"}, "must be a range"),
        ({"model.gamma": (0.5,)}, "must be a range"),
        ({"model.gamma": (True, 2)}, "must be a range"),
        ({"model.gamma": (0.1, 1.0, "logarithmic")}, "must be a range"),
        ({"model.gamma": (0.1, 1.0, 2.0)}, "must be a range"),
        ({"model.latent_dim": (2, 8, 0.5)}, "must be a range"),
        ({"model.gamma": (0.0, 1.0, "log")}, "must begin above 0"),
        ({"model.gamma": [0.5, "much"]}, "choices must be all numbers"),
        ({"train.clip_norm": [None, None]}, "choices must be all numbers"),
        ({"model.gamma": (-1.0, 1.0)}, "model.gamma: must be a finite number of at least 0, or a schedule, got -1.0"),
        ({"model.latent_dim": (0.5, 8.0)}, "model.latent_dim: must be a valid integer"),
        ({"model.elbo_on": ["query", "key"]}, "model.elbo_on: must be 'query' or 'original', got 'key'"),
        ({"model.temperature": ["hot", "cold"]}, "model.temperature: must be a finite number"),
    ],
)
def test_mistakes_are_one_line_that_names_the_key(space, message):
    with pytest.raises(ValueError, match=message) as caught:
        tuning.hypermodel(experiment(), space)
    assert "\n" not in str(caught.value)


def test_a_configuration_that_is_not_there():
    with pytest.raises(ConfigurationError, match="digits/contrastive"):
        tuning.hypermodel("digits/contrastiv", {"model.gamma": (0.0, 1.0)})


def test_the_score_of_a_trial_is_the_best_models_mutual_information(tmp_path):
    hypermodel = tuning.hypermodel(experiment(), {"model.gamma": (0.0, 1.0), "train.optimizer.name": ["sgd", "adam"]})
    tuner = keras_tuner.RandomSearch(hypermodel, tuning.OBJECTIVE, max_trials=2, seed=1, directory=tmp_path)
    tuner.search(verbose=0)
    trials = tuner.oracle.get_best_trials(2)
    assert len(trials) == 2
    assert trials[0].score >= trials[1].score
    images = hypermodel.examples[1].images
    assert images.shape == (96, 28, 28, 1)
    loc, scale = tuner.get_best_models(1)[0].encode(images)
    expected = zoo.metrics.mutual_information(loc.numpy(), scale.numpy(), seed=0)
    np.testing.assert_allclose(trials[0].score, expected, atol=1e-3)


def fitted(**arguments):
    hp = keras_tuner.HyperParameters()
    hypermodel = tuning.hypermodel(experiment("digits/vae"), {"model.beta": (0.5, 2.0)})
    model = hypermodel.build(hp)
    return model, hypermodel.fit(hp, model, verbose=0, **arguments)


def test_fit_trains_the_configurations_epochs_and_logs_the_information():
    seen = []
    watcher = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(logs["val_active_units"]))
    model, history = fitted(callbacks=[watcher])
    assert history.epoch == [0, 1]
    assert {"val_mutual_information", "val_marginal_kl", "val_active_units", "val_elbo", "rate"} <= set(history.history)
    assert len(seen) == 2
    assert int(model.step.value) == 2 * (128 // 64)


def test_fit_goes_on_where_an_earlier_trial_stopped():
    model, history = fitted(epochs=4, initial_epoch=3)
    assert history.epoch == [3]
    assert int(model.step.value) == 2
    whole, _ = fitted(epochs=1)
    # Epoch 4 has its own order of the data, hence other weights than the first epoch.
    assert np.abs(model.encoder.get_weights()[0] - whole.encoder.get_weights()[0]).max() > 0


def test_data_are_the_configurations():
    hp = keras_tuner.HyperParameters()
    hypermodel = tuning.hypermodel(experiment("digits/vae"), {"model.beta": (0.5, 2.0)})
    with pytest.raises(ValueError, match="search: takes epochs, callbacks and verbose, not data, validation_split"):
        hypermodel.fit(hp, hypermodel.build(hp), np.zeros((4, 28, 28, 1)), validation_split=0.1)


def test_floats_that_the_likelihood_does_not_take(tmp_path):
    np.savez(tmp_path / "own.npz", images=np.full((300, 8, 8, 1), 2.0, np.float32))
    own = ["data.name=files", f"data.path={tmp_path / 'own.npz'}", "model.likelihood=bernoulli"]
    splits = ["data.train=all[:128]", "data.validation=all[128:224]", "data.test=all[224:]"]
    hypermodel = tuning.hypermodel(experiment("digits/vae", *own, *splits), {"model.beta": (0.5, 2.0)})
    hp = keras_tuner.HyperParameters()
    with pytest.raises(ValueError, match=r"data.train: float pixels must lie in \[0, 1\]"):
        hypermodel.fit(hp, hypermodel.build(hp), verbose=0)


def test_a_trial_that_diverges_fails_without_a_second_try():
    settings = ("train.clip_norm=null", "train.optimizer.learning_rate=1.0e+30")
    hypermodel = tuning.hypermodel(experiment("digits/vae", *settings), {"model.beta": (0.5, 2.0)})
    hp = keras_tuner.HyperParameters()
    with pytest.raises(keras_tuner.errors.FailedTrialError, match=r"epoch 1, step 2: .*rate.* became"):
        hypermodel.fit(hp, hypermodel.build(hp), verbose=0)
