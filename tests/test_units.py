"""Bits per dimension and perplexity by hand."""

import math

import numpy as np
import pytest

from zoo.metrics import bits_per_dimension, perplexity


def test_the_uniform_density_takes_eight_bits_of_256_levels():
    # Density 1 on the unit interval: log p(x) = 0 for every image of 2 × 3 pixels.
    assert bits_per_dimension([0.0, 0.0], dims=6, levels=256).tolist() == [8.0, 8.0]
    assert bits_per_dimension(0.0, 6, 2) == 1.0


def test_bits_by_hand():
    # Every pixel uniform on a half of the interval: density 2, so 128 of 256 levels, 7 bits.
    assert bits_per_dimension(-12 * math.log(2), dims=12, levels=256) == pytest.approx(7.0)
    # Fair binary pixels: 12 log 2 nats, one bit each.
    np.testing.assert_allclose(bits_per_dimension(np.full(3, 12 * math.log(2)), 12, 1), [1.0] * 3)


def test_perplexity_by_hand():
    # All of 50 words equally likely, whatever the documents' lengths.
    assert perplexity([3 * math.log(50), 7 * math.log(50)], [3, 7]) == pytest.approx(50)
    # Words of the corpus count alike: 12 nats over 4 words, no mean over documents.
    assert perplexity([10.0, 2.0], [1, 3]) == pytest.approx(math.exp(3))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bits_per_dimension([1.0, math.nan], 4, 256), "^nll_nats must be finite, but 1 of its 2 values"),
        (lambda: bits_per_dimension(["a"], 4, 256), "^nll_nats must be real numbers$"),
        (lambda: bits_per_dimension([1.0], 0, 256), "^dims must be a whole number of at least 1, got 0$"),
        (lambda: bits_per_dimension([1.0], 4, 0.5), "^levels must be a whole number of at least 1, got 0.5$"),
        (lambda: perplexity([1.0, 2.0], [1]), r"one number a document, got shapes \[2\] and \[1\]$"),
        (lambda: perplexity([], []), r"one number a document, got shapes \[0\] and \[0\]$"),
        (lambda: perplexity(1.0, 1), r"one number a document, got shapes \[\] and \[\]$"),
        (lambda: perplexity([1.0], [0]), "^words must be whole numbers of at least 1"),
        (lambda: perplexity([1.0], [1.5]), "^words must be whole numbers of at least 1"),
        (lambda: perplexity([math.inf], [1]), "^nll_per_document must be finite"),
    ],
)
def test_bad_numbers(call, message):
    with pytest.raises(ValueError, match=message):
        call()
