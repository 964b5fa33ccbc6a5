import math

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from zoo.metrics import few_label_accuracies, knn_accuracy, linear_accuracy, softmax, softmax_accuracy, svm_accuracy

PROBES = [knn_accuracy, linear_accuracy, softmax_accuracy, svm_accuracy]


def blobs(n=400, m=150, d=5, classes=4, seed=0):
    generator = np.random.default_rng(seed)
    centres = generator.standard_normal((classes, d))
    labels = generator.integers(classes, size=n + m)
    codes = centres[labels] + generator.standard_normal((n + m, d))
    # Lengths that say nothing, so that a Euclidean neighbour is not a cosine neighbour.
    codes *= generator.uniform(0.1, 10, (n + m, 1))
    return codes[:n], labels[:n], codes[n:], labels[n:]


def knn_by_loop(data, neighbours, temperature):
    train_codes, train_labels, test_codes, test_labels = data
    right = 0
    for code, label in zip(test_codes, test_labels, strict=True):
        cosines = [code @ other / math.sqrt((code @ code) * (other @ other)) for other in train_codes]
        votes = {}
        for i in sorted(range(len(cosines)), key=lambda i: -cosines[i])[:neighbours]:
            votes[train_labels[i]] = votes.get(train_labels[i], 0.0) + math.exp(cosines[i] / temperature)
        right += max(votes, key=votes.get) == label
    return right / len(test_labels)


@pytest.mark.parametrize("neighbours", [1, 5, 60, 400])
@pytest.mark.parametrize("temperature", [0.02, 0.1, 5.0])
def test_knn_is_the_brute_force_vote(neighbours, temperature):
    data = blobs()
    expected = knn_by_loop(data, neighbours, temperature)
    assert knn_accuracy(*data, neighbours=neighbours, temperature=temperature) == expected
    assert 0.3 < expected < 1


def test_knn_is_scikit_learns_by_cosine():
    data = blobs(n=1000, seed=2)
    peer = KNeighborsClassifier(200, metric="cosine", weights=lambda distances: np.exp(-distances / 0.1))
    assert knn_accuracy(*data) == peer.fit(*data[:2]).score(*data[2:])


def test_knn_weighs_its_votes():
    train_codes = np.array([[1.0, 0.0], [1.0, 0.9], [1.0, 0.95]])
    arguments = train_codes, ["near", "far", "far"], np.array([[1.0, 0.1]]), ["near"]
    assert knn_accuracy(*arguments, neighbours=3, temperature=0.1) == 1.0
    assert knn_accuracy(*arguments, neighbours=3, temperature=10.0) == 0.0
    # All weights would underflow here, were the cosine's distance to the nearest not taken first.
    away = np.array([[-1.0, -0.4]])
    assert knn_accuracy(train_codes, [0, 1, 1], away, [0], neighbours=3, temperature=1e-4) == 1.0


def test_knn_ignores_lengths():
    train_codes, train_labels, test_codes, test_labels = blobs()
    expected = knn_accuracy(train_codes, train_labels, test_codes, test_labels)
    for factor in (1e-200, 1e200):
        assert knn_accuracy(factor * train_codes, train_labels, factor * test_codes, test_labels) == expected


def test_linear_is_scikit_learns_regression():
    train_codes, train_labels, test_codes, test_labels = blobs(n=600, m=300, seed=1)
    train_codes[:, 0] = 1e4 + 1e3 * train_codes[:, 0]  # the scaling matters to the penalty
    test_codes[:, 0] = 1e4 + 1e3 * test_codes[:, 0]
    scaler = StandardScaler().fit(train_codes)
    peer = LogisticRegression(max_iter=1000).fit(scaler.transform(train_codes), train_labels)
    expected = np.mean(peer.predict(scaler.transform(test_codes)) == test_labels)
    assert linear_accuracy(train_codes, train_labels, test_codes, test_labels) == expected
    assert linear_accuracy(train_codes, train_labels, test_codes, test_labels, seed=7) == expected
    assert 0.3 < expected < 1


def test_few_labels_are_drawn_class_by_class():
    codes, labels, test_codes, test_labels = data = blobs(n=400, m=300)
    found = few_label_accuracies(*data, labels=40, draws=3, seed=5)
    expected = []
    for rows, _ in StratifiedShuffleSplit(3, train_size=40, random_state=5).split(codes, labels):
        shares = np.bincount(labels[rows]) / 40 - np.bincount(labels) / 400
        assert len(rows) == 40 and np.abs(shares).max() < 1 / 40
        expected.append(linear_accuracy(codes[rows], labels[rows], test_codes, test_labels))
    np.testing.assert_array_equal(found, expected)
    assert len({*found}) > 1
    # All labels are better than some.
    assert found.mean() < linear_accuracy(*data)


