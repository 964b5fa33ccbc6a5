"""What an evaluation finds: groups, standard errors, what is left out and why, bits, priors, progress."""

import math

import keras
import numpy as np
import pytest
from scipy import stats

import zoo
from zoo import metrics
from zoo.data import Examples
from zoo.experiments.evaluation import evaluate_model, lines
from zoo.experiments.measures import Measured, accuracy_error, groups_to_measure, mean_of
from zoo.metrics.names import GROUPS, named
from zoo.networks import build

pytestmark = pytest.mark.slow

SHAPE = (8, 8, 1)
RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 3, 60)
GREY = (np.clip(RNG.normal(60 * LABELS[:, None, None, None] + 40, 30, (60, *SHAPE)), 0, 255)).astype("uint8")
TRAIN, TEST = Examples(GREY[:40], LABELS[:40]), Examples(GREY[40:], LABELS[40:])
NAMES = {
    "terms": {"loss", "distortion", "rate", "elbo"},
    "information": {
        "mutual_information", "marginal_kl", "info_nce_bound", "active_units", "rate_per_unit", "unit_variances",
        "decoder_sensitivity", "mutual_information_in_batches", "self_comparison", "rate_beyond_self_comparison",
        "informative_units",
    },
    "consistency": {"consistency"},
    "knn": {"knn_accuracy"},
    "linear": {"linear_accuracy"},
    "softmax": {"softmax_accuracy"},
    "svm": {"svm_accuracy"},
    "nll": {"nll"},
}  # fmt: skip


def make(method=zoo.VAE, **arguments):
    keras.utils.set_random_seed(0)
    model = method(*build("mlp", SHAPE, 3, depth=1, width=16), 3, seed=3, **arguments)
    model.compile()
    return model


@pytest.fixture(scope="module")
def model():
    return make()


@pytest.mark.filterwarnings("error")
def test_every_group_has_its_figures(model):
    found, left_out = evaluate_model(model, TRAIN, TEST, nll_samples=3)
    assert set(found) == set.union(*NAMES.values()) and not left_out
    for measured in found.values():
        assert measured.examples == 20 and math.isfinite(measured.value)
    # A count says of how many.
    assert found.pop("active_units").unit == found.pop("informative_units").unit == "units of 3"
    assert {name: measured.unit for name, measured in found.items()} == {name: named(name).unit for name in found}
    # Twenty images are one batch of the self-comparison.
    without = {"unit_variances", "decoder_sensitivity", "self_comparison", "rate_beyond_self_comparison"}
    assert {name for name, measured in found.items() if measured.error is None} == without
    assert {name for name, measured in found.items() if measured.values is not None} == {
        "rate_per_unit",
        "unit_variances",
    }
    # On images that are no events the bits of a Bernoulli are no bits of the image.
    assert "bits_per_dimension" not in found


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_alone(model, group):
    found, left_out = evaluate_model(model, TRAIN, TEST, only=(group,), nll_samples=2 * (group == "nll"))
    assert set(found) == NAMES[group] and not left_out
    assert {named(name).group for name in found} == {group}


def test_errors_are_those_of_the_images_own_values(model):
    found, _ = evaluate_model(model, TRAIN, TEST, nll_samples=3, nll_images=7)
    loc, scale = model.posteriors(TEST.images)

    def error(values):
        return np.std(values, ddof=1) / math.sqrt(len(values))

    rates = metrics.rate(loc, scale)
    assert found["rate"].error == pytest.approx(error(rates), rel=1e-4)
    assert found["rate_per_unit"].value == pytest.approx(found["rate"].value, rel=1e-5)
    assert found["rate_per_unit"].error == pytest.approx(error(rates), rel=1e-6)
    assert found["rate_per_unit"].values == metrics.rate_per_unit(loc, scale).tolist()
    assert found["unit_variances"].values == metrics.unit_variances(loc).tolist()
    assert found["unit_variances"].value == pytest.approx(loc.var(axis=0).mean(), rel=1e-5)
    terms = metrics.decompose_rate_by_example(loc, scale)
    assert found["mutual_information"].error == pytest.approx(error(terms.mutual_information))
    assert found["marginal_kl"].error == pytest.approx(error(terms.marginal_kl))
    both = metrics.decompose_rate(loc, scale)
    assert (found["mutual_information"].value, found["marginal_kl"].value) == both
    assert found["info_nce_bound"].value == pytest.approx(metrics.info_nce_bound(loc, scale, batch=20))
    with pytest.warns(metrics.UnreliableEstimateWarning):
        nll = np.asarray(metrics.negative_log_likelihood(model, TEST.images[:7], 3))
    assert found["nll"][:3] == (pytest.approx(nll.mean()), "nats", 7)
    assert found["nll"].error == pytest.approx(error(nll))
    doubt = "3 importance samples an image; under 10 of them effective on 7 of 7 images, so it may be far too high"
    assert found["nll"].note == doubt
    knn = found["knn_accuracy"]
    assert knn.error == accuracy_error(knn.value, 20)
    assert found["decoder_sensitivity"].value == metrics.decoder_sensitivity(model, TEST.images)


