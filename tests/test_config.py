"""Configurations: schema, bases, settings, and errors in one line that name the key and what is allowed."""

import re

import pytest

import zoo
from zoo.experiments import configurations, model_section
from zoo.experiments.schema import ConfigurationError
from zoo.models.contrastive import ContrastiveVAE
from zoo.parameters import hyperparameters


def error(*settings, name="digits/contrastive"):
    with pytest.raises(ConfigurationError) as caught:
        configurations.load(name, list(settings))
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", configurations.names())
def test_every_shipped_configuration_is_valid_and_round_trips(name, tmp_path):
    experiment = configurations.load(name)
    copy = tmp_path / "config.yaml"
    copy.write_text(configurations.dump(experiment), encoding="utf-8")
    assert configurations.load(copy).flat() == experiment.flat()


@pytest.mark.parametrize("data", ["digits", "mnist", "fashion_mnist", "emnist", "cifar10", "omniglot"])
def test_both_methods_of_a_data_set_share_the_recipe(data):
    plain, contrastive = (configurations.load(f"{data}/{method}") for method in ("vae", "contrastive"))
    assert plain.train == contrastive.train
    assert plain.data == contrastive.data
    assert plain.train.clip_norm == 5.0
    for key in ("network", "likelihood", "latent_dim", "beta"):
        assert getattr(plain.model, key) == getattr(contrastive.model, key)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("model.gama=1", ["model.gama", "did you mean 'gamma'"]),
        ("model.gamma=-1", ["model.gamma", "at least 0", "-1"]),
        ("model.gamma=high", ["model.gamma", "number", "'high'"]),
        ("model.gamma=true", ["model.gamma", "number"]),
        ("model.beta=-0.5", ["model.beta", "-0.5"]),
        ("model.beta=.nan", ["model.beta", "finite"]),
        ("model.temperature=0", ["model.temperature", "above 0"]),
        ("model.momentum=1.5", ["model.momentum", "less than or equal to 1"]),
        ("model.latent_dim=0", ["model.latent_dim", "1"]),
        ("model.latent_dim=1000000000", ["model.latent_dim", "less than or equal to 65536", "1000000000"]),
        ("train.epochs=10000000000", ["train.epochs", "less than 2147483648"]),
        ("model.network={name: mlp, width: 1000000000}", ["model.network.width", "less than or equal to 65536"]),
        ("model.network={name: mlp, depth: 1000000000}", ["model.network.depth", "less than or equal to 1000"]),
        ("model.elbo_on=key", ["model.elbo_on", "'query' or 'original'"]),
        ("model.queue_size=10", ["model.queue_size", "10", "train.batch_size", "64"]),
        ("model.method=contrastiv", ["model.method", "did you mean 'contrastive'", "vae"]),
        ("model.network=cnv", ["model.network", "did you mean 'conv'", "mlp"]),
        ("model.network.depth=3", ["model.network.depth", "no such key"]),
        ("model.likelihood=gausian", ["model.likelihood", "did you mean 'gaussian'"]),
        ("model.likelihood.variance=-1", ["model.likelihood.variance", "greater than 0"]),
        ("data.name=mnst", ["data.name", "mnst", "mnist"]),
        ("data.path=x.npy", ["data.path", "files"]),
        ("data.binarize=often", ["data.binarize", "'dynamic' or 'fixed'"]),
        ("train.epochs=0", ["train.epochs", "1"]),
        ("train.epochs=many", ["train.epochs", "integer"]),
        ("train.optimizer.name=sdg", ["train.optimizer.name", "'sgd'"]),
        ("train.optimizer.rate=1", ["train.optimizer.rate", "no such key", "learning_rate"]),
        ("train.clip_norm=0", ["train.clip_norm", "greater than 0"]),
        ("trian.epochs=1", ["trian", "did you mean 'train'"]),
        ("train.epochs", ["--set train.epochs", "key=value"]),
        ("train.epochs=[1", ["--set train.epochs", "YAML"]),
    ],
)
def test_mistakes(setting, words):
    message = error(setting)
    for word in words:
        assert word in message


def test_a_batch_of_one_has_no_negatives_of_its_own():
    assert "train.batch_size" in error("model.queue_size=0", "train.batch_size=1")


def test_an_unknown_name_gets_the_nearest():
    assert "did you mean 'mnist/contrastive'" in error(name="mnist/contrastve")


def test_a_file_that_does_not_parse_names_its_line(tmp_path):
    path = tmp_path / "broken.yaml"
    path.write_text("data:\n  name: digits\nmodel: [unclosed\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"broken\.yaml: line 3"):
        configurations.load(path)


def test_a_base_that_leads_back_is_named(tmp_path):
    path = tmp_path / "loop.yaml"
    path.write_text(f"base: {path}\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="leads back"):
        configurations.load(path)


def test_settings_refine_and_replace():
    experiment = configurations.load("digits/vae", ["model.network={name: mlp, depth: 3}", "train.clip_norm=null"])
    assert experiment.model.network == {"name": "mlp", "depth": 3, "decoder_depth": None, "width": 512}
    assert experiment.train.clip_norm is None
    # Another optimiser does not inherit the momentum of the one it replaces.
    experiment = configurations.load("digits/vae", ["train.optimizer={name: adam}"])
    assert experiment.train.optimizer.momentum == 0
    # YAML takes 1e-4 for a string.
    assert (
        configurations.load("digits/vae", ["train.optimizer.learning_rate=1e-4"]).train.optimizer.learning_rate == 1e-4
    )


def test_a_signature_includes_the_bases():
    found = hyperparameters(ContrastiveVAE)
    assert {name: default for name, (_, default) in found.items()} == {
        "latent_dim": ...,
        "beta": 1.0,
        "warmup_steps": 0,
        "seed": None,
        "gamma": 1.0,
        "temperature": 0.1,
        "momentum": 0.99,
        "queue_size": 4096,
        "elbo_on": "query",
    }


def test_a_fingerprint_is_that_of_all_values_but_the_seed():
    found = configurations.load("digits/vae").fingerprint()
    assert re.fullmatch("[0-9a-f]{8}", found)
    assert configurations.load("digits/vae", ["train.seed=7"]).fingerprint() == found
    for other in ("model.beta=2", "train.epochs=3", "data.train=train[:256]", "watch.images=7"):
        assert configurations.load("digits/vae", [other]).fingerprint() != found


def test_the_names_of_likelihoods_are_those_of_the_room():
    assert set(model_section.LIKELIHOODS) == set(zoo.likelihoods.LIKELIHOODS)


def test_names_and_sections_are_checked_without_the_hyperparameters():
    early = configurations.load("digits/contrastive", ["model.gamma=-1"], resolve=False)
    assert early.model.gamma == -1 and "temperature" not in early.flat()
    with pytest.raises(ConfigurationError, match=r"^digits/contrastive: model\.gamma: must be .*at least 0"):
        early.resolved()
    for setting in ("model.method=vea", "model.network=cnv", "model.likelihood=bernuli", "train.epoch=1"):
        with pytest.raises(ConfigurationError):
            configurations.load("digits/contrastive", [setting], resolve=False)