def test_too_few_labels_are_no_draws():
    codes, labels, *held_out = blobs(n=60, m=20)
    with pytest.raises(ValueError, match="greater or equal to the number of classes = 4"):
        few_label_accuracies(codes, labels, *held_out, labels=3)
    with pytest.raises(ValueError, match="train_size=100"):
        few_label_accuracies(codes, labels, *held_out, labels=100)


def test_svm_is_scikit_learns():
    train_codes, train_labels, test_codes, test_labels = blobs(n=600, m=300, seed=1)
    train_codes[:, 0] = 1e4 + 1e3 * train_codes[:, 0]  # the scaling matters to the penalty
    test_codes[:, 0] = 1e4 + 1e3 * test_codes[:, 0]
    scaler = StandardScaler().fit(train_codes)
    peer = LinearSVC().fit(scaler.transform(train_codes), train_labels)
    expected = peer.score(scaler.transform(test_codes), test_labels)
    assert svm_accuracy(train_codes, train_labels, test_codes, test_labels) == expected
    assert 0.3 < expected < 1
    assert expected != linear_accuracy(train_codes, train_labels, test_codes, test_labels)


def test_the_softmax_layer_is_trained_as_keras_would():
    keras = pytest.importorskip("keras")
    codes, labels, _, _ = blobs(n=600, d=5, classes=4)
    features = softmax._with_bias(codes / 10)
    weights = softmax._fit(features, labels, 4, seed=3, epochs=4)
    generator = np.random.default_rng(3)
    limit = math.sqrt(6 / (5 + 4))
    layer = keras.layers.Dense(4, activation="softmax")
    model = keras.Sequential([keras.Input((5,)), layer])
    layer.set_weights([generator.uniform(-limit, limit, (5, 4)), np.zeros(4)])
    model.compile(keras.optimizers.SGD(1e-3, momentum=0.9), "sparse_categorical_crossentropy")
    first = layer.get_weights()[0]
    for _ in range(4):
        order = generator.permutation(600)
        for rows in (order[:256], order[256:512], order[512:]):
            model.train_on_batch(features[rows, :5], labels[rows])
    np.testing.assert_allclose(weights, np.vstack(layer.get_weights()), atol=2e-6)
    assert np.abs(weights[:5] - first).max() > 1e-3


def test_the_softmax_layer_learns_for_its_epochs():
    data = blobs(n=1000, m=500, seed=3)
    found = softmax_accuracy(*data)
    assert found == softmax_accuracy(*data, seed=0)
    assert found == pytest.approx(linear_accuracy(*data), abs=0.1)
    # Codes on a small scale: so short a training leaves what a fit until convergence finds.
    small = data[0] / 1e4, data[1], data[2] / 1e4, data[3]
    assert softmax_accuracy(*small) < found - 0.1
    assert linear_accuracy(*small) == pytest.approx(linear_accuracy(*data), abs=0.02)


def test_the_softmax_layers_epochs_follow_the_paper(monkeypatch):
    seen = []
    fit = softmax._fit
    monkeypatch.setattr(softmax, "_fit", lambda *arguments: seen.append(arguments[2:]) or fit(*arguments, epochs=1))
    softmax_accuracy(*blobs(), seed=9)
    assert seen == [(4, 9)]
    assert fit.__defaults__ == (200,)


def test_codes_too_large_for_the_softmax_layer():
    data = blobs()
    # Scores of a million: their exponentials are not.
    assert softmax_accuracy(1e4 * data[0], data[1], 1e4 * data[2], data[3]) > 0.4
    for factor in (1e25, 1e60):
        with pytest.raises(ValueError, match=r"^train_codes reach .*e\+.*: too large for the softmax layer"):
            softmax_accuracy(factor * data[0], *data[1:])


@pytest.mark.parametrize("probe", PROBES)
def test_labels_and_codes_of_any_kind(probe):
    tf = pytest.importorskip("tensorflow")
    train_codes, train_labels, test_codes, test_labels = blobs()
    expected = probe(train_codes, train_labels, test_codes, test_labels)
    assert isinstance(expected, float)
    names = np.array(["a", "b", "c", "d"])
    assert probe(train_codes, names[train_labels], test_codes.tolist(), list(names[test_labels])) == expected
    objects = (names[labels].astype(object) for labels in (train_labels, test_labels))
    assert probe(train_codes, next(objects), test_codes, next(objects)) == expected
    tensors = (tf.constant(part) for part in (train_codes, train_labels, test_codes, test_labels))
    assert probe(*tensors) == expected
    floats = train_codes, train_labels.astype(float), test_codes, test_labels.astype(float)
    assert probe(*floats) == expected


