"""Searches whose keys depend on one another, and over a build function of one's own with arrays."""

import keras
import keras_tuner
import numpy as np
import pytest

import zoo
from zoo import networks
from zoo.experiments import configurations, tuning
from zoo.experiments.schema import ConfigurationError

pytestmark = pytest.mark.slow

SETTINGS = [
    "data.train=train[:64]",
    "data.validation=validation[:32]",
    "model.network={name: mlp, depth: 1, width: 8}",
    "model.latent_dim=3",
    "train.epochs=1",
    "train.batch_size=32",
]
METHODS = {
    "vae": {},
    "contrastive": {"model.gamma": (0.5, 2.0), "model.queue_size": [0, 64]},
    "consistency+iwae": {"model.samples": [2, 3]},
}


def experiment(name="digits/vae", *settings):
    return configurations.load(name, [*SETTINGS, *settings])


def trial(model, **values):
    hp = keras_tuner.HyperParameters()
    hp.values.update({key.replace("__", "."): value for key, value in values.items()})
    return hp, model.configured(hp)


def test_the_keys_of_a_branch_are_drawn_with_its_choice():
    model = tuning.hypermodel(experiment(), {"model.method": METHODS, "model.beta": (0.5, 2.0)})
    hp, found = trial(model, model__method="contrastive", model__gamma=1.5, model__queue_size=64, model__beta=0.5)
    wanted = ("model.method=contrastive", "model.gamma=1.5", "model.queue_size=64", "model.beta=0.5")
    assert found.flat() == experiment("digits/vae", *wanted).flat()
    # The others are known to the tuner, and not drawn.
    assert {one.name for one in hp.space} == {
        "model.method", "model.gamma", "model.queue_size", "model.samples", "model.beta",
    }  # fmt: skip
    assert hp.is_active("model.gamma") and not hp.is_active("model.samples")
    _, found = trial(model, model__method="vae", model__gamma=1.5)
    assert found.flat() == experiment().flat()
    _, found = trial(model, model__method="consistency+iwae", model__samples=3)
    assert found.model.method == ["consistency", "iwae"] and found.model.samples == 3
    assert type(model.build(trial(model, model__method="consistency+iwae")[0])) is zoo.combine("consistency", "iwae")


def test_another_method_drops_the_hyperparameters_of_the_configurations_own():
    base = experiment("digits/contrastive", "model.queue_size=64")
    model = tuning.hypermodel(base, {"model.method": {"vae": {}, "contrastive": {"model.gamma": (0.5, 2.0)}}})
    assert trial(model, model__method="vae")[1].hyperparameters() == experiment().hyperparameters()
    _, found = trial(model, model__method="contrastive", model__gamma=2.0)
    assert (found.model.gamma, found.model.queue_size) == (2.0, 64)


def test_branches_of_branches_and_of_networks():
    space = {
        "model.network.name": {"conv": {}, "mlp": {"model.network.depth": {1: {}, 2: {"model.network.width": [4, 6]}}}},
    }
    model = tuning.hypermodel(experiment(), space)
    values = {"model__network__name": "mlp", "model__network__depth": 2, "model__network__width": 6}
    assert trial(model, **values)[1].model.network == {"name": "mlp", "depth": 2, "decoder_depth": None, "width": 6}
    values["model__network__depth"] = 1
    assert trial(model, **values)[1].model.network["width"] == 8
    values["model__network__name"] = "conv"
    assert trial(model, **values)[1].model.network == {"name": "conv"}


