"""How much the codes say about the data: rate, mutual information, marginal KL and active units.

Everything here takes the posteriors q(z|x_i) = N(loc_i, diag(scale_i²)) of n examples as two arrays [n, d],
sets them against the prior p(z) = N(0, I) (`rate` also against wider ones), computes in float64 and answers in nats.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from zoo.metrics._arguments import as_count, as_matrix, as_posteriors

# A log density ratio whose rounding error may exceed this is computed again by differences.
_TOLERANCE = 1e-6
# Ratios under exp(-50) are lost beside the 1 they are added to, so their rounding errors are too.
_NEGLIGIBLE = -50.0
# exp is many times slower where its result underflows; e^-700 vanishes beside 1 just as well.
_SMALLEST = -700.0


class RateDecomposition(NamedTuple):
    """The rate's two parts, in nats: their sum is the rate's Monte-Carlo estimate from the same draws."""

    mutual_information: float
    marginal_kl: float


def _kl_terms(loc: Any, scale: Any, prior_variance: float = 1.0) -> np.ndarray:
    loc, scale = as_posteriors(loc, scale)
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


def rate_per_unit(loc: Any, scale: Any) -> np.ndarray:
    """The rate of each latent dimension, as the mean over examples; the sum over dimensions is the mean rate.

    Args:
        loc: posterior means, [n, d].
        scale: posterior standard deviations, [n, d].

    Returns:
        Nats, [d].

    Raises:
        ValueError: as `rate`.
    """
    return _kl_terms(loc, scale).mean(axis=0)


def decompose_rate(loc: Any, scale: Any, seed: int = 0, samples: int = 1, block: int = 1024) -> RateDecomposition:
    """Mutual information and marginal KL together: they share their draws and the costly part.

    Rate = mutual information + marginal KL (Hoffman & Johnson 2016, "ELBO surgery"), which here holds draw by
    draw. q(z) is the mixture of all n posteriors, the one that z was drawn from included.

    Args:
        loc: posterior means, [n, d].
        scale: posterior standard deviations, [n, d].
        seed: seed of the draws; the same seed gives the same draws, whatever the block.
        samples: draws of each posterior.
        block: posteriors compared at a time; the memory for pairs is some multiples of 8·block² bytes.

    Returns:
        Nats. `mutual_information` never exceeds log n; what the rate has beyond it counts as `marginal_kl`.

    Raises:
        ValueError: as `rate`; if samples or block is less than 1.
    """
    loc, scale = as_posteriors(loc, scale)
    samples, block = as_count("samples", samples), as_count("block", block)
    generator = np.random.default_rng(seed)
    overlap = monte_carlo_rate = 0.0
    for _ in range(samples):
        noise = generator.standard_normal(loc.shape)
        # With S_i the sum of q(z_i|x_j) / q(z_i|x_i) over j ≠ i:
        # log q(z_i|x_i) - log q(z_i) = log n - log(1 + S_i), and no rounding takes it over log n, as S_i ≥ 0.
        overlap += np.log1p(_sum_of_ratios(_Draws(loc, scale, noise), block)).mean() / samples
        log_ratio_to_prior = 0.5 * ((loc + scale * noise) ** 2 - noise**2) - np.log(scale)
        monte_carlo_rate += log_ratio_to_prior.sum(axis=1).mean() / samples
    information = math.log(len(loc)) - overlap
    return RateDecomposition(float(information), float(monte_carlo_rate - information))


def mutual_information(loc: Any, scale: Any, seed: int = 0, samples: int = 1, block: int = 1024) -> float:
    """I(x; z) under q: E[log q(z|x) - log q(z)] over the n examples, by Monte Carlo.

    The estimator of `decompose_rate`, which also gives the marginal KL at no further cost. It has no bias for
    these n examples; for the population that they come from it is biased downwards, and never exceeds log n.

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


def marginal_kl(loc: Any, scale: Any, seed: int = 0, samples: int = 1, block: int = 1024) -> float:
    """KL(q(z) ‖ p(z)): E[log q(z) - log p(z)] over the mixture q(z) of the n posteriors, by Monte Carlo.

    The estimator of `decompose_rate`: the same seed gives the same draws as `mutual_information`.

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
    return decompose_rate(loc, scale, seed, samples, block).marginal_kl


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


def active_units(loc: Any, threshold: float = 0.01) -> int:
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


class _Draws(NamedTuple):
    """One draw z_i = loc_i + scale_i · noise_i of each posterior; all [n, d]."""

    loc: np.ndarray
    scale: np.ndarray
    noise: np.ndarray

    def log_ratios(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        """Log of q(z_i|x_j) / q(z_i|x_i) for pairs i, j [p], by differences: right for any scale; [p]."""
        ratios = np.zeros(len(i))
        # One unit at a time: memory grows with the pairs alone.
        for loc, scale, noise in zip(self.loc.T, self.scale.T, self.noise.T, strict=True):
            distances = (loc[i] - loc[j] + scale[i] * noise[i]) / scale[j]
            ratios += 0.5 * (noise[i] ** 2 - distances**2) + np.log(scale[i]) - np.log(scale[j])
        return ratios


def _sum_of_ratios(draws: _Draws, block: int) -> np.ndarray:
    """Sums q(z_i|x_j) / q(z_i|x_i) over j ≠ i; [n].

    No maximum needs to be subtracted before exp: under q(z_i|x_i) each ratio has mean 1, so that one beyond
    e^700 has a probability under e^-700.
    """
    n = len(draws.loc)
    block = min(block, n)
    # Multiplied out, the quadratic form of all pairs is a matrix product. Its terms cancel: near 0 the least.
    loc = draws.loc - draws.loc.mean(axis=0)
    z = loc + draws.scale * draws.noise
    # Log q(z_i|x_i), here and below without its 2π, which cancels in the ratios.
    log_own = -(0.5 * draws.noise**2 + np.log(draws.scale)).sum(axis=1, keepdims=True)
    sums = np.zeros(n)
    buffer = np.empty((block, block))
    with np.errstate(over="ignore", invalid="ignore"):  # the pairs of tiny scales are computed again
        precision = draws.scale**-2
        constant = -(0.5 * precision * loc**2 + np.log(draws.scale)).sum(axis=1, keepdims=True)
        weights = np.concatenate([-0.5 * precision, precision * loc, constant, -np.ones((n, 1))], axis=1)
        magnitude = (precision * ((z**2).max(axis=0) + loc**2)).sum(axis=1)
        rounding = 4 * np.finfo(np.float64).eps * magnitude
        doubtful = ~(rounding <= _TOLERANCE)
        limit = np.where(doubtful, _NEGLIGIBLE - rounding, np.inf)
        for i in range(0, n, block):
            rows = slice(i, i + block)
            own = log_own[rows]
            features = np.concatenate([z[rows] ** 2, z[rows], np.ones_like(own), own], axis=1)
            for j in range(0, n, block):
                columns = slice(j, j + block)
                log_ratios = buffer[: len(own), : len(loc[columns])]
                np.matmul(features, weights[columns].T, out=log_ratios)
                if doubtful[columns].any():
                    row, column = np.nonzero(~(log_ratios < limit[columns]))  # NaN is not less either
                    log_ratios[row, column] = draws.log_ratios(row + i, column + j)
                ratios = np.exp(np.maximum(log_ratios, _SMALLEST, out=log_ratios), out=log_ratios)
                if i == j:
                    np.fill_diagonal(ratios, 0.0)
                sums[rows] += ratios.sum(axis=1)
    return sums
