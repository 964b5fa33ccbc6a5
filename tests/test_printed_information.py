"""What papers print as mutual information, against closed forms: the estimate within batches, the self-comparison."""

import math

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import norm

from zoo.metrics import (
    info_nce_bound,
    mutual_information,
    mutual_information_in_batches,
    mutual_information_in_batches_by_example,
    rate,
    self_comparison,
    self_comparison_by_batch,
)


def posteriors(n=60, d=3, spread=1.0, seed=0):
    rng = np.random.default_rng(seed)
    return spread * rng.standard_normal((n, d)), rng.uniform(0.2, 0.8, (n, d))


@pytest.mark.parametrize(("n", "size"), [(12, 4), (11, 4), (7, 7)])
def test_the_estimate_within_batches_is_its_definition(n, size):
    loc, scale = posteriors(n, 2)
    order = np.random.default_rng([5, size]).permutation(n)
    generator, expected = np.random.default_rng(5), np.zeros(n)
    for _ in range(3):
        z = loc + scale * generator.standard_normal(loc.shape)
        for start in range(0, n, size):
            drawn = order[start : start + size]
            among = [*drawn, *order[: size - len(drawn)]]
            assert len(set(among)) == size
            for i in drawn:
                log_densities = norm.logpdf(z[i], loc[among], scale[among]).sum(axis=1)
                expected[i] += norm.logpdf(z[i], loc[i], scale[i]).sum() - logsumexp(log_densities) + math.log(size)
    found = mutual_information_in_batches_by_example(loc, scale, size, seed=5, samples=3)
    np.testing.assert_allclose(found, expected / 3, rtol=1e-9, atol=1e-9)
    mean = mutual_information_in_batches(loc, scale, size, seed=5, samples=3)
    assert mean == pytest.approx(expected.mean() / 3, rel=1e-9)


@pytest.mark.parametrize("n", [60, 1500])
def test_one_batch_of_all_is_the_mutual_information_draw_by_draw(n):
    loc, scale = posteriors(n)
    whole = mutual_information(loc, scale, seed=7, samples=2)
    assert mutual_information_in_batches(loc, scale, n, seed=7, samples=2) == pytest.approx(whole, rel=1e-12)


def test_within_batches_nothing_exceeds_log_b():
    loc, scale = 1e3 * np.arange(97)[:, None] * np.ones((1, 2)), np.ones((97, 2))
    for size in (2, 3, 50, 97):
        # Codes that tell all from all stand at the ceiling, also in a last batch that is filled up.
        assert mutual_information_in_batches(loc, scale, size) == math.log(size)
        assert mutual_information_in_batches_by_example(*posteriors(97, 8, 3.0), size).max() <= math.log(size)
    assert mutual_information(loc, scale) > mutual_information_in_batches(loc, scale, 50)
    assert mutual_information_in_batches(np.full((97, 2), 5.0), scale, 50) == pytest.approx(0.0, abs=1e-9)


def test_within_batches_it_is_the_info_nce_bound_and_grows_with_the_batch():
    """z = x + noise in two dimensions, x standard normal: I = log(1 + 1/σ²)."""
    rng = np.random.default_rng(1)
    loc, scale = rng.standard_normal((4096, 2)), np.full((4096, 2), 0.2)
    truth = math.log(1 + 1 / 0.2**2)
    found = [mutual_information_in_batches(loc, scale, size) for size in (2, 8, 50, 512)]
    assert found == sorted(found) and found[-1] < truth + 0.05
    for size, value in zip((2, 8, 50, 512), found, strict=True):
        assert value == pytest.approx(info_nce_bound(loc, scale, batch=size), abs=0.03)


@pytest.mark.parametrize(("d", "constant"), [(16, 2.4548), (32, 4.9096)])
@pytest.mark.parametrize("spread", [0.0, 1.0, 1e3])
def test_the_self_comparison_is_one_constant_whatever_the_codes(d, constant, spread):
    rng = np.random.default_rng(2)
    loc, scale = spread * rng.standard_normal((1000, d)), np.tile(rng.uniform(0.01, 3, d), (1000, 1))
    found = self_comparison(loc, scale)
    assert constant == pytest.approx(d / 2 * (1 - math.log(2)), abs=1e-4)
    assert abs(found - constant) < 1e-4
    # The authors' draws, made many, tend to it.
    assert abs(self_comparison(loc, scale, 1000, samples=3000) - constant) < 0.02


def test_one_draw_of_batches_of_256_gives_what_the_paper_prints_of_collapsed_models():
    """2.41 ± 0.03, 2.43 ± 0.04 and 2.44 ± 0.01 at d = 16, test sets of 10,000 and more."""
    loc, scale = np.zeros((10_000, 16)), np.ones((10_000, 16))
    seeds = [self_comparison(loc, scale, seed=seed, samples=1) for seed in range(40)]
    assert np.mean(seeds) == pytest.approx(2.435, abs=0.015) and 0.02 < np.std(seeds) < 0.04