def test_a_search_over_methods(tmp_path):
    hypermodel = tuning.hypermodel(experiment(), {"model.method": METHODS})
    tuner = keras_tuner.GridSearch(hypermodel, tuning.OBJECTIVE, max_trials=3, seed=1, directory=tmp_path)
    tuner.search(verbose=0)
    trials = tuner.oracle.get_best_trials(3)
    assert len(trials) == 3 and all(one.status == "COMPLETED" for one in trials)
    drawn = [one.hyperparameters.values for one in trials]
    assert all(("model.gamma" in values) == (values["model.method"] == "contrastive") for values in drawn)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"model.method": {}}, "model.method: the mapping is empty"),
        ({"model.method": {"vae": None}}, "'vae': must be a mapping of keys, which may be empty, got None"),
        ({"model.method": {"vea": {}}}, "no 'vea'; did you mean 'vae'"),
        ({"model.method": ["vae", "contrastiv"]}, "no 'contrastiv'"),
        (
            {"model.method": {"vae": {"model.gamma": (0.1, 1.0)}, "contrastive": {}}},
            "model.method=vae: no key 'model.gamma'; it is one of model.method=contrastive",
        ),
        ({"model.method": {"contrastive": {"model.gama": (0.1, 1.0)}}}, "no key 'model.gama'; did you"),
        ({"model.method": {"contrastive": {"model.gamma": (-1.0, 1.0)}}}, "model.gamma: must be a finite number"),
        ({"model.method": {"vae": {"model.beta": [1.0]}}, "model.beta": [2.0]}, "model.beta stands there twice"),
        ({"model.method": {"vae": {"model.method": ["vae"]}}}, "model.method stands there twice"),
        (
            {"train.batch_size": [32, 64], "model.method": {"contrastive": {"model.queue_size": [32, 64]}}},
            "model.queue_size: 32 is below train.batch_size: 64 (with train.batch_size=64, model.method=contrastive",
        ),
    ],
)  # fmt: skip
def test_mistakes_are_one_line_before_the_search(space, message):
    with pytest.raises(ValueError) as caught:
        tuning.hypermodel(experiment(), space)
    assert message in str(caught.value) and str(caught.value).startswith("space: ")
    assert "\n" not in str(caught.value)


def test_a_key_that_not_every_method_has_is_named():
    base = experiment("digits/contrastive", "model.queue_size=64")
    with pytest.raises(ConfigurationError, match=r"model.gamma: no such key.*with model.gamma=0.1, model.method=vae"):
        tuning.hypermodel(base, {"model.gamma": (0.1, 1.0), "model.method": ["contrastive", "vae"]})


def test_of_many_combinations_each_value_is_tried():
    keys = ["model.beta", "train.kl_warmup", "train.clip_norm", "model.network.width", "train.schedule.factor"]
    space = {key: [1, 2, 3, 4] if key != "train.schedule.factor" else [0.5, 0.6] for key in keys}
    tuning.hypermodel(experiment(), space)
    with pytest.raises(ConfigurationError, match=r"model\.samples: must be greater than"):
        tuning.hypermodel(experiment(), {**space, "model.method": {"vae": {}, "iwae": {"model.samples": [1, 0]}}})


# ── A build function and arrays ──────────────────────────────────────────────────────────────────────────────────

X = np.random.default_rng(0).integers(0, 256, (96, 8, 8, 1)).astype("uint8")


def build(hp):
    method = hp.Choice("method", ["vae", "iwae"])
    more = {}
    with hp.conditional_scope("method", ["iwae"]):
        if method == "iwae":
            more = {"samples": hp.Int("samples", 2, 3)}
    beta = hp.Float("beta", 0.1, 10.0, sampling="log")
    model = zoo.combine(method)(*networks.build("mlp", (8, 8, 1), 3, width=8), 3, beta=beta, **more)
    model.compile("adam")
    return model


def test_a_build_function_is_searched_over_on_arrays(tmp_path):
    hypermodel = tuning.hypermodel(build, data=(X[:64], X[64:]), epochs=2, batch_size=32)
    tuner = keras_tuner.RandomSearch(hypermodel, tuning.OBJECTIVE, max_trials=2, seed=1, directory=tmp_path)
    tuner.search(verbose=0)
    trials = tuner.oracle.get_best_trials(2)
    assert len(trials) == 2 and trials[0].score >= trials[1].score
    best = tuner.get_best_models(1)[0]
    loc, scale = best.encode(X[64:])
    expected = zoo.metrics.mutual_information(loc.numpy(), scale.numpy(), seed=0)
    np.testing.assert_allclose(trials[0].score, expected, atol=1e-3)
    assert best.beta == trials[0].hyperparameters.values["beta"]


