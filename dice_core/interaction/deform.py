# SPDX-License-Identifier: GPL-3.0-or-later
"""How the skin of the head gives way to the hand: a thin elastic sheet over the skull, pushed out of the hand.

The displacement u of the skin near the hand minimises

    k |grad u|^2 + b k |L u|^2 + a k^2 |u|^2 + w |C u - t|^2

where k is the stiffness (one over the softness), L the graph Laplacian, and C u = t moves the surface to the hand
wherever the hand would be inside. The first term keeps the dent from overshooting beside the hand, the second rounds
it, the third lets it fade with distance, sooner where the skin is tight over bone. The constraints are found anew in
each round, at the surface as it then is.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray
from scipy.sparse.linalg import spsolve
from scipy.spatial import cKDTree

from .distance import Surface

REACH = 0.05  # metres from the pressed skin that may move along
ROUNDS = 4
TOLERANCE = 0.0003  # metres of penetration that need no further round
LIMIT = 0.015  # metres
BENDING, ANCHOR = 0.5, 0.06  # b and a above
PRESS = 10.0  # w above: more leaves less penetration, but vertices beside the hand leap out by millimetres


def deformation(vertices: NDArray, faces: NDArray, softness: NDArray, movable: NDArray, rim: NDArray,
                hand_vertices: NDArray) -> NDArray[np.float32]:
    """The displacement that frees a head from a hand pressed into it.

    Parameters
    ----------
    vertices, faces, rim
        The head without deformation: (V, 3) metres, (F, 3), the loop of the neck.
    softness
        (V,) 0..1.
    movable
        (V,) whether a vertex is skin.
    hand_vertices
        (H, 3) metres; enough of them that the finger pads are covered.

    Returns
    -------
    (V, 3) metres to add to the vertices; exactly zero when nothing penetrates.
    """
    result = np.zeros_like(vertices)
    pressed = Surface(vertices, faces, rim).nearest(hand_vertices)
    inside = (pressed.distance < 0) & (pressed.distance > -2 * LIMIT) & ~pressed.on_cap
    if not inside.any():
        return result.astype(np.float32)
    pushing = hand_vertices[inside]
    region = _region(vertices, movable, pressed.point[inside])
    elastic = _elasticity(faces, softness, region)
    index = np.full(len(vertices), -1)
    index[region] = np.arange(len(region))
    for _ in range(ROUNDS):
        surface = Surface(vertices + result, faces, rim)
        nearest = surface.nearest(pushing)
        # a vertex that pressed before stays a constraint, so that the skin does not spring back into the hand
        if nearest.distance.min() > -TOLERANCE:
            break
        corners = faces[np.minimum(nearest.face, len(faces) - 1)]
        held = (index[corners] >= 0).all(1) & ~nearest.on_cap & (nearest.distance < 5e-4)
        weights = surface.barycentric(nearest)[held]
        rows = np.repeat(np.arange(held.sum()), 3)
        matrix = sparse.csr_matrix((weights.ravel(), (rows, index[corners[held]].ravel())), (held.sum(), len(region)))
        target = matrix @ result[region] + (pushing - nearest.point)[held]
        system = (elastic + PRESS * matrix.T @ matrix).tocsc()
        result[region] = spsolve(system, PRESS * (matrix.T @ target))
    length = np.linalg.norm(result, axis=1, keepdims=True)
    return (result * np.minimum(1, LIMIT / np.maximum(length, 1e-12))).astype(np.float32)


def _region(vertices: NDArray, movable: NDArray, pressed: NDArray) -> NDArray:
    """Indices of the skin within REACH of the pressed points."""
    distance, _ = cKDTree(pressed).query(vertices, distance_upper_bound=REACH)
    return np.flatnonzero(movable & np.isfinite(distance))


def _elasticity(faces: NDArray, softness: NDArray, region: NDArray) -> sparse.csr_matrix:
    """The quadratic form of stretching, bending and anchoring on a region; the vertices outside stay where they are."""
    count = len(softness)
    ends = np.vstack([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    adjacency = sparse.csr_matrix((np.ones(2 * len(ends)), (ends.ravel("F"), ends[:, ::-1].ravel("F"))), (count, count))
    adjacency = (adjacency > 0).astype(float)
    degree = np.asarray(adjacency.sum(1)).ravel()
    stiffness = 1 / np.clip(softness, 0.05, 1)
    springs = sparse.diags(stiffness) @ adjacency + adjacency @ sparse.diags(stiffness)
    stretching = (sparse.diags(np.asarray(springs.sum(1)).ravel()) - springs) / 2
    laplacian = (sparse.identity(count) - sparse.diags(1 / np.maximum(degree, 1)) @ adjacency).tocsr()[:, region]
    bending = laplacian.T @ sparse.diags(BENDING * stiffness) @ laplacian
    return stretching.tocsr()[region][:, region] + bending + sparse.diags((ANCHOR * stiffness**2)[region])