@pytest.mark.parametrize("probe", PROBES)
def test_a_class_never_seen_is_an_error_of_the_probe(probe):
    train_codes, train_labels, test_codes, test_labels = blobs()
    assert probe(train_codes, train_labels, test_codes, test_labels + 100) == 0.0


CODES, LABELS = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), np.array([0, 1, 1])
NAN = np.array([[1.0, 0.0], [0.0, np.nan], [1.0, 1.0]])
BAD = [
    ((NAN, LABELS, CODES, LABELS), r"^train_codes must be finite, .* first at \[1, 1\]$"),
    ((CODES, LABELS, [[np.inf, 0.0]], LABELS[:1]), r"^test_codes must be finite"),
    ((CODES[0], LABELS, CODES, LABELS), r"^train_codes must be \[n, d\], got shape \[2\]$"),
    ((CODES, LABELS, CODES[:0], LABELS[:0]), r"^test_codes is empty"),
    ((CODES, LABELS, CODES[:, :1], LABELS), r"^train_codes and test_codes must have .* got 2 and 1$"),
    (
        (CODES, LABELS[:2], CODES, LABELS),
        r"^train_labels must hold one label for each of the 3 train_codes, got shape \[2\]$",
    ),
    ((CODES, [None, 1, 1], CODES, LABELS), r"^train_labels must be whole numbers or strings, got NoneType, int$"),
    ((CODES, LABELS, CODES, np.array(["a", 1, 1], object)), r"^test_labels must be whole .* got str, int$"),
    ((CODES, ["0", "1", "1"], CODES, LABELS), r"^train_labels and test_labels must be of one kind, got strings and n"),
    ((CODES, [b"0", b"1", b"1"], CODES, ["0", "1", "1"]), r"^train_labels and .* one kind, got bytes and strings$"),
    (
        (CODES, LABELS, CODES, LABELS[:, None]),
        r"^test_labels must hold one label for each of the 3 test_codes, got shape \[3, 1\]$",
    ),
    ((CODES, [0.5, 1, 1], CODES, LABELS), r"^train_labels must be whole numbers or strings"),
    ((CODES, LABELS, CODES, [0, np.nan, 1]), r"^test_labels must be whole numbers or strings"),
    ((CODES, [4, 4, 4], CODES, LABELS), r"^train_labels must hold two classes or more, but all 3 are 4$"),
    ((np.ones((3, 2)), LABELS, CODES, LABELS), r"^train_codes are constant"),
    (
        (1 + 1e-7 * CODES, LABELS, CODES, LABELS),
        r"^train_codes are constant",
    ),
]


@pytest.mark.parametrize("probe", PROBES)
@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_bad_codes_and_labels(probe, arguments, message):
    with pytest.raises(ValueError, match=message):
        probe(*arguments, **({"neighbours": 1} if probe is knn_accuracy else {}))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"neighbours": 4}, r"^neighbours is 4, but train_codes holds only 3 codes$"),
        ({}, r"^neighbours is 200, but train_codes holds only 3 codes$"),
        ({"neighbours": 0}, r"^neighbours must be a whole number of at least 1, got 0$"),
        ({"neighbours": 1.5}, r"^neighbours must be a whole number of at least 1, got 1\.5$"),
        ({"neighbours": 1, "temperature": 0.0}, r"^temperature must be positive and finite, got 0\.0$"),
        ({"neighbours": 1, "temperature": -1}, r"^temperature must be positive and finite, got -1$"),
        ({"neighbours": 1, "temperature": math.nan}, r"^temperature must be positive and finite, got nan$"),
        ({"neighbours": 1, "temperature": math.inf}, r"^temperature must be positive and finite, got inf$"),
    ],
)
def test_bad_options_of_knn(options, message):
    with pytest.raises(ValueError, match=message):
        knn_accuracy(CODES, LABELS, CODES, LABELS, **options)


def test_codes_without_a_direction():
    zero = CODES * [[1], [0], [1]]
    with pytest.raises(ValueError, match=r"^train_codes\[1\] has length 0, and so no cosine"):
        knn_accuracy(zero, LABELS, CODES, LABELS, neighbours=1)
    with pytest.raises(ValueError, match=r"^test_codes\[1\] has length 0, and so no cosine"):
        knn_accuracy(CODES, LABELS, zero, LABELS, neighbours=1)
    alike = np.array([[1.0, 2.0], [3.0, 6.0], [0.1, 0.2]])
    with pytest.raises(ValueError, match=r"^train_codes all point in one direction"):
        knn_accuracy(alike, LABELS, CODES, LABELS, neighbours=1)
    assert linear_accuracy(zero, LABELS, CODES, LABELS) >= 0