def test_its_epochs_batches_and_logs():
    hp = keras_tuner.HyperParameters()
    hypermodel = tuning.hypermodel(build, data=(X[:64], X[64:]), epochs=2, batch_size=16)
    model = hypermodel.build(hp)
    history = hypermodel.fit(hp, model, verbose=0)
    assert {"val_mutual_information", "val_marginal_kl", "val_active_units", "val_elbo", "rate"} <= set(history.history)
    assert int(model.step.value) == 2 * 64 // 16
    # Every trial begins alike.
    np.testing.assert_array_equal(*(hypermodel.build(hp).encode(X[:4]).loc for _ in range(2)))
    assert hypermodel.fit(hp, model, epochs=1, verbose=0).epoch == [0]


def uncompiled(hp):
    hp.Float("beta", 0.1, 1.0)
    return zoo.VAE(*networks.build("mlp", (8, 8, 1), 3, width=8), 3)


def idle(hp):
    model = uncompiled(keras_tuner.HyperParameters())
    model.compile("adam")
    return model


PAIR = (X[:64], X[64:])


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (build, {}, "data: must be a pair .*, got nothing"),
        (build, {"data": X}, "data: must be a pair .*, got a ndarray"),
        (build, {"data": (X, None)}, "data: must be a pair"),
        (build, {"data": ([1], X)}, "data: must be two arrays, got a list"),
        (build, {"data": PAIR, "space": {"beta": (0.1, 1.0)}}, "space: a build function draws its values from hp"),
        ("digits/vae", {"space": {"model.beta": (0.1, 1.0)}, "data": PAIR}, "data: a configuration has its own"),
        ("digits/vae", {"space": {"model.beta": (0.1, 1.0)}, "epochs": 3}, "epochs: a configuration has its own"),
        ("digits/vae", {}, "space: empty"),
    ],
)
def test_mistakes_in_the_call(function, arguments, message):
    with pytest.raises(ValueError, match=message):
        tuning.hypermodel(function, **arguments)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda hp: keras.Sequential(), "must return a model of the zoo, got a Sequential"),
        (uncompiled, "uncompiled: must return a compiled model"),
        (idle, "idle: draws nothing"),
    ],
)
def test_mistakes_in_the_build_function(tmp_path, function, message):
    with pytest.raises(ValueError, match=message):
        keras_tuner.RandomSearch(tuning.hypermodel(function, data=PAIR), tuning.OBJECTIVE, directory=tmp_path)


@pytest.mark.parametrize(
    ("data", "objective", "given", "message"),
    [
        (PAIR, tuning.OBJECTIVE, {"x": X}, "search: takes epochs, callbacks and verbose, not x; data were given"),
        (PAIR, "val_loss", {"batch_size": 3}, "not batch_size"),
        (PAIR, keras_tuner.Objective("val_mutual_informatio", "max"), {}, "did you mean 'val_mutual_information'"),
        (PAIR, None, {}, "objective: no 'default_objective'"),
        ((X[:64], X[64:, :4]), tuning.OBJECTIVE, {}, "held-out"),
    ],
)
def test_misuse_ends_a_search_instead_of_failing_its_trials(tmp_path, data, objective, given, message):
    with pytest.raises(ValueError, match=message) as caught:
        tuner = keras_tuner.RandomSearch(
            tuning.hypermodel(build, data=data, epochs=1), objective, max_trials=2, directory=tmp_path
        )
        tuner.search(verbose=0, **given)
    assert "\n" not in str(caught.value)


def test_data_given_twice_end_a_search_over_a_configuration(tmp_path):
    hypermodel = tuning.hypermodel(experiment(), {"model.beta": (0.5, 2.0)})
    tuner = keras_tuner.RandomSearch(hypermodel, tuning.OBJECTIVE, max_trials=2, directory=tmp_path)
    with pytest.raises(ValueError, match="not data; data are the configuration's"):
        tuner.search(X, verbose=0)
