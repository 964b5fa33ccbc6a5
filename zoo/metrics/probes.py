"""What a simple classifier reads from the codes: nearest neighbours by cosine, and linear models.

An accuracy is that of one fitted classifier on m test codes: its binomial standard error is √(a (1 − a) / m), which
leaves out what another training set would change. More classes that the codes hold apart are more than chance only
if the training codes are many: all probes are biased downwards for few.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from zoo.metrics._arguments import as_count, as_probe, is_constant


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

    train_codes, train_labels, test_codes, test_labels = as_probe(train_codes, train_labels, test_codes, test_labels)
    neighbours = as_count("neighbours", neighbours)
    if neighbours > len(train_codes):
        raise ValueError(f"neighbours is {neighbours}, but train_codes holds only {len(train_codes)} codes")
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature must be positive and finite, got {temperature!r}")
    train_directions = _directions("train_codes", train_codes)
    test_directions = _directions("test_codes", test_codes)
    if is_constant(train_directions):
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

    train_codes, train_labels, test_codes, test_labels = as_probe(train_codes, train_labels, test_codes, test_labels)
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, random_state=seed))
    predictions = classifier.fit(train_codes, train_labels).predict(test_codes)
    return float(np.mean(predictions == test_labels))


def few_label_accuracies(
    train_codes: Any,
    train_labels: Any,
    test_codes: Any,
    test_labels: Any,
    labels: int = 100,
    draws: int = 10,
    seed: int = 0,
) -> np.ndarray:
    """The `linear_accuracy` of classifiers that know a few labels each, which good codes make enough.

    Each draw takes its own labelled codes at random, the classes in the proportions of the whole training set.

    Args:
        train_codes: codes to learn from, e.g. posterior means, [n, d].
        train_labels: their labels, whole numbers or strings, [n].
        test_codes: codes to label, [m, d].
        test_labels: their true labels, [m]; one that no training code has counts as an error.
        labels: of the training codes, how many a classifier knows.
        draws: how many classifiers.
        seed: of the draws.

    Returns:
        A share from 0 to 1 for each draw, [draws].

    Raises:
        ValueError: as `linear_accuracy`; if labels is not from the number of classes to n less that number, or a class
            has one code alone: then there are no such draws.
    """
    from sklearn.model_selection import StratifiedShuffleSplit

    train_codes, train_labels, test_codes, test_labels = as_probe(train_codes, train_labels, test_codes, test_labels)
    labels, draws = as_count("labels", labels), as_count("draws", draws)
    splits = StratifiedShuffleSplit(draws, train_size=labels, random_state=seed).split(train_codes, train_labels)
    known = [(train_codes[rows], train_labels[rows]) for rows, _ in splits]
    return np.array([linear_accuracy(codes, classes, test_codes, test_labels, seed) for codes, classes in known])


def svm_accuracy(train_codes: Any, train_labels: Any, test_codes: Any, test_labels: Any, seed: int = 0) -> float:
    """The share of test codes that a linear support vector machine on standardised codes labels rightly.

    Scikit-learn's `LinearSVC` with its defaults (one class against the rest, squared hinge, C = 1), as point clouds are
    classified by their codes (Yang et al. 2018, section 4.3).

    Args:
        train_codes: codes to learn from, e.g. posterior means, [n, d].
        train_labels: their labels, whole numbers or strings, [n].
        test_codes: codes to label, [m, d].
        test_labels: their true labels, [m]; one that no training code has counts as an error.
        seed: passed to scikit-learn, whose solver draws only where there are more dimensions than codes.

    Returns:
        A share from 0 to 1.

    Raises:
        ValueError: as `linear_accuracy`.
    """
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    train_codes, train_labels, test_codes, test_labels = as_probe(train_codes, train_labels, test_codes, test_labels)
    classifier = make_pipeline(StandardScaler(), LinearSVC(random_state=seed))
    predictions = classifier.fit(train_codes, train_labels).predict(test_codes)
    return float(np.mean(predictions == test_labels))


def _directions(name: str, codes: np.ndarray) -> np.ndarray:
    largest = np.abs(codes).max(axis=1, keepdims=True)
    if not largest.all():
        row = int(np.argmin(largest))
        raise ValueError(f"{name}[{row}] has length 0, and so no cosine to its neighbours")
    codes = codes / largest  # keeps the squares of very small and very large codes in range
    return codes / np.linalg.norm(codes, axis=1, keepdims=True)
