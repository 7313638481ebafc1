# SPDX-License-Identifier: GPL-3.0-or-later
"""A small z-buffer: which triangle covers which pixel, and where on it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def rasterise(points: NDArray, depth: NDArray, faces: NDArray, size: tuple[int, int]) -> tuple[NDArray, NDArray]:
    """Draw triangles, the nearest in front.

    Parameters
    ----------
    points, depth
        (N, 2) pixels, (N,) distance; pixel (i, j) has its centre at (j + 0.5, i + 0.5).
    faces
        (F, 3).
    size
        Width, height.

    Returns
    -------
    triangle, barycentric
        (h, w) int32, -1 where nothing is; (h, w, 3) float32.
    """
    width, height = size
    nearest = np.full((height, width), np.inf)
    triangle = np.full((height, width), -1, np.int32)
    barycentric = np.zeros((height, width, 3), np.float32)
    corners = points[faces]
    low = np.clip(np.floor(corners.min(1) - 0.5), 0, [width, height]).astype(int)
    high = np.clip(np.ceil(corners.max(1) + 0.5), 0, [width, height]).astype(int)
    (ax, ay), (bx, by), (cx, cy) = (corners[:, k].T for k in range(3))
    area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    z = depth[faces]
    drawn = np.flatnonzero((np.abs(area) > 1e-12) & (high > low).all(1))
    for f in drawn:
        (left, top), (right, bottom) = low[f], high[f]
        x, y = np.arange(left, right) + 0.5, (np.arange(top, bottom) + 0.5)[:, None]
        first = ((bx[f] - x) * (cy[f] - y) - (by[f] - y) * (cx[f] - x)) / area[f]
        second = ((cx[f] - x) * (ay[f] - y) - (cy[f] - y) * (ax[f] - x)) / area[f]
        third = 1 - first - second
        at = first * z[f, 0] + second * z[f, 1] + third * z[f, 2]
        window = np.s_[top:bottom, left:right]
        wins = (first >= -1e-9) & (second >= -1e-9) & (third >= -1e-9) & (at < nearest[window])
        nearest[window][wins] = at[wins]
        triangle[window][wins] = f
        barycentric[window][wins] = np.stack([first, second, third], -1)[wins]
    return triangle, barycentric


def interpolate(values: NDArray, faces: NDArray, triangle: NDArray, barycentric: NDArray) -> NDArray:
    """(n, k) values at n hits (triangle (n,), barycentric (n, 3)) of per-vertex values (V, k)."""
    return np.einsum("nc,nck->nk", barycentric, values[faces[triangle]])


def vertex_normals(vertices: NDArray, faces: NDArray) -> NDArray:
    """(V, 3) unit normals, weighted by area, outward where the triangles wind outward."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    normals = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(normals, faces[:, corner], np.cross(b - a, c - a))
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-15)
