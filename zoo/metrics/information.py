"""How much the codes say about the data: rate, mutual information and its bounds, marginal KL and active units.

Everything here takes the posteriors q(z|x_i) = N(loc_i, diag(scale_i²)) of n examples as two arrays [n, d],
sets them against the prior p(z) = N(0, v·I), computes in float64 and answers in nats.
A standard error of a mean over examples comes from the functions that answer by example.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from zoo.metrics._arguments import as_count, as_matrix, as_posteriors
from zoo.metrics._ratios import mean_below, sums_of_ratios
from zoo.metrics.thresholds import ACTIVE, FAINT


class RateDecomposition(NamedTuple):
    """The rate's two parts, in nats: their sum is the rate's Monte-Carlo estimate from the same draws."""

    mutual_information: float
    marginal_kl: float


class RateTerms(NamedTuple):
    """The same by example: the means of the two arrays [n] are the parts."""

    mutual_information: np.ndarray
    marginal_kl: np.ndarray

    def means(self) -> RateDecomposition:
        """The parts themselves; the first is at most log n, whatever the rounding."""
        information = mean_below(self.mutual_information, math.log(len(self.mutual_information)))
        total = float((self.mutual_information + self.marginal_kl).mean())
        return RateDecomposition(information, total - information)


def _kl_terms(loc: Any, scale: Any, prior_variance: float = 1.0) -> np.ndarray:
    loc, scale = (part.astype(np.float64, copy=False) for part in as_posteriors(loc, scale))
    if not 0 < prior_variance < math.inf:
        raise ValueError(f"prior_variance must be positive and finite, got {prior_variance!r}")
    return 0.5 * ((loc**2 + scale**2) / prior_variance - 1.0 + math.log(prior_variance)) - np.log(scale)


def rate(loc: Any, scale: Any, prior_variance: float = 1.0) -> np.ndarray:
    """KL(q(z|x) ‖ p(z)) of each example, in closed form (Kingma & Welling 2014, appendix B).

    Args:
        loc: posterior means, [n, d].
        scale: posterior standard deviations, [n, d].
        prior_variance: v of the prior p(z) = N(0, v·I).

    Returns:
        Nats, [n]: the sum over the latent dimensions.

    Raises:
        ValueError: if the arrays are not [n, d] of one shape, are empty or not finite, or a scale or the prior's
            variance is not positive.
    """
    return _kl_terms(loc, scale, prior_variance).sum(axis=1)


def rate_per_unit(loc: Any, scale: Any, prior_variance: float = 1.0) -> np.ndarray:
    """The rate of each latent dimension, as the mean over examples; the sum over dimensions is the mean rate.

    Args:
        loc: posterior means, [n, d].
        scale: posterior standard deviations, [n, d].
        prior_variance: v of the prior p(z) = N(0, v·I).

    Returns:
        Nats, [d].

    Raises:
        ValueError: as `rate`.
    """
    return _kl_terms(loc, scale, prior_variance).mean(axis=0)


def decompose_rate(
    loc: Any, scale: Any, seed: int = 0, samples: int = 1, block: int = 1024, prior_variance: float = 1.0
) -> RateDecomposition:
    """Mutual information and marginal KL together: they share their draws and the costly part.

    Rate = mutual information + marginal KL (Hoffman & Johnson 2016, "ELBO surgery"), which here holds draw by
    draw. q(z) is the mixture of all n posteriors, the one that z was drawn from included.

    The estimate has no bias for these n examples; of the population that they come from it knows no more than
    log n nats, and is biased downwards. Time grows with samples · n² · d; memory, beside the inputs, with block² and
    by a few numbers an example.

    Args:
        loc: posterior means, [n, d].
        scale: posterior standard deviations, [n, d].
        seed: seed of the draws; the same seed gives the same draws, whatever the block.
        samples: draws of each posterior.
        block: posteriors compared at a time; the memory for pairs is some multiples of 8·block² bytes.
        prior_variance: v of the prior p(z) = N(0, v·I).

    Returns:
        Nats. `mutual_information` never exceeds log n; what the rate has beyond it counts as `marginal_kl`.

    Raises:
        ValueError: as `rate`; if samples or block is less than 1.
    """
    return decompose_rate_by_example(loc, scale, seed, samples, block, prior_variance).means()


def decompose_rate_by_example(
    loc: Any, scale: Any, seed: int = 0, samples: int = 1, block: int = 1024, prior_variance: float = 1.0
) -> RateTerms:
    """What each example adds to `decompose_rate`: log q(z|x) − log q(z) and log q(z) − log p(z), for z ~ q(z|x).

    Their standard deviations over √n are the standard errors of both parts, as far as the examples' terms are
    independent (they share the mixture).

    Args:
        loc: posterior means, [n, d].
        scale: posterior standard deviations, [n, d].
        seed: seed of the draws.
        samples: draws of each posterior, whose mean an example's term is.
        block: posteriors compared at a time.
        prior_variance: v of the prior p(z) = N(0, v·I).

    Returns:
        Nats, two arrays [n]; no entry of the first exceeds log n.

    Raises:
        ValueError: as `decompose_rate`.
    """
    loc, scale = as_posteriors(loc, scale)
    samples, block = as_count("samples", samples), as_count("block", block)
    if not 0 < prior_variance < math.inf:
        raise ValueError(f"prior_variance must be positive and finite, got {prior_variance!r}")
    n = len(loc)
    generator = np.random.default_rng(seed)
    overlap, monte_carlo_rate = np.zeros(n), np.zeros(n)
    for _ in range(samples):
        for start in range(0, n, block):
            rows = slice(start, start + block)
            own_loc, own_scale = (part[rows].astype(np.float64) for part in (loc, scale))
            # One block after the other takes the numbers that one draw of all would take.
            noise = generator.standard_normal(own_loc.shape)
            # With S_i the sum of q(z_i|x_j) / q(z_i|x_i) over j ≠ i:
            # log q(z_i|x_i) - log q(z_i) = log n - log(1 + S_i), and no rounding takes it over log n, as S_i ≥ 0.
            overlap[rows] += np.log1p(sums_of_ratios(loc, scale, rows, noise, block)) / samples
            z = own_loc + own_scale * noise
            log_ratio_to_prior = 0.5 * (z**2 / prior_variance + math.log(prior_variance) - noise**2) - np.log(own_scale)
            monte_carlo_rate[rows] += log_ratio_to_prior.sum(axis=1) / samples
    information = math.log(n) - overlap
    return RateTerms(information, monte_carlo_rate - information)


def mutual_information(loc: Any, scale: Any, seed: int = 0, samples: int = 1, block: int = 1024) -> float:
    """I(x; z) under q: E[log q(z|x) - log q(z)] over the n examples, by Monte Carlo.

    The estimator of `decompose_rate`, which also gives the marginal KL at no further cost. It has no bias for
    these n examples; for the population that they come from it is biased downwards, and never exceeds log n: a figure
    near log n says only that the codes tell these n examples apart.

    Args:
        loc: posterior means, [n, d].
        scale: posterior standard deviations, [n, d].
        seed: seed of the draws.
        samples: draws of each posterior.
        block: posteriors compared at a time.

    Returns:
        Nats.

    Raises:
        ValueError: as `decompose_rate`.
    """
    return decompose_rate(loc, scale, seed, samples, block).mutual_information


def marginal_kl(
    loc: Any, scale: Any, seed: int = 0, samples: int = 1, block: int = 1024, prior_variance: float = 1.0
) -> float:
    """KL(q(z) ‖ p(z)): E[log q(z) - log p(z)] over the mixture q(z) of the n posteriors, by Monte Carlo.

    The estimator of `decompose_rate`: the same seed gives the same draws as `mutual_information`.

    Args:
        loc: posterior means, [n, d].
        scale: posterior standard deviations, [n, d].
        seed: seed of the draws.
        samples: draws of each posterior.
        block: posteriors compared at a time.
        prior_variance: v of the prior p(z) = N(0, v·I).

    Returns:
        Nats.

    Raises:
        ValueError: as `decompose_rate`.
    """
    return decompose_rate(loc, scale, seed, samples, block, prior_variance).marginal_kl


def informative_units(loc: Any, scale: Any, least: float = FAINT, prior_variance: float = 1.0) -> int:
    """How many active units have a rate that is more than next to nothing.

    A unit's mean may vary by more than the threshold of `active_units` while its posterior is still nearly the prior:
    with a mean of variance 0.01 it has a rate of 0.005 nats.

    Args:
        loc: posterior means, [n, d].
        scale: posterior standard deviations, [n, d].
        least: the rate from which an active unit counts, in nats.
        prior_variance: v of the prior p(z) = N(0, v·I).

    Returns:
        A count from 0 to `active_units`.

    Raises:
        ValueError: as `rate_per_unit`; if least is negative or NaN.
    """
    if not least >= 0:
        raise ValueError(f"least must be a rate of at least 0 nats, got {least!r}")
    return int(((rate_per_unit(loc, scale, prior_variance) >= least) & (unit_variances(loc) > ACTIVE)).sum())


def unit_variances(loc: Any) -> np.ndarray:
    """The variance over the data of each latent dimension's posterior mean (Burda et al. 2016, section 5).

    Args:
        loc: posterior means, [n, d].

    Returns:
        Variances (divided by n), [d].

    Raises:
        ValueError: if loc is not [n, d], is empty or not finite.
    """
    return as_matrix("loc", loc).var(axis=0)


def active_units(loc: Any, threshold: float = ACTIVE) -> int:
    """How many latent dimensions the encoder uses: those whose mean varies over the data (Burda et al. 2016).

    Args:
        loc: posterior means, [n, d].
        threshold: a dimension is active if its variance is greater.

    Returns:
        A count from 0 to d.

    Raises:
        ValueError: as `unit_variances`; if threshold is negative or NaN.
    """
    if not threshold >= 0:
        raise ValueError(f"threshold must be a variance of at least 0, got {threshold!r}")
    return int((unit_variances(loc) > threshold).sum())
