import itertools
import math
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import norm

from zoo.metrics import _ratios, info_nce_bound, info_nce_bound_by_example, rate
from zoo.metrics.information import (
    active_units,
    decompose_rate,
    decompose_rate_by_example,
    informative_units,
    marginal_kl,
    mutual_information,
    rate_per_unit,
    unit_variances,
)


def posteriors(n=300, d=4, spread=1.0, seed=1):
    generator = np.random.default_rng(seed)
    return spread * generator.standard_normal((n, d)), generator.uniform(0.1, 1.2, (n, d))


def direct(loc, scale, seed=0, samples=1):
    """MI and marginal KL by the definition: all pairs of log densities, from differences, in one array."""
    generator = np.random.default_rng(seed)
    results = []
    for _ in range(samples):
        z = loc + scale * generator.standard_normal(loc.shape)
        log_q = norm.logpdf(z[:, None], loc, scale).sum(axis=-1)
        log_marginal = logsumexp(log_q, axis=1) - math.log(len(loc))
        log_prior = norm.logpdf(z).sum(axis=-1)
        results.append(
            [np.mean(np.diag(log_q) - log_marginal), np.mean(log_marginal - log_prior)],
        )
    return np.mean(results, axis=0)


def integrals(loc, scale, points=2001, width=9.0):
    """Exact MI and marginal KL of a small mixture on a grid, and the variances of one draw of each."""
    grids = []
    for unit in range(loc.shape[1]):
        low, high = (loc - width * scale)[:, unit].min(), (loc + width * scale)[:, unit].max()
        grids.append(np.linspace(low, high, points))
    volume = math.prod(grid[1] - grid[0] for grid in grids)
    z = np.stack(np.meshgrid(*grids, indexing="ij"), axis=-1).reshape(-1, loc.shape[1])
    log_q = np.stack([norm.logpdf(z, m, s).sum(axis=-1) for m, s in zip(loc, scale, strict=True)])
    q = np.exp(log_q) * volume
    assert q.sum(axis=1) == pytest.approx(1.0, abs=1e-6)
    log_marginal = logsumexp(log_q, axis=0) - math.log(len(loc))
    moments = []
    for log_ratio in (
        log_q - log_marginal,
        np.tile(log_marginal - norm.logpdf(z).sum(axis=-1), (len(loc), 1)),
    ):
        mean, square = (q * log_ratio).sum() / len(loc), (q * log_ratio**2).sum() / len(loc)
        moments.append((mean, square - mean**2))
    return moments


ONE_DIMENSION = np.array([[-1.5], [0.0], [0.4], [2.5]]), np.array([[0.3], [1.0], [0.2], [0.6]])
TWO_DIMENSIONS = (
    np.array([[-1.0, 0.5], [0.0, 0.0], [1.5, -1.0], [0.4, 1.2]]),
    np.array([[0.5, 0.3], [1.0, 0.8], [0.25, 0.7], [0.3, 0.2]]),
)


