"""Which kind of example a model takes: what is inferred, what goes with which likelihood, and what is refused."""

import keras
import numpy as np
import pytest

import zoo
from zoo import domains
from zoo.domains import Categories, Features, Images, Tokens
from zoo.likelihoods import Bernoulli, Categorical, Gaussian


def rows(x, categories, **arguments):
    """A model with a dense encoder and decoder for examples like x, of which each entry has so many categories."""
    shape = x.shape[1:]
    size = int(np.prod(shape))
    keras.utils.set_random_seed(0)
    encoder = keras.Sequential([keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(8, "tanh")])
    decoder = [keras.Input((2,)), keras.layers.Dense(size * categories), keras.layers.Reshape((*shape, categories))]
    likelihood = {"name": "categorical", "categories": categories}
    model = zoo.VAE(encoder, keras.Sequential(decoder), 2, likelihood=likelihood, seed=0, **arguments)
    model.compile(keras.optimizers.Adam(0.01))
    return model


@pytest.mark.parametrize(
    ("shape", "likelihood", "expected"),
    [
        ((28, 28, 1), Bernoulli(), Images),
        ((28, 28, 3), Gaussian(), Images),
        ((28, 28, 5), Gaussian(), Features),
        ((7,), Gaussian(), Features),
        ((50, 3), Bernoulli(), Features),
        ((12,), Categorical(5), Tokens),
        ((4, 4, 1), Categorical(256), Categories),
        ((4, 4), Categorical(2), Categories),
    ],
)
def test_what_is_inferred(shape, likelihood, expected):
    found = domains.infer(shape, likelihood)
    assert type(found) is expected
    found.check_likelihood(likelihood)


@pytest.mark.parametrize("shape", [(6,), (4, 4, 1)])
@pytest.mark.parametrize("dtype", ["uint8", "int32"])
def test_every_category_counts_as_it_is(shape, dtype):
    """Bytes of categories are divided by nothing, and category 0 is no padding, unless somebody says so."""
    x = np.random.default_rng(0).integers(0, 5, (8, *shape)).astype(dtype)
    model = rows(x, 5)
    z = model.encode(x).loc
    logits = np.asarray(model.decoder(z)).reshape(8, -1, 5)
    exact = np.log(np.exp(logits) / np.exp(logits).sum(-1, keepdims=True))
    exact = np.take_along_axis(exact, x.reshape(8, -1, 1).astype("int64"), -1)[..., 0].sum(-1)
    np.testing.assert_allclose(model.log_likelihood(x, z), exact, rtol=1e-5)


def test_padding_is_what_it_is_said_to_be():
    x = np.array([[1, 2, 0, 0], [3, 1, 2, 0]], "int32")
    assert Tokens(4).mask(x) is None
    np.testing.assert_array_equal(Tokens(4, padding=0).mask(x), x != 0)
    with pytest.raises(ValueError, match="padding 4 is no token below 4"):
        Tokens(4, padding=4)


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (np.full((4, 4, 4, 1), 5), r"must lie in 0\.\.4, found 5\.\.5"),
        (np.full((4, 4, 4, 1), -1), r"must lie in 0\.\.4, found -1\.\.-1"),
        (np.full((4, 4, 4, 1), 0.5), "whole numbers"),
    ],
)
def test_what_is_no_category_is_refused(x, words):
    with pytest.raises(ValueError, match=words):
        rows(np.zeros((4, 4, 4, 1), int), 5).fit(x, verbose=0)


@pytest.mark.parametrize(
    ("domain", "words"),
    [
        ("images", "the likelihood Categorical does not take Images, but categories or tokens"),
        ("features", "does not take Features"),
        ({"name": "categories", "categories": 9}, "has 9 categories, but the likelihood 5"),
        ({"name": "features", "locc": 1.0}, "domain: features: got an unexpected keyword argument 'locc'"),
        ("image", "did you mean 'images'"),
    ],
)
def test_domains_that_do_not_fit_are_one_line(domain, words):
    with pytest.raises(ValueError) as caught:
        rows(np.zeros((4, 4, 4, 1), int), 5, domain=domain)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_likelihood_of_numbers_does_not_take_categories():
    with pytest.raises(ValueError, match="the likelihood Gaussian does not take Tokens, but images or features"):
        Tokens(4).check_likelihood(Gaussian())


def test_they_are_saved(tmp_path):
    for domain in (Categories(7), Tokens(7), Tokens(7, padding=3)):
        assert domains.get(keras.saving.serialize_keras_object(domain)).get_config() == domain.get_config()


def test_levels_are_drawn():
    x = np.random.default_rng(0).integers(0, 4, (6, 5, 4, 1))
    for kind, below in ((x, None), (x, x), (x[..., 0], None), (x[..., 0], x[..., 0])):
        picture = Categories(4).draw(kind, below)
        assert picture.dtype == np.uint8 and picture.ndim == 3


# ── Digits that float32 cannot hold, and standardised zeros and ones ─────────────────────────────────────────────────


def test_small_differences_at_a_great_size_are_warned_of():
    x = np.random.default_rng(0).normal(1.7e9, 50.0, (100, 1))
    with pytest.warns(UserWarning, match="float32 loses digits of 1 of 2 features .*the first is 1"):
        Features().check(np.concatenate([x - 1.7e9, x], axis=1), "fit")


def test_the_check_sees_what_the_likelihood_sees():
    x = np.random.default_rng(0).integers(0, 2, (20, 3)).astype("float32")
    Features().check(x, "fit", "unit_interval")
    Features(np.zeros(3), np.full(3, 255.0)).check((255 * x).astype("uint8"), "fit", "unit_interval")
    with pytest.raises(ValueError, match=r"found \[-1.*, 0.*\] once they are standardised"):
        Features.standardising(x).check(x, "fit", "unit_interval")
