"""What papers print as mutual information: an average within batches, and a comparison that is no information.

`docs/printed_information.md` says which paper prints which. Posteriors, precision and unit are those of
`zoo.metrics.information`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from zoo.metrics._arguments import as_count, as_posteriors
from zoo.metrics._ratios import mean_below, overlaps_in_batches

# Posteriors that are compared at a time.
_BLOCK = 1024


def mutual_information_in_batches(loc: Any, scale: Any, batch_size: int = 50, seed: int = 0, samples: int = 1) -> float:
    """The mutual information within batches of B examples, averaged: the protocol of He et al. (2019).

    E[log q(z|x_i) − log 1/B Σ_j q(z|x_j)], where j runs over the batch of x_i alone. It tells x_i from B − 1 others, so
    it never exceeds log B, whatever the codes hold; in expectation it is the `info_nce_bound` among B, and grows with
    B up to `mutual_information`, which it equals draw by draw at B = n. He et al. have B = 50 for images, 32 for text.

    Batches are cut at random, as theirs are. Where n is no multiple of B, the last one is filled up with examples that
    serve for comparison alone; He et al. weigh a smaller one by its size. They also take E[log q(z|x)] in closed form,
    which adds noise of about √(d/2n) and no bias, and can lift an average over log B.

    Args:
        loc: posterior means, [n, d].
        scale: posterior standard deviations, [n, d].
        batch_size: B, from 2 to n.
        seed: of the draws, which are those of `mutual_information`, and of the batches.
        samples: draws of each posterior.

    Returns:
        Nats; never above log B.

    Raises:
        ValueError: as `rate`; if batch_size is no whole number from 2 to n, or samples is less than 1.
    """
    terms = mutual_information_in_batches_by_example(loc, scale, batch_size, seed, samples)
    return mean_below(terms, math.log(batch_size))


def mutual_information_in_batches_by_example(
    loc: Any, scale: Any, batch_size: int = 50, seed: int = 0, samples: int = 1
) -> np.ndarray:
    """What each example adds to `mutual_information_in_batches`.

    Args:
        loc: posterior means, [n, d].
        scale: posterior standard deviations, [n, d].
        batch_size: B, from 2 to n.
        seed: of the draws and the batches.
        samples: draws of each posterior, whose mean an example's term is.

    Returns:
        Nats, [n], in the order of loc; none exceeds log B.

    Raises:
        ValueError: as `mutual_information_in_batches`.
    """
    loc, scale = as_posteriors(loc, scale)
    size, samples, n = as_count("batch_size", batch_size), as_count("samples", samples), len(loc)
    if not 2 <= size <= n:
        raise ValueError(f"batch_size must be from 2 to the number of posteriors, {n}, got {size}")
    generator = np.random.default_rng(seed)
    # Another stream, so that the draws of an example do not depend on its batch.
    order = np.random.default_rng([seed, size]).permutation(n)
    overlaps = np.zeros(n)
    for _ in range(samples):
        noise = generator.standard_normal(loc.shape)
        overlaps += overlaps_in_batches(loc, scale, order, size, noise, _BLOCK) / samples
    return math.log(size) - overlaps


def self_comparison(loc: Any, scale: Any, batch_size: int = 256, seed: int = 0, samples: int | None = None) -> float:
    """What Lygerakis & Rueckert (2023) print as mutual information, which is none: no example is set against another.

    Their published estimate is that of He et al. less an axis. In each batch it compares the density of a code under
    *its own* posterior, averaged before the logarithm, with the same averaged behind it:
    log 1/B Σ_i q(z_i|x_i) − 1/B Σ_i E[log q(z|x_i)]. The posteriors' means cancel: what codes say of data is not in it.

    Of the log volumes s_i = Σ_k log scale_ik it makes d/2 · (1 − ln 2) + log mean exp(−s) + mean s, where the draws are
    many: d/2 · (1 − ln 2) for every encoder of constant scale, collapsed or not, and more only by how much the scales
    differ between examples. That is computed here by default. The one draw of each posterior that the authors take
    falls short of it, at constant scale by about ((2/√3)^d − 1) / 2B: 0.02 at d = 16.

    Args:
        loc: posterior means, [n, d]; they are checked and change nothing.
        scale: posterior standard deviations, [n, d].
        batch_size: B, from 1 to n. Batches follow the order of the data and a last smaller one is left out, both as
            published.
        seed: of the draws, where there are any.
        samples: draws of each posterior, averaged within the logarithm; 1 as published, None for their limit.

    Returns:
        Nats, though of no information. Never below d/2 · (1 − ln 2) where samples is None.

    Raises:
        ValueError: as `rate`; if batch_size is no whole number from 1 to n, or samples is less than 1.
    """
    return float(self_comparison_by_batch(loc, scale, batch_size, seed, samples).mean())


def self_comparison_by_batch(
    loc: Any, scale: Any, batch_size: int = 256, seed: int = 0, samples: int | None = None
) -> np.ndarray:
    """The `self_comparison` of each batch.

    Args:
        loc: posterior means, [n, d]; they are checked and change nothing.
        scale: posterior standard deviations, [n, d].
        batch_size: B, from 1 to n.
        seed: of the draws.
        samples: draws of each posterior; None for the limit of many.

    Returns:
        Nats, [n // B], in the order of the data.

    Raises:
        ValueError: as `self_comparison`.
    """
    loc, scale = as_posteriors(loc, scale)
    size, (n, dim) = as_count("batch_size", batch_size), loc.shape
    if size > n:
        raise ValueError(f"batch_size must be from 1 to the number of posteriors, {n}, got {size}")
    draws = None if samples is None else as_count("samples", samples)
    volumes = np.log(scale[: n - n % size].astype(np.float64)).sum(axis=1).reshape(-1, size)
    if draws is None:
        # Under q(z|x) itself q(z|x) has the mean ∏ 1 / (2 √π scale). Jensen's inequality, but for rounding.
        spread = np.logaddexp.reduce(-volumes, axis=1) - math.log(size) + volumes.mean(axis=1)
        return 0.5 * dim * (1 - math.log(2)) + np.maximum(spread, 0.0)
    generator = np.random.default_rng(seed)
    # Log q(z_i|x_i) needs the square of a standard normal vector alone. Its d/2 · log 2π cancels against the mean's.
    log_own = [-volumes - 0.5 * generator.chisquare(dim, volumes.shape) for _ in range(draws)]
    pooled: np.ndarray = np.logaddexp.reduce(np.concatenate(log_own, axis=1), axis=1) - math.log(size * draws)
    return pooled + volumes.mean(axis=1) + 0.5 * dim
