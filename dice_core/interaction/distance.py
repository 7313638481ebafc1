# SPDX-License-Identifier: GPL-3.0-or-later
"""Signed distance to a mesh, closed where the body was cut off."""

from __future__ import annotations

from dataclasses import dataclass

import igl
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Nearest:
    """The nearest points of a surface to N query points.

    Attributes
    ----------
    distance
        (N,) metres, negative inside.
    face
        (N,) index of the face.
    point, normal
        (N, 3) the nearest point and the surface's unit normal there, outward.
    on_cap
        (N,) whether the point lies where the mesh was cut, which is no skin.
    """

    distance: NDArray
    face: NDArray
    point: NDArray
    normal: NDArray
    on_cap: NDArray


class Surface:
    """A triangle mesh to measure distances to.

    Parameters
    ----------
    vertices, faces
        (V, 3) metres, (F, 3), wound so that normals point outward.
    rim
        Vertex loop of the one hole (neck or wrist), closed here by a fan so that inside and outside are defined.
    """

    def __init__(self, vertices: NDArray, faces: NDArray, rim: NDArray) -> None:
        self.faces = faces
        first, second = rim, np.roll(rim, -1)
        if ((faces == first[0]) & (np.roll(faces, -1, axis=1) == second[0])).any():
            first, second = second, first  # neighbours run along a shared edge in opposite directions
        fan = np.column_stack([first, second, np.full(len(rim), len(vertices))])
        self._vertices = np.vstack([vertices, vertices[rim].mean(0)]).astype(np.float64)
        self._faces = np.ascontiguousarray(np.vstack([faces, fan]), np.int64)

    def nearest(self, points: NDArray) -> Nearest:
        """The nearest surface points to (N, 3) points; the sign comes from pseudonormals (Baerentzen, Aanaes 2005)."""
        distance, face, point, normal = igl.signed_distance(
            np.ascontiguousarray(points, np.float64), self._vertices, self._faces,
            sign_type=igl.SIGNED_DISTANCE_TYPE_PSEUDONORMAL,
        )  # fmt: skip
        normal = normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
        return Nearest(distance, face, point, normal, face >= len(self.faces))

    def barycentric(self, nearest: Nearest) -> NDArray:
        """(N, 3) weights of each face's vertices at the nearest points."""
        corners = self._vertices[self._faces[nearest.face]]
        return barycentric_coordinates(nearest.point, corners)


def barycentric_coordinates(points: NDArray, corners: NDArray) -> NDArray:
    """(N, 3) weights of (N, 3) points in (N, 3, 3) triangles."""
    side_a, side_b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    to_point = points - corners[:, 0]
    aa, ab, bb = (side_a**2).sum(1), (side_a * side_b).sum(1), (side_b**2).sum(1)
    pa, pb = (to_point * side_a).sum(1), (to_point * side_b).sum(1)
    area = np.maximum(aa * bb - ab**2, 1e-30)
    second, third = (bb * pa - ab * pb) / area, (aa * pb - ab * pa) / area
    return np.column_stack([1 - second - third, second, third])