def test_terms_are_those_of_keras_evaluation_by_image(model, monkeypatch):
    monkeypatch.setattr("zoo.experiments.measures._BATCH", 8)
    found, _ = evaluate_model(model, TRAIN, TEST, only=("terms",))
    expected = model.evaluate(TEST.images, batch_size=8, verbose=0, return_dict=True)
    assert {name: measured.value for name, measured in found.items()} == pytest.approx(expected, rel=1e-5)
    again, _ = evaluate_model(model, TRAIN, TEST, only=("terms",))
    assert again == found


def test_a_mean_and_its_error():
    assert mean_of([1.0, 2.0, 6.0], "nats", "so") == Measured(
        3.0, "nats", 3, "so", pytest.approx(math.sqrt(7 / 3)), None
    )
    assert mean_of([4.0], "nats") == Measured(4.0, "nats", 1, "", None, None)


@pytest.mark.parametrize(("right", "n"), [(0, 20), (20, 20), (7, 20), (1, 1), (9_800, 10_000)])
def test_the_error_of_an_accuracy_is_that_of_a_rate_after_so_many_trials(right, n):
    error = accuracy_error(right / n, n)
    assert error == pytest.approx(stats.beta(right + 1, n - right + 1).std()) and error > 0
    if n > 1000:
        assert error == pytest.approx(math.sqrt(right / n * (1 - right / n) / n), rel=0.01)


def test_a_single_image_is_measured_without_errors(model):
    found, _ = evaluate_model(model, TRAIN, TEST.take(slice(1)), only=("terms", "information", "knn"))
    assert found["rate"].error is None and found["mutual_information"].value == 0
    # One posterior tells nothing from nothing, and one image has no variance.
    assert not {"info_nce_bound", "decoder_sensitivity"} & set(found)


def test_a_chosen_prior(model):
    found, _ = evaluate_model(model, TRAIN, TEST, only=("terms",), prior_variance=2.5)
    rate = metrics.rate(*model.posteriors(TEST.images), prior_variance=2.5)
    assert found["rate_chosen_prior"].value == pytest.approx(rate.mean(), rel=1e-6)
    assert found["elbo_chosen_prior"].value == pytest.approx(-found["distortion"].value - rate.mean(), rel=1e-6)
    assert found["elbo_chosen_prior"].note == "prior variance 2.5"
    assert found["elbo_chosen_prior"].error > 0
    for wrong in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match=r"^prior variance: must be positive and finite, got "):
            evaluate_model(model, TRAIN, TEST, prior_variance=wrong)
    with pytest.raises(ValueError, match=r"^prior variance: its rate and ELBO are among the terms"):
        evaluate_model(model, TRAIN, TEST, only=("knn",), prior_variance=2.0)


def test_bits_per_dimension_where_pixels_have_levels():
    gaussian = make(likelihood={"name": "gaussian", "variance": 0.1})
    found, _ = evaluate_model(gaussian, TRAIN, TEST, only=("nll",), nll_samples=2)
    expected = found["nll"].value / (64 * math.log(2)) + 8
    assert found["bits_per_dimension"][:3] == (pytest.approx(expected), "bits", 20)
    assert found["bits_per_dimension"].error == pytest.approx(found["nll"].error / (64 * math.log(2)))
    binary = Examples((GREY[:20] > 90).astype("uint8") * np.uint8(255), None)
    assert "bits_per_dimension" not in evaluate_model(gaussian, binary, binary, only=("nll",), nll_samples=2)[0]
    floats = Examples((GREY[:20] / 255).astype("float32"), None)
    assert "bits_per_dimension" not in evaluate_model(gaussian, floats, floats, only=("nll",), nll_samples=2)[0]
    for same in (binary, Examples((binary.images / 255).astype("float32"), None)):
        found, _ = evaluate_model(make(), same, same, only=("nll",), nll_samples=2)
        assert found["bits_per_dimension"].value == pytest.approx(found["nll"].value / (64 * math.log(2)))


def without(labels):
    return {
        "no labels": (Examples(TRAIN.images, None), "the data have no labels, which a probe needs"),
        "one class": (Examples(TRAIN.images, np.ones(40, int)), "two classes or more, but all 40 are 1"),
        "another length": (Examples(TRAIN.images, labels[:39]), "one label for each of the 40 train_codes"),
        "other classes": (Examples(TRAIN.images, labels + 100), "no class of this split occurs"),
    }


