"""Methods add up: by name, by inheritance, in YAML, in any order."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo import likelihoods, networks
from zoo.experiments import configurations
from zoo.experiments.building import build_model
from zoo.experiments.finished import card_of
from zoo.experiments.schema import ConfigurationError
from zoo.likelihoods import LIKELIHOODS
from zoo.models import METHODS, canonical, claims
from zoo.models import method as class_of

IMAGES = np.random.default_rng(0).integers(0, 256, (16, 28, 28, 1)).astype("uint8")
NUMBERED = {"x": tf.constant(IMAGES), "index": tf.range(16)}
REGULARISED = [name for name in METHODS if name not in ("vae", "iwae")]
SMALL = {"queue_size": 32, "examples": 16, "classifier_width": 8, "samples": 3, "critic": "hybrid", "projection_dim": 4}


def build(model_class, **arguments):
    keras.utils.set_random_seed(1)
    model = model_class(*networks.build("mlp", (28, 28, 1), 4, width=8), 4, seed=3, **arguments)
    model.compile("sgd")
    return model


def test_the_order_of_names_gives_the_same_class():
    first, *others = (zoo.combine(*names) for names in itertools.permutations(["consistency", "critic", "iwae"]))
    assert all(other is first for other in others)
    assert first.__bases__ == (zoo.ConsistencyVAE, zoo.InferenceCriticVAE, zoo.IWAE)
    assert first.__name__ == "ConsistencyInferenceCriticIWAE"


def test_one_name_gives_the_methods_own_class():
    assert zoo.combine("consistency") is zoo.combine("vae", "consistency") is zoo.ConsistencyVAE
    assert zoo.combine("vae") is zoo.VAE


def test_the_order_of_bases_does_not_change_the_loss():
    combined = build(zoo.combine(*REGULARISED, "iwae"), **SMALL)
    bases = [class_of(name) for name in [*REGULARISED, "iwae"]]

    class Written(*reversed(bases)):
        pass

    written = build(Written, **SMALL)
    parts = [name for name, part in vars(combined).items() if isinstance(part, keras.layers.Layer)]
    assert {"encoder", "decoder", "head", "key_encoder", "classifier", "x_projection"} <= set(parts)
    for name in parts:
        getattr(written, name).set_weights(getattr(combined, name).get_weights())
    written.queue.assign(combined.queue)
    for training in (True, False):
        mine, theirs = (model.objective(NUMBERED, training) for model in (combined, written))
        assert set(mine) == set(theirs)
        assert all((mine[name].numpy() == theirs[name].numpy()).all() for name in mine)


def test_every_term_of_every_method_is_in_the_loss():
    model = build(zoo.combine(*REGULARISED, "iwae"), **SMALL)
    wanted = {term for name in [*REGULARISED, "iwae"] for term in claims(name)}
    assert wanted <= set(model.objective(NUMBERED, True)) == {"loss", "elbo", *model.term_names()}


@pytest.mark.parametrize("name", METHODS)
def test_claims_are_what_the_class_itself_adds(name):
    # What likelihoods report stands with the plain VAE.
    classes = [getattr(likelihoods, LIKELIHOODS[likelihood]) for likelihood in LIKELIHOODS]
    reported = {figure for one in classes for figure in one.reported}
    own = vars(class_of(name))["adds"]
    assert claims(name) == ((*own, *sorted(reported)) if name == "vae" else own)


def test_a_combination_is_rebuilt_from_its_configuration():
    model = build(zoo.combine("triplet", "iwae"), samples=3, margin=0.5)
    again = type(model).from_config(model.get_config())
    assert type(again) is type(model)
    assert (again.samples, again.margin) == (3, 0.5)
    # And through Keras's registry, which knows one class for all combinations.
    keras_again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(model))
    assert type(keras_again) is type(model)


def test_two_methods_with_the_same_term_cannot_be_combined():
    with pytest.raises(ValueError, match=r"^ConsistencyVAE and Mine cannot be combined: both add .consistency.$"):

        class Mine(zoo.VAE):
            adds = ("consistency",)

        class Both(zoo.ConsistencyVAE, Mine):
            pass


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["consistency", "consistency"], "'consistency' is given twice"),
        (["consistent", "iwae"], "no 'consistent'; did you mean 'consistency'"),
        ([], "none given; one or more of: "),
    ],
)
def test_mistakes_in_names(names, message):
    with pytest.raises(ValueError, match=message):
        zoo.combine(*names)
    with pytest.raises(ConfigurationError, match=message) as caught:
        configurations.load("digits/vae", [f"model.method=[{', '.join(names)}]"])
    assert "\n" not in str(caught.value)


def test_methods_in_a_configuration():
    settings = ["model.method=[iwae, consistency]", "model.samples=3", "model.consistency_lambda=0.2", "model.beta=0.5"]
    experiment = configurations.load("digits/vae", [*settings, "model.network=mlp"])
    assert experiment.model.method == ["consistency", "iwae"]
    model = build_model(experiment, (28, 28, 1), 1, examples=16)
    assert type(model) is zoo.combine("consistency", "iwae")
    assert (model.samples, model.consistency_lambda, model.beta) == (3, 0.2, 0.5)
    card = card_of(experiment, model)
    assert card.name == "digits/consistency+iwae"
    assert METHODS["iwae"][1] in card.method and METHODS["consistency"][1] in card.method
    assert configurations.load("digits/vae", ["model.method=[vae]"]).model.method == "vae"


def test_names_in_a_list_are_no_name():
    with pytest.raises(ValueError, match=r"no \['consistency', 'iwae'\]"):
        zoo.combine(["consistency", "iwae"])


@pytest.mark.parametrize("name", ["critic", "triplet"])
def test_a_batch_of_one_is_refused_by_name_of_its_key(name):
    with pytest.raises(ConfigurationError, match=rf"train\.batch_size: 1 leaves '{name}' no other image"):
        configurations.load("digits/vae", [f"model.method={name}", "train.batch_size=1"])


@pytest.mark.parametrize("name", ["critic", "triplet", "contrastive"])
@pytest.mark.slow
def test_a_batch_of_one_is_refused_however_it_comes(name):
    model = build(zoo.combine(name), **({"queue_size": 0} if name == "contrastive" else {}))
    images = tf.constant(IMAGES)
    single = tf.data.Dataset.from_tensor_slices(IMAGES)
    calls = (
        lambda: model.fit(images, batch_size=1),
        lambda: model.fit({"x": images}, batch_size=1),
        lambda: model.fit(single.batch(1)),
        lambda: model.fit(single.batch(1, drop_remainder=True)),
        lambda: model.train_on_batch(IMAGES[:1]),
    )
    for call in calls:
        with pytest.raises(ValueError, match="the batch has one image"):
            call()
    # The last batch of an epoch may be one.
    model.fit(single.take(9).batch(8), verbose=0)


def test_numbered_images_are_images_everywhere():
    model = build(zoo.VAE)
    np.testing.assert_array_equal(model.predict(NUMBERED, verbose=0), model.predict(IMAGES, verbose=0))
    np.testing.assert_array_equal(model.encode(NUMBERED).loc, model.encode(IMAGES).loc)


@pytest.mark.parametrize("value", ["3", "[3]", "{name: vae}"])
def test_a_method_must_be_a_name_or_a_list(value):
    with pytest.raises(ConfigurationError, match=r"model\.method: must be a name or a list of names"):
        configurations.load("digits/vae", [f"model.method={value}"])


def test_a_keyword_of_no_method_of_the_combination():
    with pytest.raises(ConfigurationError, match=r"model\.gamma: no such key"):
        configurations.load("digits/vae", ["model.method=[iwae, consistency]", "model.gamma=1"])


def test_the_order_is_known_without_the_classes():
    assert canonical(["iwae", "vae", "consistency"]) == ("consistency", "iwae")
