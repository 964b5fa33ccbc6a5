"""A negative log-likelihood in the units that papers report: bits per dimension, perplexity."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from zoo.metrics._arguments import as_count


def bits_per_dimension(nll_nats: Any, dims: int, levels: int) -> np.ndarray:
    """−log₂ of the probability of an image, per pixel and channel.

    A density over the unit interval is not a probability yet: a pixel of one of L levels stands for an interval of
    length 1/L, so its probability is the density over L, and each dimension costs log₂ L bits more than the density
    says: nll / (dims · log 2) + log₂ L. With the uniform density (nll 0) and 256 levels that is 8 bits.

    It is as much a bound, and as biased, as the likelihood that it is made of. Where a continuous density was fitted to
    images of few levels without noise, it may fall without end, and below what any code could reach.

    Args:
        nll_nats: −log p(x) of whole images, [n] or one number.
        dims: height · width · channels.
        levels: L of a density over the unit interval; 1 where p(x) is a probability already (Bernoulli pixels).

    Returns:
        Bits, of the shape of nll_nats.

    Raises:
        ValueError: if nll_nats are not finite numbers, or dims or levels not whole numbers of at least 1.
    """
    nats = _finite("nll_nats", nll_nats)
    dims, levels = as_count("dims", dims), as_count("levels", levels)
    return nats / (dims * math.log(2)) + math.log2(levels)


def perplexity(nll_per_document: Any, words: Any) -> float:
    """exp(Σ nll / Σ words): how many equally likely words would be as hard to guess as the next one.

    Of the corpus, so that long documents count for more; no mean over documents. Its bias is that of the likelihood,
    exponentiated: with an upper bound of the nll it is an upper bound.

    Args:
        nll_per_document: −log p(x) in nats, the end token included, [n].
        words: the number of words of each document, the end token included, [n].

    Raises:
        ValueError: if the two are not [n] of one length, the nll is not finite, or a number of words is not a whole
            number of at least 1.
    """
    nats, counts = _finite("nll_per_document", nll_per_document), _finite("words", words)
    if nats.ndim != 1 or nats.shape != counts.shape or not nats.size:
        raise ValueError(
            "nll_per_document and words must hold one number a document, "
            f"got shapes {list(nats.shape)} and {list(counts.shape)}"
        )
    if counts.min() < 1 or np.any(counts != np.round(counts)):
        raise ValueError("words must be whole numbers of at least 1, the end token included")
    return float(np.exp(nats.sum() / counts.sum()))


def _finite(name: str, values: Any) -> np.ndarray:
    try:
        numbers = np.asarray(values).astype(np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be real numbers") from None
    if unusable := int((~np.isfinite(numbers)).sum()):
        raise ValueError(f"{name} must be finite, but {unusable} of its {numbers.size} values are NaN or infinite")
    return numbers
