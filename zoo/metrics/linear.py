"""What a linear VAE keeps of the data: the principal components that a decoder's variance leaves it.

For a decoder N(Wz + μ, σ²·I) and an encoder N(V(x − μ), D) with diagonal D, the negative β-ELBO, divided by β, is the
negative ELBO with β·σ² in place of σ², but for a constant: the rate then has weight 1, and the squared error
1 / (2·β·σ²). So the answer of probabilistic PCA (Tipping & Bishop 1999, appendix A) carries over: at the optimum the
columns of W span the leading principal components, wᵢ has length √(λᵢ − β·σ²), and a component whose variance λᵢ is
no greater than β·σ² gets no column; its unit's posterior is the prior. Diagonal posteriors reach that optimum, and the
ELBO adds no local maxima of its own to those of the likelihood (Lucas et al. 2019, “Don't Blame the ELBO!”, for β = 1).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from zoo.metrics._arguments import as_count


class Spectrum(NamedTuple):
    """Variances along the principal components of images in the unit interval.

    Attributes:
        variances: of the leading components, falling, [k]; sums over the pixels, divided by the number of examples.
        total: of all components: the sum of the pixels' variances.
        features: pixels times channels.
        examples: images that were looked at.
    """

    variances: np.ndarray
    total: float
    features: int
    examples: int


def spectrum(images: Any, components: int, seed: int = 0) -> Spectrum:
    """The leading principal components' variances, by scikit-learn's PCA.

    Scikit-learn decomposes the covariance exactly where there are up to 1,000 features and ten times as many images,
    and else draws random directions where few components are asked for, which errs by some percent at most. A sample's
    leading variances overestimate the population's, by a share of the order of √(features / examples).

    Args:
        images: [n, ...], integers (divided by 255), booleans or floats.
        components: how many of the leading ones; fewer are returned where the data have no more.
        seed: of the randomised decomposition.

    Returns:
        The spectrum; about 4·n·features bytes of memory, twice.

    Raises:
        ValueError: fewer than two images, or values that are not finite.
    """
    from sklearn.decomposition import PCA

    images = np.asarray(images)
    components = as_count("components", components)
    if images.ndim < 2 or len(images) < 2:
        raise ValueError(f"principal components need two images or more, got an array of shape {list(images.shape)}")
    x = images.reshape(len(images), -1).astype(np.float32)
    if images.dtype.kind in "iu":
        x /= 255
    if not np.isfinite(x).all():
        raise ValueError("principal components need finite pixels, and some are NaN or infinite")
    pca = PCA(min(components, *x.shape), random_state=seed).fit(x)
    # PCA divides by n - 1; the ELBO of the training set is a mean over its n examples.
    unbiased = (len(x) - 1) / len(x)
    variances = np.maximum(pca.explained_variance_.astype(np.float64), 0) * unbiased
    return Spectrum(variances, float(x.var(axis=0, dtype=np.float64).sum()), x.shape[1], len(x))


def kept_units(variances: Any, latent_dim: int, variance: float, beta: float = 1.0) -> int:
    """How many units of a linear VAE stay active at the optimum: components with a variance above β·σ².

    Args:
        variances: of the leading principal components, at least `latent_dim` of them or all there are, [k].
        latent_dim: units there are; no more can be kept.
        variance: σ² of the Gaussian decoder.
        beta: weight of the rate.

    Returns:
        From 0 to `latent_dim`. The optimum for given σ²; it says nothing of decoders that are not linear.

    Raises:
        ValueError: a variance that is not positive, or a negative β.
    """
    latent_dim = as_count("latent_dim", latent_dim)
    _check(variance, beta)
    leading = np.sort(np.asarray(variances, np.float64))[::-1][:latent_dim]
    # At β = 0 nothing is too dear, but a component without any variance is nothing.
    return int((leading > beta * variance).sum())


def learned_variance(found: Spectrum, latent_dim: int, beta: float = 1.0) -> float:
    """The σ² that a linear VAE ends with where it is learned along with the rest.

    The β-ELBO is then maximal at σ² = (Σ of the variances that are not kept) / (features − β·kept), for β = 1 the mean
    variance of the components that are left out (Tipping & Bishop 1999, Eq. 8); what is kept depends on σ² in turn. The
    loss, with W, V and D at their optimum, is convex in log σ², so only one number of units agrees with itself.

    Args:
        found: at least `latent_dim` leading components, or all there are.
        latent_dim: units there are.
        beta: weight of the rate.

    Returns:
        σ²; 0 where the units can hold all of the data's variance, so that the likelihood has no bound.

    Raises:
        ValueError: a negative β.
    """
    latent_dim = as_count("latent_dim", latent_dim)
    _check(1.0, beta)
    leading = np.sort(found.variances)[::-1][:latent_dim]
    for kept in range(len(leading) + 1):
        left = found.total - float(leading[:kept].sum())
        if left <= 1e-6 * found.total:  # the rounding of float32
            break
        # Positive: each kept variance exceeds β·σ², and what is left is no less than the next one.
        variance = left / (found.features - beta * kept)
        if kept == len(leading) or leading[kept] <= beta * variance:
            return variance
    return 0.0


def beta_limits(found: Spectrum, latent_dim: int, variance: float | None = None) -> np.ndarray:
    """The β below which a linear VAE keeps at least one, two, … units.

    For given σ² that is λᵢ/σ². Where σ² is learned, i units are kept if λᵢ exceeds β·σ² at the σ² that i − 1 units
    leave: λᵢ·features / (Σ of the variances from the i-th on + (i − 1)·λᵢ), which falls with i as λᵢ does.

    Args:
        found: at least `latent_dim` leading components, or all there are.
        latent_dim: units there are.
        variance: σ²; None where it is learned.

    Returns:
        [latent_dim], falling; 0 where the data have no such component.
    """
    latent_dim = as_count("latent_dim", latent_dim)
    leading = np.zeros(latent_dim)
    given = np.sort(found.variances)[::-1][:latent_dim]
    leading[: len(given)] = given
    if variance is not None:
        _check(variance, 0.0)
        return leading / variance
    before = np.concatenate([[0.0], np.cumsum(leading)[:-1]])
    left = np.maximum(found.total - before, 0) + np.arange(latent_dim) * leading
    return np.divide(leading * found.features, left, out=np.zeros(latent_dim), where=left > 0)


def _check(variance: float, beta: float) -> None:
    if not 0 < variance < math.inf:
        raise ValueError(f"variance must be positive and finite, got {variance!r}")
    if not 0 <= beta < math.inf:
        raise ValueError(f"beta must be at least 0 and finite, got {beta!r}")
