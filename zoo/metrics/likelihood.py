"""How likely a model finds images: the importance-weighted estimate of −log p(x), and how far it can be trusted."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from zoo.metrics._arguments import as_count

# Under so many effective samples an estimate hangs on a few of them, and what they missed is missing in it.
FEW = 10
# The share of images with few effective samples that is let pass.
TOLERATED = 0.1
# What the activations of the codes that are decoded at once may take, in bytes, and how many codes that may be: fewer
# make small matrix products, more leave the processor's caches.
MEMORY = 2**29
LEAST_ROWS, MOST_ROWS = 50, 8000


class UnreliableEstimateWarning(UserWarning):
    """An estimate that hangs on a handful of samples."""


class ImportanceWeighted(NamedTuple):
    """−log p(x) as importance weights estimate it, one value an image.

    Attributes:
        nll: nats, [n].
        effective_samples: (Σw)² / Σw² of an image's weights w, from 1 (one sample has all the weight) to the number of
            samples (all weigh the same, as they do when q(z|x) is the exact posterior): [n].
    """

    nll: np.ndarray
    effective_samples: np.ndarray


def importance_weighted(
    model: Any,
    x: Any,
    samples: int = 500,
    batch_size: int | None = None,
    seed: int = 0,
    block: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> ImportanceWeighted:
    """−log 1/K Σ_k w_k with w_k = p(x, z_k) / q(z_k|x) for K samples z_k ~ q(z|x) (Burda et al. 2016, Eq. 8).

    In expectation an upper bound of −log p(x), tighter with more samples, and equal to it if q is the exact posterior.
    While the samples cover the posterior, the gap is about half the inverse of the effective sample size: 0.05 nats at
    10. Where q is far too narrow, they can agree with each other and miss it all the same, which only another method
    shows (`annealed_negative_log_likelihood`).

    An image's noise depends on the seed, the block and the image's place in x alone: the batch size changes nothing
    (beyond rounding), and the first n images get the same estimate whatever follows them. Another block draws other
    noise.

    Memory grows with block · batch_size, the images decoded at once: by default as many as make large matrix products
    while the decoder's activations stay below half a gigabyte. K times the cost of decoding an image.

    Args:
        model: has `log_weights(x, samples, seed)`, the log p(x, z) − log q(z|x) in nats [samples, batch] of a batch
            whose noise is keyed by the rows of seed [batch, 2], and `check(x, where)`, as `zoo.VAE` has.
        x: images [n, h, w, c]: integers 0..255, booleans, or floats as in training.
        samples: K.
        batch_size: images at a time; by default as many as fit beside the block.
        seed: of the samples.
        block: samples of an image at a time; by default all, or as many as fit.
        progress: is told after each block how many of the n images' worth of work is done.

    Returns:
        Estimates and effective sample sizes; of grey images under a Bernoulli likelihood no true likelihood, but
        comparable among such models.

    Raises:
        ValueError: samples, batch_size or block below 1; a seed below 0 or above 2³¹ − 1; images that the model does
            not take (rank, size, NaN, range).

    Warns:
        UnreliableEstimateWarning: more than a tenth of the images have under 10 effective samples (as all have with
            fewer than 10 samples).
    """
    import tensorflow as tf

    x = np.asarray(x)
    rows = _rows_at_once(model, x.shape[1:])
    samples = as_count("samples", samples)
    block = min(samples, rows) if block is None else as_count("block", block)
    batch_size = max(1, rows // block) if batch_size is None else as_count("batch_size", batch_size)
    seed = as_seed(seed)
    model.check(x, "negative_log_likelihood")
    n = len(x)
    # Of one shape, so that the model is traced once, and as even as can be, so that little is decoded in vain.
    batch_size = math.ceil(n / math.ceil(n / batch_size))
    blocks = math.ceil(samples / block)
    block = math.ceil(samples / blocks)

    log_sums = _compiled(model)
    found = np.empty([2, n])
    for start in range(0, n, batch_size):
        # The last batch is filled up with the last image, whose surplus estimates are dropped.
        places = np.minimum(np.arange(start, start + batch_size), n - 1)
        images = tf.constant(x[places])
        total = np.full([2, batch_size], -np.inf)
        done = min(batch_size, n - start)
        for i in range(blocks):
            keys = np.stack([np.full(batch_size, seed * 2**31 + i), places], axis=1)
            counted = min(block, samples - i * block)
            sums = log_sums(images, tf.constant(keys), block, tf.constant(counted)).numpy()
            with np.errstate(invalid="ignore"):  # a model that gives NaN has NaN for its likelihood
                total = np.logaddexp(total, sums)
            if progress:
                progress(start + done * (i + 1) // blocks)
        found[:, start : start + done] = total[:, :done]
    result = ImportanceWeighted(math.log(samples) - found[0], np.exp(2.0 * found[0] - found[1]))
    _warn_of_few(result.effective_samples, samples)
    return result


def _rows_at_once(model: Any, example_shape: tuple) -> int:
    """How many codes to decode at a time: what the decoder's layers give for one of them decides."""
    layers = getattr(getattr(model, "decoder", None), "layers", [])
    shapes = [tuple(layer.output.shape[1:]) for layer in layers if hasattr(layer, "output")]
    # A decoder that cannot be looked into counts as fifty of its images.
    known = shapes and all(None not in shape for shape in shapes)
    numbers = sum(map(math.prod, shapes)) if known else 50 * math.prod(example_shape)
    return min(MOST_ROWS, max(LEAST_ROWS, MEMORY // (4 * max(1, numbers))))


def _compiled(model: Any) -> Callable[..., Any]:
    """The logarithms of Σw and Σw² over a block of samples: [2, batch]; kept with the model, as tracing takes long."""
    import tensorflow as tf

    def log_sums(images: tf.Tensor, keys: tf.Tensor, block: int, counted: tf.Tensor) -> tf.Tensor:
        log_weights = tf.cast(model.log_weights(images, block, keys)[:counted], tf.float64)
        return tf.reduce_logsumexp(tf.stack([log_weights, 2.0 * log_weights]), axis=1)

    kept = vars(model).setdefault("calls", {})
    if "log_sums" not in kept:
        kept["log_sums"] = tf.function(log_sums, autograph=False)
    return kept["log_sums"]


def negative_log_likelihood(
    model: Any,
    x: Any,
    samples: int = 500,
    batch_size: int | None = None,
    seed: int = 0,
    block: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> np.ndarray:
    """The estimates of `importance_weighted`, which has arguments, errors and warnings: nats, [n]."""
    return importance_weighted(model, x, samples, batch_size, seed, block, progress).nll


def as_seed(seed: Any) -> int:
    """Checks that a seed is a whole number from 0 to 2³¹ − 1.

    Raises:
        ValueError: if it is not.
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**31:
        raise ValueError(f"seed must be a whole number from 0 to 2³¹ − 1, got {seed!r}")
    return int(seed)


def _warn_of_few(effective: np.ndarray, samples: int) -> None:
    # NaN counts as few.
    few = int(np.sum(~(effective >= FEW)))
    if few > TOLERATED * len(effective):
        warnings.warn(
            f"negative log-likelihood: {few} of {len(effective)} images have under {FEW} effective samples (median "
            f"{np.median(effective):.1f} of {samples}), so their estimates may be far too high: take more samples, "
            "or check with zoo.metrics.annealed_negative_log_likelihood",
            UnreliableEstimateWarning,
            stacklevel=3,
        )