@pytest.mark.parametrize("name", without(LABELS[:40]))
def test_probes_that_the_data_do_not_allow_are_left_out(model, name):
    train, reason = without(LABELS[:40])[name]
    test = TEST if name != "one class" else Examples(TEST.images, np.ones(20, int))
    found, left_out = evaluate_model(model, train, test)
    assert set(found) == set.union(*(NAMES[group] for group in ("terms", "information", "consistency")))
    assert list(left_out) == ["knn", "linear", "softmax", "svm"] and reason in left_out["svm"]
    assert lines(left_out) == [f"knn, linear, softmax, svm: {left_out['knn']}"]
    with pytest.raises(ValueError, match=f"svm: .*{reason}") as caught:
        evaluate_model(model, train, test, only=("svm",))
    assert "\n" not in str(caught.value)


def test_labels_of_another_length_in_the_split(model):
    _, left_out = evaluate_model(model, TRAIN, Examples(TEST.images, LABELS[40:59]), only=())
    (reason,) = {*left_out.values()}
    assert "test_labels must hold one label for each of the 20 test_codes" in reason


def test_constant_codes_are_said_to_be_constant():
    model = make()
    model.head.loc.kernel.assign(0 * model.head.loc.kernel)
    found, left_out = evaluate_model(model, TRAIN, TEST)
    assert lines(left_out) == [
        "knn, linear, softmax, svm: train_codes are constant (a collapsed posterior?): no probe can tell them apart"
    ]
    assert found["active_units"].value == 0
    assert found["mutual_information"].value < 0.5


def test_codes_that_are_no_numbers_are_left_out():
    encoder, decoder = build("mlp", SHAPE, 3, depth=1, width=16)
    z = keras.Input((3,))
    # Whether a ReLU lets NaN pass depends on the processor.
    model = zoo.VAE(encoder, keras.Model(z, decoder(keras.ops.nan_to_num(z))), 3, seed=3)
    model.compile()
    model.head.loc.bias.assign([math.nan, 0, 0])
    found, left_out = evaluate_model(model, TRAIN, TEST, nll_samples=2)
    assert set(found) == {"distortion"}
    assert all(math.isfinite(measured.value) for measured in found.values())
    assert left_out["information"].startswith("loc must be finite")
    assert "must be finite" in left_out["svm"] and left_out["rate"] == "is nan on these images"
    assert not {*found} & {*left_out}
    assert any(line.startswith("knn, linear, softmax, svm: ") for line in lines(left_out))
    assert not {"rate", "elbo", "nll", "consistency"} & set(found)


def test_progress_goes_through_the_groups(model):
    told = []
    groups = ("terms", "consistency", "nll")
    evaluate_model(model, TRAIN, TEST, only=groups, nll_samples=30, progress=lambda *event: told.append(event))
    assert [name for i, (name, _) in enumerate(told) if name not in [n for n, _ in told[:i]]] == list(groups)
    shares = [share for _, share in told]
    assert shares == sorted(shares) and shares[0] == 0
    assert dict(reversed(told)) == {"terms": 0, "consistency": pytest.approx(1 / 3), "nll": pytest.approx(2 / 3)}
    assert told[-1] == ("nll", pytest.approx(1.0))


def test_mistakes_in_names():
    assert groups_to_measure(["nll", "terms"], 2) == ("terms", "nll")
    with pytest.raises(
        ValueError, match=r"^metrics: no 'informaton'; did you mean 'information'\? \(one of: consistency, "
    ):
        groups_to_measure(["terms", "informaton"])
    with pytest.raises(ValueError, match=r"^metrics: nll needs a number of samples"):
        evaluate_model(make(), TRAIN, TEST, only=("nll",))
    with pytest.raises(ValueError, match=r"^nll samples: 20 given \(--nll-samples\), but nll is not among"):
        evaluate_model(make(), TRAIN, TEST, only=("knn",), nll_samples=20)
    assert groups_to_measure() == tuple(name for name in GROUPS if name != "nll")
    assert groups_to_measure(nll_samples=3) == GROUPS
    assert groups_to_measure(["nll", "terms"], 3) == ("terms", "nll")
    with pytest.raises(ValueError, match=r"^evaluate: images of 4×8×1"):
        evaluate_model(make(), TRAIN, Examples(TEST.images[:, :4], None))


def test_the_consistency_of_every_method_is_that_of_one_transformation():
    own = make(zoo.ConsistencyVAE, translate=0, rotate=0, scale=0)
    terms, _ = evaluate_model(own, TRAIN, TEST, only=("terms",))
    assert "consistency" not in terms
    assert terms["consistency_term"].value == pytest.approx(0, abs=1e-6)
    assert "own" in terms["consistency_term"].note
    found, _ = evaluate_model(own, TRAIN, TEST, only=("terms", "consistency"))
    assert found["consistency"].value > 1e-4
    assert found["consistency"].note == "shift to ±2 px, turn to ±15°, scale by 1 ± 0.1"
