"""What the codes say about the data, at least: the InfoNCE bound of the mutual information."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from zoo.metrics._arguments import as_count, as_posteriors
from zoo.metrics._ratios import mean_below, overlaps_in_batches

# Rows of a large batch that are compared at a time.
_BLOCK = 1024


def info_nce_bound(loc: Any, scale: Any, seed: int = 0, batch: int = 256) -> float:
    """A lower bound of I(x; z) for the population of x: log K − InfoNCE with the critic q(z|x), by Monte Carlo.

    InfoNCE is −E log q(z|x) / Σ_k q(z|x_k) over batches of K examples, x among them (van den Oord et al. 2018); of all
    critics q(z|x) itself gives the greatest bound. Each batch is cut at random, and each example drawn from once; where
    n is no multiple of K, the last batch is filled up with examples that serve as negatives alone.

    In expectation the bound grows with K, stays under I(x; z), and is `mutual_information`'s estimate for K = n.
    Time grows with n · K · d, memory with min(K, 1024)².

    Args:
        loc: posterior means, [n, d].
        scale: posterior standard deviations, [n, d].
        seed: of the batches and the draws.
        batch: K, from 2 to n.

    Returns:
        Nats; never above log K.

    Raises:
        ValueError: as `rate`; if batch is not a whole number from 2 to n.
    """
    terms = info_nce_bound_by_example(loc, scale, seed, batch)
    return mean_below(terms, math.log(batch))


def info_nce_bound_by_example(loc: Any, scale: Any, seed: int = 0, batch: int = 256) -> np.ndarray:
    """What each example adds to `info_nce_bound`: log K + log q(z|x) − log Σ_k q(z|x_k), for z ~ q(z|x).

    Args:
        loc: posterior means, [n, d].
        scale: posterior standard deviations, [n, d].
        seed: of the batches and the draws.
        batch: K, from 2 to n.

    Returns:
        Nats, [n], in the order of loc; none exceeds log K.

    Raises:
        ValueError: as `info_nce_bound`.
    """
    loc, scale = as_posteriors(loc, scale)
    batch, n = as_count("batch", batch), len(loc)
    if not 2 <= batch <= n:
        raise ValueError(f"batch must be from 2 to the number of posteriors, {n}, got {batch}")
    generator = np.random.default_rng(seed)
    order = generator.permutation(n)
    noise = np.empty(loc.shape)
    noise[order] = generator.standard_normal(loc.shape)
    return math.log(batch) - overlaps_in_batches(loc, scale, order, batch, noise, _BLOCK)
