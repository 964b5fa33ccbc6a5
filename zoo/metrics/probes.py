"""What a simple classifier reads from the codes: nearest neighbours by cosine, and a linear model."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from zoo.metrics._arguments import as_count, as_matrix


def knn_accuracy(
    train_codes: Any,
    train_labels: Any,
    test_codes: Any,
    test_labels: Any,
    neighbours: int = 200,
    temperature: float = 0.1,
) -> float:
    """The share of test codes that a weighted vote of their nearest training codes labels rightly.

    The neighbours are the nearest by cosine similarity, and each votes with weight exp(cosine / temperature)
    (Wu et al. 2018, section 3.4).

    Args:
        train_codes: codes to vote, e.g. posterior means, [n, d].
        train_labels: their labels, whole numbers or strings, [n].
        test_codes: codes to label, [m, d].
        test_labels: their true labels, [m]; one that no training code has counts as an error.
        neighbours: how many vote, at most n.
        temperature: the smaller, the more the nearest decide.

    Returns:
        A share from 0 to 1.

    Raises:
        ValueError: if the codes are not finite [n, d] and [m, d], or the labels do not fit them; if there is
            only one training label; if the training codes are constant or alike in direction, or a code has
            length 0 (it has no cosine); if neighbours is not from 1 to n or temperature is not positive.
    """
    from sklearn.neighbors import KNeighborsClassifier

    train_codes, train_labels, test_codes, test_labels = _check(train_codes, train_labels, test_codes, test_labels)
    neighbours = as_count("neighbours", neighbours)
    if neighbours > len(train_codes):
        raise ValueError(f"neighbours is {neighbours}, but train_codes holds only {len(train_codes)} codes")
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature must be positive and finite, got {temperature!r}")
    train_directions = _directions("train_codes", train_codes)
    test_directions = _directions("test_codes", test_codes)
    if _is_constant(train_directions):
        raise ValueError("train_codes all point in one direction: the cosine cannot tell them apart")

    def votes(squared_distances: np.ndarray) -> np.ndarray:
        # Between directions the squared distance is 2 - 2·cosine. A common factor changes no vote, so the
        # nearest gets weight 1: at low temperatures all weights would underflow otherwise.
        nearest = squared_distances.min(axis=1, keepdims=True)
        return np.exp((nearest - squared_distances) / (2 * temperature))

    # scikit-learn finds neighbours by distance in blocks on all cores, ten times as fast as by its "cosine".
    classifier = KNeighborsClassifier(neighbours, algorithm="brute", metric="sqeuclidean", weights=votes)
    predictions = classifier.fit(train_directions, train_labels).predict(test_directions)
    return float(np.mean(predictions == test_labels))


def linear_accuracy(train_codes: Any, train_labels: Any, test_codes: Any, test_labels: Any, seed: int = 0) -> float:
    """The share of test codes that multinomial logistic regression on standardised codes labels rightly.

    Scikit-learn's, with its default L2 penalty (C = 1), fitted to the training codes until it converges.

    Args:
        train_codes: codes to learn from, e.g. posterior means, [n, d].
        train_labels: their labels, whole numbers or strings, [n].
        test_codes: codes to label, [m, d].
        test_labels: their true labels, [m]; one that no training code has counts as an error.
        seed: passed to scikit-learn; its present solver is deterministic and draws nothing.

    Returns:
        A share from 0 to 1.

    Raises:
        ValueError: if the codes are not finite [n, d] and [m, d], or the labels do not fit them; if there is
            only one training label; if the training codes are constant.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train_codes, train_labels, test_codes, test_labels = _check(train_codes, train_labels, test_codes, test_labels)
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, random_state=seed))
    predictions = classifier.fit(train_codes, train_labels).predict(test_codes)
    return float(np.mean(predictions == test_labels))


def _check(
    train_codes: Any, train_labels: Any, test_codes: Any, test_labels: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    train_codes, test_codes = as_matrix("train_codes", train_codes), as_matrix("test_codes", test_codes)
    if train_codes.shape[1] != test_codes.shape[1]:
        raise ValueError(
            "train_codes and test_codes must have as many dimensions, "
            f"got {train_codes.shape[1]} and {test_codes.shape[1]}"
        )
    train_labels = _labels("train_labels", train_labels, "train_codes", len(train_codes))
    test_labels = _labels("test_labels", test_labels, "test_codes", len(test_codes))
    if len(np.unique(train_labels)) < 2:
        raise ValueError(
            f"train_labels must hold two classes or more, but all {len(train_labels)} are {train_labels[0]}"
        )
    if _is_constant(train_codes):
        raise ValueError("train_codes are constant (a collapsed posterior?): no probe can tell them apart")
    return train_codes, train_labels, test_codes, test_labels


def _labels(name: str, labels: Any, codes_name: str, count: int) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.shape != (count,):
        raise ValueError(
            f"{name} must hold one label for each of the {count} {codes_name}, got shape {list(labels.shape)}"
        )
    if labels.dtype.kind == "f" and not np.array_equal(labels, np.round(labels)):
        raise ValueError(f"{name} must be whole numbers or strings, got fractions or NaN")
    return labels


def _is_constant(codes: np.ndarray) -> bool:
    """Whether no column varies by more than the rounding of float32, in which networks compute."""
    rounding = 4 * np.finfo(np.float32).eps * np.abs(codes).max(axis=0)
    return bool(np.all(np.ptp(codes, axis=0) <= rounding))


def _directions(name: str, codes: np.ndarray) -> np.ndarray:
    largest = np.abs(codes).max(axis=1, keepdims=True)
    if not largest.all():
        row = int(np.argmin(largest))
        raise ValueError(f"{name}[{row}] has length 0, and so no cosine to its neighbours")
    codes = codes / largest  # keeps the squares of very small and very large codes in range
    return codes / np.linalg.norm(codes, axis=1, keepdims=True)
