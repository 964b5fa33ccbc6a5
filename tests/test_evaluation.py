"""What an evaluation says of each term: its unit, among how many images it was measured, and what it needs to know."""

import keras
import numpy as np
import pytest

import zoo
from zoo import networks
from zoo.data import Examples, with_index
from zoo.experiments.evaluation import evaluate_model

RNG = np.random.default_rng(0)
TRAIN = Examples(RNG.integers(0, 256, (20, 28, 28, 1)).astype("uint8"), None)
TEST = Examples(RNG.integers(0, 256, (12, 28, 28, 1)).astype("uint8"), None)


def build(*methods, **arguments):
    keras.utils.set_random_seed(0)
    model = zoo.combine(*methods)(*networks.build("mlp", (28, 28, 1), 4, width=8), 4, seed=3, **arguments)
    model.compile("sgd")
    return model


def terms(model, held_out):
    return evaluate_model(model, TRAIN, held_out, only=("terms",))[0]


def test_units_and_batches_are_named():
    model = build("triplet", "critic", "consistency", likelihood={"name": "gaussian", "variance": 0.5})
    found = terms(model, TEST)
    assert found["triplet"].unit == "squared distance of codes"
    assert found["sum_of_squares"].unit == found["transformed_sum_of_squares"].unit == "squared pixels"
    assert found["critic"].unit == found["transformed_rate"].unit == "nats"
    assert found["critic"].note == found["triplet"].note == "among batches of 12 images"
    assert found["distortion"].note == ""


@pytest.mark.parametrize(("queue", "note"), [(0, "among batches of 12 images"), (32, "")])
@pytest.mark.slow
def test_info_nce_names_the_batch_where_it_is_its_negatives(queue, note):
    assert terms(build("contrastive", queue_size=queue), TEST)["info_nce"].note == note


def test_numbers_are_known_on_the_training_split_only():
    model = build("auxiliary_softmax", examples=20, classifier_width=8)
    assert "cross_entropy" not in terms(model, TEST)
    found = terms(model, TRAIN)
    expected = model.evaluate(with_index(TRAIN.images), batch_size=20, verbose=0, return_dict=True)
    assert {name: measured.value for name, measured in found.items()} == pytest.approx(expected)
    assert found["cross_entropy"].value > 0


def test_no_prior_is_fitted_to_a_rate_that_another_method_takes_apart():
    assert "elbo_optimal_prior" in terms(build("noise_contrastive"), TEST)
    split = build("noise_contrastive", "auxiliary_softmax", examples=20, classifier_width=8)
    assert not [name for name in terms(split, TEST) if name.endswith("_prior")]
