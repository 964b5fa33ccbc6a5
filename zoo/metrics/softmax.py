"""The contrastive paper's linear probe: a dense layer with a softmax, trained for 200 epochs on frozen codes."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo.metrics._arguments import as_probe

EPOCHS, LEARNING_RATE, MOMENTUM, BATCH = 200, 1e-3, 0.9, 256


def softmax_accuracy(train_codes: Any, train_labels: Any, test_codes: Any, test_labels: Any, seed: int = 0) -> float:
    """The share of test codes that a softmax layer labels rightly, trained by the contrastive paper's recipe.

    Lygerakis & Rueckert (2023, section V-B): 200 epochs at learning rate 1e-3; the codes as they are. The optimiser is
    not printed for the probe: here it is stochastic gradient descent with momentum 0.9 in batches of 256, the paper's
    for everything on these data (its Table V), and without weight decay, as in the protocol that it cites (He et al.
    2020).

    It answers another question than `linear_accuracy`, which is fitted until it converges, to standardised codes: so
    short a training reads little from codes that hardly vary, though they may hold the classes apart. Codes of a
    collapsed posterior come out worse by it, and so does every model whose codes are on a small scale. Costs about
    4 s on one core for 55,000 codes of 16 dimensions and 10 classes.

    Args:
        train_codes: codes to learn from, e.g. posterior means, [n, d].
        train_labels: their labels, whole numbers or strings, [n].
        test_codes: codes to label, [m, d].
        test_labels: their true labels, [m]; one that no training code has counts as an error.
        seed: of the layer's first weights (Glorot's, uniform) and of the order of the codes.

    Returns:
        A share from 0 to 1.

    Raises:
        ValueError: as `linear_accuracy`; codes so large that the training diverges.
    """
    train_codes, train_labels, test_codes, test_labels = as_probe(train_codes, train_labels, test_codes, test_labels)
    classes, targets = np.unique(train_labels, return_inverse=True)
    with np.errstate(over="ignore", invalid="ignore"):  # looked at below
        weights = _fit(_with_bias(train_codes), targets, len(classes), seed)
    if not np.isfinite(weights).all():
        raise ValueError(
            f"train_codes reach {np.abs(train_codes).max():g}: too large for the softmax layer's learning rate of "
            f"{LEARNING_RATE:g}"
        )
    predictions = classes[(_with_bias(test_codes) @ weights).argmax(axis=1)]
    return float(np.mean(predictions == test_labels))


def _with_bias(codes: np.ndarray) -> np.ndarray:
    """[n, d] → [n, d + 1]; single precision, as the paper's, and twice as fast."""
    return np.concatenate([codes, np.ones_like(codes[:, :1])], axis=1, dtype=np.float32, casting="same_kind")


def _fit(features: np.ndarray, targets: np.ndarray, classes: int, seed: int, epochs: int = EPOCHS) -> np.ndarray:
    """The weights of the layer, its bias in the last row: [d + 1, classes].

    The steps are so small that a framework's graph would cost several times what they do.
    """
    generator = np.random.default_rng(seed)
    d, n = features.shape[1] - 1, len(features)
    limit = np.sqrt(6 / (d + classes))
    weights = np.zeros((d + 1, classes), np.float32)
    weights[:d] = generator.uniform(-limit, limit, (d, classes))
    velocity = np.zeros_like(weights)
    rows = np.arange(BATCH)
    for _ in range(epochs):
        order = generator.permutation(n)
        shuffled, labels = features[order], targets[order]
        for start in range(0, n, BATCH):
            x, y = shuffled[start : start + BATCH], labels[start : start + BATCH]
            gradient = x @ weights
            gradient -= gradient.max(axis=1, keepdims=True)
            np.exp(gradient, out=gradient)
            gradient /= gradient.sum(axis=1, keepdims=True)
            gradient[rows[: len(x)], y] -= 1
            velocity *= MOMENTUM
            velocity -= (LEARNING_RATE / len(x)) * (x.T @ gradient)
            weights += velocity
    return weights
