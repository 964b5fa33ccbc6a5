"""Sums of density ratios between all pairs of Gaussian posteriors, in blocks: what the information costs."""

from __future__ import annotations

import numpy as np

# A log density ratio whose rounding error may exceed this is computed again by differences.
_TOLERANCE = 1e-6
# Ratios under exp(-50) are lost beside the 1 they are added to, so their rounding errors are too.
_NEGLIGIBLE = -50.0
# exp is many times slower where its result underflows; e^-700 vanishes beside 1 just as well.
_SMALLEST = -700.0


def sums_of_ratios(loc: np.ndarray, scale: np.ndarray, rows: slice, noise: np.ndarray, block: int) -> np.ndarray:
    """Sums q(z_i|x_j) / q(z_i|x_i) over j ≠ i, for one draw z_i = loc_i + scale_i · noise_i of each row i.

    No maximum needs to be subtracted before exp: under q(z_i|x_i) each ratio has mean 1, so that one beyond
    e^700 has a probability under e^-700.

    Nothing is kept for all posteriors: what a block of them needs is computed anew for every block of rows, a share
    of 1 / rows of the cost.

    Args:
        loc: posterior means, [n, d].
        scale: posterior standard deviations, [n, d].
        rows: which posteriors are drawn from, m of them.
        noise: standard normal, [m, d].
        block: posteriors compared at a time.

    Returns:
        [m].
    """
    n = len(loc)
    # Multiplied out, the quadratic form of all pairs is a matrix product. Its terms cancel: near 0 the least.
    centre = loc.mean(axis=0, dtype=np.float64)
    own_loc, own_scale = loc[rows].astype(np.float64), scale[rows].astype(np.float64)
    z = own_loc - centre + own_scale * noise
    # Log q(z_i|x_i), here and below without its 2π, which cancels in the ratios.
    log_own = -(0.5 * noise**2 + np.log(own_scale)).sum(axis=1, keepdims=True)
    features = np.concatenate([z**2, z, np.ones_like(log_own), log_own], axis=1)
    farthest = (z**2).max(axis=0)
    sums = np.zeros(len(z))
    buffer = np.empty((len(z), min(block, n)))
    for j in range(0, n, block):
        other_loc, other_scale = (part[j : j + block].astype(np.float64) for part in (loc, scale))
        log_ratios = buffer[:, : len(other_loc)]
        with np.errstate(over="ignore", invalid="ignore"):  # the pairs of tiny scales are computed again
            weights, rounding = _weights(other_loc - centre, other_scale, farthest)
            np.matmul(features, weights.T, out=log_ratios)
            doubtful = ~(rounding <= _TOLERANCE)
            if doubtful.any():
                limit = np.where(doubtful, _NEGLIGIBLE - rounding, np.inf)
                row, column = np.nonzero(~(log_ratios < limit))  # NaN is not less either
                own = own_loc, own_scale, noise
                log_ratios[row, column] = _by_differences(own, (other_loc, other_scale), row, column)
            ratios = np.exp(np.maximum(log_ratios, _SMALLEST, out=log_ratios), out=log_ratios)
        itself = np.arange(len(z)) + (rows.start - j)
        inside = (itself >= 0) & (itself < len(other_loc))
        ratios[inside, itself[inside]] = 0.0
        sums += ratios.sum(axis=1)
    return sums


def overlaps_in_batches(
    loc: np.ndarray, scale: np.ndarray, order: np.ndarray, size: int, noise: np.ndarray, block: int
) -> np.ndarray:
    """Log of 1 + the sum of ratios of each posterior to the others of its batch, for one draw of each.

    Where n is no multiple of the batch's size, the last batch is filled up with posteriors of the first that serve for
    comparison alone.

    Args:
        loc: posterior means, [n, d].
        scale: posterior standard deviations, [n, d].
        order: the posteriors as batches are cut from them, [n].
        size: of a batch, up to n.
        noise: standard normal, [n, d], in the order of loc.
        block: posteriors compared at a time.

    Returns:
        Nats, [n], in the order of loc; none is below 0.
    """
    overlaps = np.empty(len(loc))
    for start in range(0, len(loc), size):
        drawn = order[start : start + size]
        among = np.concatenate([drawn, order[: size - len(drawn)]])
        batch = loc[among], scale[among]
        for first in range(0, len(drawn), block):
            rows = slice(first, min(first + block, len(drawn)))
            overlaps[drawn[rows]] = np.log1p(sums_of_ratios(*batch, rows, noise[drawn[rows]], block))
    return overlaps


def _weights(loc: np.ndarray, scale: np.ndarray, farthest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What (z², z, 1, log q(z_i|x_i)) is multiplied with, [m, 2·d + 2], and how far rounding may take it, [m]."""
    precision = scale**-2
    constant = -(0.5 * precision * loc**2 + np.log(scale)).sum(axis=1, keepdims=True)
    weights = np.concatenate([-0.5 * precision, precision * loc, constant, -np.ones_like(constant)], axis=1)
    magnitude = (precision * (farthest + loc**2)).sum(axis=1)
    return weights, 4 * np.finfo(np.float64).eps * magnitude


def _by_differences(
    own: tuple[np.ndarray, np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray], i: np.ndarray, j: np.ndarray
) -> np.ndarray:
    """Log of q(z_i|x_j) / q(z_i|x_i) for pairs i, j [p], by differences: right for any scale; [p].

    Args:
        own: loc, scale and noise of the rows, [m, d].
        other: loc and scale of what they are compared with, [k, d].
        i: of the rows.
        j: of the others.
    """
    ratios = np.zeros(len(i))
    # One unit at a time: memory grows with the pairs alone.
    for loc, scale, noise, other_loc, other_scale in zip(*(part.T for part in (*own, *other)), strict=True):
        distances = (loc[i] - other_loc[j] + scale[i] * noise[i]) / other_scale[j]
        ratios += 0.5 * (noise[i] ** 2 - distances**2) + np.log(scale[i]) - np.log(other_scale[j])
    return ratios


def mean_below(terms: np.ndarray, bound: float) -> float:
    """The mean of numbers up to the bound, which no rounding takes over it."""
    return float(bound - (bound - terms).mean())
