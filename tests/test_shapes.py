"""The Chamfer distance against SciPy's KD-trees."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from zoo.metrics import chamfer_distance


def clouds(n=4, points=200, seed=0, dim=3):
    return np.random.default_rng(seed).standard_normal((n, points, dim))


def by_trees(a, b):
    def to_nearest(points, others):
        return np.mean(cKDTree(others).query(points)[0] ** 2)

    return [to_nearest(one, other) + to_nearest(other, one) for one, other in zip(a, b, strict=True)]


@pytest.mark.parametrize(("p", "q"), [(200, 200), (150, 331), (2000, 300), (1, 7), (5, 1)])
def test_chamfer_is_that_of_scipys_trees(p, q):
    a, b = clouds(points=p), clouds(points=q, seed=1)
    found = chamfer_distance(a, b)
    assert found.shape == (4,)
    np.testing.assert_allclose(found, by_trees(a, b), rtol=1e-12)
    np.testing.assert_allclose(chamfer_distance(b, a), found, rtol=1e-12)


def test_chamfer_by_hand():
    a = [[[0.0, 0.0, 0.0], [2.0, 0.0, 0.0]]]
    b = [[[0.0, 1.0, 0.0]]]
    # (1 + 5) / 2 from a to b, and 1 back.
    assert chamfer_distance(a, b).tolist() == [4.0]
    assert chamfer_distance(a, a).tolist() == [0.0]
    assert chamfer_distance(a, [a[0][::-1]]).tolist() == [0.0]


def test_chamfer_far_from_the_origin_and_in_single_precision():
    a, b = clouds(), clouds(seed=1)
    expected = by_trees(a + 1e6, b + 1e6)
    np.testing.assert_allclose(chamfer_distance(a + 1e6, b + 1e6), expected, rtol=1e-12)
    single = a.astype("float32"), b.astype("float32")
    np.testing.assert_allclose(chamfer_distance(*single), by_trees(*single), rtol=1e-12)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (clouds()[0], clouds(), r"^a must be \[n, points, coordinates\], got shape \[200, 3\]$"),
        (clouds(), clouds(n=3), r"^a and b must hold as many clouds .* got \[4, 200, 3\] and \[3, 200, 3\]$"),
        (clouds(), clouds(dim=2), r"^a and b must hold as many clouds with as many coordinates"),
        (clouds(), clouds() * np.nan, r"^b must be finite, .* the first at \[0, 0, 0\]$"),
        (clouds(points=0), clouds(), r"^a is empty"),
    ],
)
def test_bad_clouds(a, b, message):
    with pytest.raises(ValueError, match=message):
        chamfer_distance(a, b)