@pytest.mark.parametrize("shape", [(1, 1), (7, 3), (64, 16)])
def test_rate_is_tfps_kl_divergence(shape):
    tfd = pytest.importorskip("tensorflow_probability").distributions
    generator = np.random.default_rng(0)
    loc, scale = generator.standard_normal(shape), generator.uniform(1e-3, 3.0, shape)
    zero, one = np.zeros(shape), np.ones(shape)
    expected = tfd.kl_divergence(tfd.Normal(loc, scale), tfd.Normal(zero, one)).numpy()
    np.testing.assert_allclose(rate(loc, scale), expected.sum(axis=1), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(rate_per_unit(loc, scale), expected.mean(axis=0), rtol=1e-12, atol=1e-12)


def test_rate_of_the_prior_is_zero_and_units_sum_to_the_mean():
    assert rate(np.zeros((3, 2)), np.ones((3, 2))).tolist() == [0, 0, 0]
    loc, scale = posteriors()
    assert rate_per_unit(loc, scale).sum() == pytest.approx(rate(loc, scale).mean(), rel=1e-12)


def test_tensors_and_lists_are_arrays_too():
    tf = pytest.importorskip("tensorflow")
    loc, scale = [[0.5, -1.0], [2.0, 0.0]], [[0.5, 1.0], [0.1, 2.0]]
    expected = rate(np.array(loc), np.array(scale))
    assert rate(loc, scale).tolist() == expected.tolist()
    np.testing.assert_allclose(rate(tf.constant(loc), tf.constant(scale)), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("loc", "scale", "points"), [(*ONE_DIMENSION, 20001), pytest.param(*TWO_DIMENSIONS, 801, marks=pytest.mark.slow)]
)
def test_a_mixture_against_numerical_integration(loc, scale, points):
    n, samples = 10_000, 4
    (information_, variance), (kl, kl_variance) = integrals(loc, scale, points)
    # Copies of the components leave the mixture, and so both integrals, as they are.
    copies = (n // len(loc), 1)
    estimate = decompose_rate(np.tile(loc, copies), np.tile(scale, copies), samples=samples)
    assert abs(estimate.mutual_information - information_) < min(0.01, 4 * math.sqrt(variance / (n * samples)))
    assert abs(estimate.marginal_kl - kl) < min(0.01, 4 * math.sqrt(kl_variance / (n * samples)))


def test_a_mixture_against_numerical_integration_without_copies():
    (information_, variance), (kl, kl_variance) = integrals(*ONE_DIMENSION, points=20001)
    estimate = decompose_rate(*ONE_DIMENSION, samples=3000, seed=3)
    assert abs(estimate.mutual_information - information_) < 4 * math.sqrt(variance / 12000)
    assert abs(estimate.marginal_kl - kl) < 4 * math.sqrt(kl_variance / 12000)


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("offset", [0.0, 50.0])
def test_the_estimate_is_the_definition_of_the_same_draws(samples, offset):
    loc, scale = posteriors()
    estimate = decompose_rate(loc + offset, scale, seed=5, samples=samples, block=128)
    expected = direct(loc + offset, scale, seed=5, samples=samples)
    np.testing.assert_allclose(estimate, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("smallest", [1e-3, 1e-6, 1e-9])
@pytest.mark.parametrize("largest", [1.0, 1e3])
def test_small_scales_against_the_definition(smallest, largest):
    """Posteriors a few scales apart, several units from the origin: products alone lose their digits."""
    generator = np.random.default_rng(0)
    scale = smallest * largest ** generator.uniform(size=(200, 1)) * generator.uniform(0.5, 1, (200, 5))
    clusters = np.repeat(generator.uniform(-5, 5, (10, 5)), 20, axis=0)
    loc = clusters + scale * generator.standard_normal((200, 5))
    expected = direct(loc, scale, seed=2)
    assert 0.1 < math.log(200) - expected[0] < 5.0
    np.testing.assert_allclose(decompose_rate(loc, scale, seed=2, block=64), expected, rtol=1e-6, atol=1e-6)


def test_the_products_alone_serve_ordinary_scales(monkeypatch):
    def refuse(*_):
        raise AssertionError("pairs of ordinary scales were computed again")

    monkeypatch.setattr(_ratios, "_by_differences", refuse)
    decompose_rate(*posteriors(spread=3.0))


def test_the_smallest_scales_of_all():
    for scale in (1e-30, 1e-160, 1e-300):
        same = decompose_rate(np.full((20, 3), 2.0), np.full((20, 3), scale))
        assert same.mutual_information == pytest.approx(0.0, abs=1e-9)
        apart = decompose_rate(np.arange(60.0).reshape(20, 3), np.full((20, 3), scale))
        assert apart.mutual_information == math.log(20)
        assert math.isfinite(apart.marginal_kl)


@pytest.mark.parametrize("samples", [1, 4])
def test_the_parts_add_up_to_the_monte_carlo_rate(samples):
    loc, scale = posteriors()
    generator = np.random.default_rng(9)
    rates = []
    for _ in range(samples):
        z = loc + scale * generator.standard_normal(loc.shape)
        rates.append(norm.logpdf(z, loc, scale).sum(axis=1) - norm.logpdf(z).sum(axis=1))
    total = mutual_information(loc, scale, 9, samples) + marginal_kl(loc, scale, 9, samples)
    assert total == pytest.approx(np.mean(rates), rel=1e-12)


def test_the_single_functions_are_the_parts():
    loc, scale = posteriors()
    both = decompose_rate(loc, scale, 3, 2, 100)
    assert both == (mutual_information(loc, scale, 3, 2, 100), marginal_kl(loc, scale, 3, 2, 100))


def test_far_apart_posteriors_reach_log_n_and_nothing_exceeds_it():
    for n in (1, 2, 3, 10, 97, 1000):
        loc = 1e3 * np.arange(n)[:, None] * np.ones((1, 2))
        assert mutual_information(loc, np.ones((n, 2))) == math.log(n)
    for seed in range(200):
        generator = np.random.default_rng(seed)
        n = int(generator.integers(2, 40))
        loc = 10.0 ** generator.uniform(-1, 3) * generator.standard_normal((n, 3))
        assert mutual_information(loc, np.ones((n, 3)), seed=seed, samples=3, block=7) <= math.log(n)


def test_identical_posteriors_say_nothing():
    for loc, scale in ((0.0, 1.0), (5.0, 1e-3), (-3.0, 2.0)):
        estimate = decompose_rate(np.full((500, 8), loc), np.full((500, 8), scale), block=100)
        assert estimate.mutual_information == pytest.approx(0.0, abs=1e-9)
    assert estimate.marginal_kl > 1
    assert decompose_rate(np.zeros((50, 8)), np.ones((50, 8))).marginal_kl == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("block", [1, 7, 50, 99, 100, 10**9])
@pytest.mark.slow
def test_the_block_changes_nothing(block):
    loc, scale = posteriors(n=100)
    scale[::3] *= 1e-4
    expected = decompose_rate(loc, scale, samples=2)
    np.testing.assert_allclose(decompose_rate(loc, scale, samples=2, block=block), expected, rtol=0, atol=1e-9)


def test_memory_grows_with_the_block_not_with_the_pairs():
    loc, scale = posteriors(n=6000)
    tracemalloc.start()
    decompose_rate(loc, scale, block=256)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8e6  # all pairs would take 288 MB, and 256 rows of all columns 12 MB


def peak_of(n, d=40):
    """Bytes above the inputs that the estimate takes of so many posteriors."""
    loc, scale = (part.astype("float32") for part in posteriors(n=n, d=d))
    tracemalloc.start()
    decompose_rate(loc, scale, block=64)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_memory_is_flat_in_the_number_of_posteriors():
    # 2,000 more posteriors of 40 dimensions take 640 kB in single precision, and twice that in double.
    assert peak_of(2_500) - peak_of(500) < 2_000 * 8 * 6


def test_the_examples_terms_make_the_parts():
    loc, scale = posteriors()
    loc[:100] += 50 * np.arange(100)[:, None]
    generator = np.random.default_rng(5)
    z = loc + scale * generator.standard_normal(loc.shape)
    log_q = norm.logpdf(z[:, None], loc, scale).sum(axis=-1)
    log_marginal = logsumexp(log_q, axis=1) - math.log(len(loc))
    terms = decompose_rate_by_example(loc, scale, seed=5, block=70)
    np.testing.assert_allclose(terms.mutual_information, np.diag(log_q) - log_marginal, atol=1e-9)
    np.testing.assert_allclose(terms.marginal_kl, log_marginal - norm.logpdf(z).sum(axis=-1), rtol=1e-7, atol=1e-7)
    assert terms.mutual_information.max() <= math.log(300)
    both = decompose_rate(loc, scale, seed=5, block=70)
    assert both == pytest.approx([terms.mutual_information.mean(), terms.marginal_kl.mean()], rel=1e-12)


@pytest.mark.parametrize(("n", "batch"), [(300, 300), (300, 32), (37, 2), (1500, 1200)])
def test_the_info_nce_bound_is_its_definition(n, batch):
    loc, scale = posteriors(n=n)
    generator = np.random.default_rng(4)
    order = generator.permutation(n)
    expected = np.empty(n)
    for start in range(0, n, batch):
        drawn = order[start : start + batch]
        among = np.append(drawn, order[: batch - len(drawn)])
        z = loc[drawn] + scale[drawn] * generator.standard_normal((len(drawn), loc.shape[1]))
        log_q = norm.logpdf(z[:, None], loc[among], scale[among]).sum(axis=-1)
        expected[drawn] = math.log(batch) + np.diag(log_q) - logsumexp(log_q, axis=1)
    found = info_nce_bound_by_example(loc, scale, seed=4, batch=batch)
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert info_nce_bound(loc, scale, seed=4, batch=batch) == pytest.approx(expected.mean(), rel=1e-9)


def test_the_info_nce_bound_of_a_gaussian_channel():
    """x ~ N(0, 1), z = x + noise of 0.5: log √5 nats, which the bound comes near from below as batches grow."""
    generator = np.random.default_rng(0)
    loc, scale = generator.standard_normal((20_000, 1)), np.full((20_000, 1), 0.5)
    bounds = [info_nce_bound(loc, scale, batch=batch) for batch in (2, 8, 64, 512)]
    assert all(low < high for low, high in itertools.pairwise(bounds))
    assert bounds[0] < math.log(2)
    assert bounds[-1] == pytest.approx(0.5 * math.log(5), abs=0.02)


def test_the_info_nce_bound_has_its_limits():
    for batch in (2, 3, 10, 97):
        assert info_nce_bound(1e3 * np.arange(97)[:, None] * np.ones((1, 2)), np.ones((97, 2)), 0, batch) == math.log(
            batch
        )
    assert info_nce_bound(np.full((97, 2), 5.0), np.ones((97, 2)), batch=10) == pytest.approx(0.0, abs=1e-9)
    loc, scale = posteriors()
    assert info_nce_bound(loc, scale, 1) == info_nce_bound(loc, scale, 1) != info_nce_bound(loc, scale, 2)
    for batch in (1, 301):
        with pytest.raises(ValueError, match=f"^batch must be from 2 to the number of posteriors, 300, got {batch}$"):
            info_nce_bound(loc, scale, batch=batch)
    with pytest.raises(ValueError, match=r"^batch must be a whole number of at least 1, got 2\.5$"):
        info_nce_bound(loc, scale, batch=2.5)
    with pytest.raises(ValueError, match=r"^scale must be positive"):
        info_nce_bound(loc, 0 * scale)


def test_the_seed_makes_the_draws():
    loc, scale = posteriors()
    assert decompose_rate(loc, scale, seed=1) == decompose_rate(loc, scale, seed=1)
    assert decompose_rate(loc, scale, seed=1) != decompose_rate(loc, scale, seed=2)


def test_active_units():
    spread = np.array([0.0, 0.05, 0.2, 3.0])
    loc = 100 + np.array([[-1.0], [1.0], [-1.0], [1.0]]) * spread
    np.testing.assert_allclose(unit_variances(loc), spread**2, atol=1e-12)
    assert active_units(loc) == 2
    assert active_units(loc, threshold=0.001) == 3
    assert active_units(loc, threshold=9.5) == 0
    assert active_units(np.zeros((2, 3)), threshold=0) == 0
    assert isinstance(active_units(loc), int)


def test_informative_units_have_both_variance_and_rate():
    # Unit by unit: a mean that varies with a posterior that is far from the prior; likewise, near it; a mean that does
    # not vary with a posterior that is far.
    loc = np.array([[-1.0], [1.0]]) * np.array([1.0, 0.2, 0.0])
    scale = np.array([[0.5, 1.0, 0.1]] * 2)
    np.testing.assert_allclose(rate_per_unit(loc, scale)[1], 0.02)
    assert active_units(loc) == 2 and informative_units(loc, scale) == 1
    assert informative_units(loc, scale, least=0.02) == 2
    # Under a narrower prior the same posterior says more.
    assert informative_units(loc, scale, prior_variance=0.25) == 2
    assert isinstance(informative_units(loc, scale), int)
    with pytest.raises(ValueError, match="least must be a rate of at least 0 nats, got -1"):
        informative_units(loc, scale, least=-1)


GOOD = np.ones((3, 2))
BAD = [
    (np.ones(3), np.ones(3), r"^loc must be \[n, d\], got shape \[3\]$"),
    (GOOD, np.ones((3, 2, 1)), r"^scale must be \[n, d\], got shape \[3, 2, 1\]$"),
    (GOOD, np.ones((2, 3)), r"^loc and scale must have the same shape, got \[3, 2\] and \[2, 3\]$"),
    (np.ones((0, 2)), np.ones((0, 2)), r"^loc is empty: its shape is \[0, 2\]$"),
    ([[0.0, np.nan]], [[1.0, 1.0]], r"^loc must be finite, but 1 of its 2 values .* first at \[0, 1\]$"),
    ([[0.0, 1.0]], [[np.inf, 1.0]], r"^scale must be finite, .* first at \[0, 0\]$"),
    (GOOD, 0 * GOOD, r"^scale must be positive .* smallest is 0$"),
    (GOOD, -0.5 * GOOD, r"^scale must be positive .* smallest is -0\.5$"),
    ([["a", "b"]], [[1.0, 1.0]], r"^loc must be an array of real numbers \[n, d\]$"),
    ([[1.0, 2.0], [3.0]], GOOD, r"^loc must be an array of real numbers \[n, d\]$"),
    (GOOD, None, r"^scale must be \[n, d\], got shape \[\]$|^scale must be an array of real numbers"),
]


@pytest.mark.parametrize(
    "metric", [rate, rate_per_unit, mutual_information, marginal_kl, decompose_rate, info_nce_bound]
)
@pytest.mark.parametrize(("loc", "scale", "message"), BAD)
def test_bad_posteriors(metric, loc, scale, message):
    with pytest.raises(ValueError, match=message):
        metric(loc, scale)


@pytest.mark.parametrize("metric", [mutual_information, marginal_kl, decompose_rate])
@pytest.mark.parametrize("name", ["samples", "block"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "2", None])
def test_bad_counts(metric, name, value):
    with pytest.raises(ValueError, match=f"^{name} must be a whole number of at least 1, got {value!r}$"):
        metric(GOOD, GOOD, **{name: value})


def test_bad_units():
    with pytest.raises(ValueError, match=r"^loc is empty"):
        active_units(np.ones((3, 0)))
    for threshold in (-0.1, math.nan):
        with pytest.raises(ValueError, match=r"^threshold must be a variance of at least 0, got "):
            active_units(GOOD, threshold)


@pytest.mark.slow
def test_importing_the_metrics_is_cheap():
    code = (
        "import sys; sys.argv = ['zoo']; import zoo.metrics; assert 'decompose_rate' in dir(zoo.metrics);"
        "heavy = {'numpy', 'sklearn', 'tensorflow', 'keras'} & set(sys.modules); assert not heavy, heavy;"
        "from zoo.metrics import rate, mutual_information; import zoo.metrics.probes;"
        "heavy = {'sklearn', 'tensorflow', 'keras'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_unknown_names_are_attribute_errors():
    import zoo.metrics

    with pytest.raises(AttributeError, match=r"^module 'zoo\.metrics' has no attribute"):
        zoo.metrics.mutual_infomation  # noqa: B018