@pytest.mark.parametrize("samples", [1, 2])
def test_the_self_comparison_is_its_definition(samples):
    """The published formula, an axis short, on draws with the same squares, for batches of 4 of 11 examples."""
    loc, scale = posteriors(11, 3)
    generator = np.random.default_rng(3)
    squares = [generator.chisquare(3, (2, 4)) for _ in range(samples)]
    expected = []
    for b in range(2):
        batch = slice(4 * b, 4 * b + 4)
        # Any draw at that distance from its mean will do.
        noise = np.sqrt(np.stack([one[b] for one in squares]))[..., None] * np.array([0.6, 0.0, -0.8])
        z = loc[batch] + scale[batch] * noise
        log_own = norm.logpdf(z, loc[batch], scale[batch]).sum(axis=-1)
        negative_entropy = -norm.entropy(loc[batch], scale[batch]).sum(axis=1).mean()
        expected.append(logsumexp(log_own) - math.log(4 * samples) - negative_entropy)
    found = self_comparison_by_batch(loc, scale, 4, seed=3, samples=samples)
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    assert self_comparison(loc, scale, 4, seed=3, samples=samples) == pytest.approx(np.mean(expected), rel=1e-10)


def test_the_limit_of_many_draws_and_scales_that_differ():
    loc, scale = posteriors(8, 2)
    # Under N(m, s²) its own density has the mean 1 / (2 √π s).
    means = np.prod(1 / (2 * math.sqrt(math.pi) * scale), axis=1)
    expected = math.log(means.mean()) + norm.entropy(loc, scale).sum(axis=1).mean()
    assert self_comparison(loc, scale, 8) == pytest.approx(expected, rel=1e-12)
    assert self_comparison(loc, scale, 8, samples=200_000) == pytest.approx(expected, abs=0.01)
    assert self_comparison(loc, scale, 8) > 1 - math.log(2)
    # The codes may change places: nothing is compared with anything.
    assert self_comparison(loc[::-1], scale, 8) == self_comparison(loc, scale, 8)


def test_seeds():
    loc, scale = posteriors()
    for metric in (
        lambda seed: mutual_information_in_batches(loc, scale, 10, seed),
        lambda seed: self_comparison(loc, scale, 10, seed, samples=1),
    ):
        assert metric(1) == metric(1) != metric(2)
    assert self_comparison(loc, scale, 10, 1) == self_comparison(loc, scale, 10, 2)


@pytest.mark.parametrize("metric", [mutual_information_in_batches, self_comparison])
def test_mistakes(metric):
    loc, scale = posteriors(20)
    for size in (0, 2.5, "8"):
        with pytest.raises(ValueError, match=r"^batch_size must be a whole number of at least 1, got "):
            metric(loc, scale, size)
    with pytest.raises(ValueError, match=r"^batch_size must be from . to the number of posteriors, 20, got 21$"):
        metric(loc, scale, 21)
    for samples in (0, 1.5):
        with pytest.raises(ValueError, match=r"^samples must be a whole number of at least 1, got "):
            metric(loc, scale, 10, samples=samples)
    with pytest.raises(ValueError, match=r"^scale must be positive"):
        metric(loc, 0 * scale, 10)
    with pytest.raises(ValueError, match=r"^loc must be finite"):
        metric(loc * np.nan, scale, 10)
    with pytest.raises(ValueError, match="from 2 to"):
        mutual_information_in_batches(loc, scale, 1)


def test_single_precision_is_computed_in_double():
    loc, scale = (part.astype(np.float32) for part in posteriors())
    double = loc.astype(np.float64), scale.astype(np.float64)
    assert mutual_information_in_batches(loc, scale, 10) == mutual_information_in_batches(*double, 10)
    assert self_comparison(loc, scale, 10) == self_comparison(*double, 10)


@pytest.mark.slow
@pytest.mark.parametrize("n", [1, 20, 60])
def test_an_evaluation_has_all_three(n):
    from types import SimpleNamespace

    from zoo.experiments.printed_measures import printed_information

    loc, scale = posteriors(n)
    found = printed_information(SimpleNamespace(posteriors=(loc, scale), model=SimpleNamespace(prior_variance=1.0)))
    assert ("mutual_information_in_batches" in found) == (n > 1)
    if n > 1:
        within, size = found["mutual_information_in_batches"], min(n, 50)
        assert within.note == f"in batches of {size}: cannot exceed log {size} = {math.log(size):.2f}"
        assert within.value == pytest.approx(mutual_information_in_batches(loc, scale, size), rel=1e-9)
        assert within.error > 0 and within.examples == n
    compared = found["self_comparison"]
    assert compared.value == self_comparison(loc, scale, n) and compared.examples == n
    constant = f"{1.5 * (1 - math.log(2)):.3f}"
    assert compared.note == f"no information: {constant} for whatever codes of constant scale; in batches of {n}"
    rest = found["rate_beyond_self_comparison"]
    assert rest.value == pytest.approx(rate(loc, scale).mean() - compared.value)
    none = printed_information(SimpleNamespace(posteriors=(loc, scale), model=SimpleNamespace(prior_variance=None)))
    assert set(found) - set(none) == {"rate_beyond_self_comparison"}
