"""How far a reconstruction of a point cloud is from the cloud: the Chamfer distance."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo.metrics._arguments import as_array


def chamfer_distance(a: Any, b: Any) -> np.ndarray:
    """The mean squared distance to the nearest point of the other cloud, in both directions, added up.

    1/p Σ_i min_j ‖a_i − b_j‖² + 1/q Σ_j min_i ‖a_i − b_j‖²: the convention of Fan, Su & Guibas (2017, section 4.1) with
    means for their sums. Papers differ: some take plain distances, others the mean or the greater of the two directions
    (FoldingNet: the greater one, of plain distances), so figures compare only within one convention.

    Exact: scikit-learn finds the nearest points, by matrix products in blocks of constant memory; their distances are
    taken by differences. Time grows with n · p · q.

    Args:
        a: clouds, [n, p, 3] (any number of coordinates will do).
        b: clouds to compare with, one each, [n, q, 3].

    Returns:
        Squared units of the coordinates, [n]; 0 where two clouds are the same set of points.

    Raises:
        ValueError: if a or b is not of rank 3, empty or not finite; if they differ in number or in coordinates.
    """
    a, b = as_array("a", a, ("n", "points", "coordinates")), as_array("b", b, ("n", "points", "coordinates"))
    if len(a) != len(b) or a.shape[2] != b.shape[2]:
        raise ValueError(
            f"a and b must hold as many clouds with as many coordinates, got {list(a.shape)} and {list(b.shape)}"
        )
    pairs = ((mine.astype(np.float64), theirs.astype(np.float64)) for mine, theirs in zip(a, b, strict=True))
    return np.array([_to_nearest(mine, theirs) + _to_nearest(theirs, mine) for mine, theirs in pairs])


def _to_nearest(points: np.ndarray, others: np.ndarray) -> float:
    """The mean of the squared distances from points [p, 3] to the nearest of others [q, 3]."""
    from sklearn.metrics import pairwise_distances_argmin

    # Multiplied out, as there, squared distances cancel: near 0 the least.
    centre = others.mean(axis=0)
    nearest = others[pairwise_distances_argmin(points - centre, others - centre)]
    return float(((points - nearest) ** 2).sum(axis=1).mean())
