# SPDX-License-Identifier: GPL-3.0-or-later
"""Signed distance to a mesh, closed where the body was cut off."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from functools import cached_property
from weakref import WeakKeyDictionary

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

    def __getitem__(self, chosen: NDArray) -> Nearest:
        """Of some of the query points."""
        return Nearest(*(values[chosen] for values in vars(self).values()))

    def __add__(self, other: Nearest) -> Nearest:
        """Of more query points on the same surface."""
        return Nearest(*(np.concatenate(pair) for pair in zip(vars(self).values(), vars(other).values(), strict=True)))


@dataclass(frozen=True)
class Near:
    """Which (N,) of another surface's vertices are near to a surface, and the points nearest to them."""

    chosen: NDArray
    nearest: Nearest


NEARBY = 0.017  # metres about a surface's box: farther away nothing touches, nor will when skin gives way
ON_EDGE = 1e-7  # barycentric weight up to which a point of a triangle lies on the edge opposite


class Surface:
    """A triangle mesh to measure distances to.

    Parameters
    ----------
    vertices, faces
        (V, 3) metres, (F, 3), wound so that normals point outward.
    rim
        Vertex loop of the one hole, as at the wrist, or a list of loops, closed here by fans so that inside and outside
        are defined. None for a closed mesh, or for a patch of one, which has no inside but near itself.
    """

    def __init__(self, vertices: NDArray, faces: NDArray, rim: NDArray | list[NDArray] | None = None) -> None:
        self.vertices, self.faces = vertices, faces
        if rim is None:
            self._vertices, self._faces = vertices.astype(np.float64), np.ascontiguousarray(faces, np.int64)
        else:
            self._vertices, self._faces = _capped(vertices, faces, rim if isinstance(rim, list) else [rim])
        self._normals = np.zeros((len(self._faces), 8, 3))  # of the faces that were asked for: few are
        self._known = np.zeros(len(self._faces), bool)
        self._near: WeakKeyDictionary[Surface, Near] = WeakKeyDictionary()

    @cached_property
    def _tree(self) -> igl.AABB:
        tree = igl.AABB()
        tree.init(self._vertices, self._faces)
        return tree

    @cached_property
    def vertex_normals(self) -> NDArray:
        """(V, 3) unit normals."""
        return igl.per_vertex_normals(self.vertices, self.faces)

    def moved(self, vertices: NDArray) -> Surface:
        """The same patch with its (V, 3) vertices elsewhere; what follows from its faces alone is not found anew."""
        other = Surface(vertices, self.faces)
        other.__dict__["_border"] = self._border
        return other

    def shifted(self, offset: NDArray) -> Surface:
        """The same, (3,) metres farther."""
        other = copy(self)
        other.__dict__.pop("_tree", None)
        other.vertices, other._vertices = self.vertices + offset, self._vertices + offset
        other._near = WeakKeyDictionary()
        return other

    def nearest(self, points: NDArray) -> Nearest:
        """The nearest surface points to (N, 3) points; the sign comes from pseudonormals (Baerentzen, Aanaes 2005).

        As `igl.signed_distance`, which would build its tree again for every call: that takes three times as long for
        a hand, twenty times for a hundred points.
        """
        points = np.ascontiguousarray(points, np.float64)
        squared, face, point = self._tree.squared_distance(self._vertices, self._faces, points)
        place = barycentric_coordinates(point, self._vertices[self._faces[face]]) > ON_EDGE
        self._learn(face[~self._known[face]])
        normal = self._normals[face, place @ [1, 2, 4]]
        outside = ((points - point) * normal).sum(1) > 0
        distance = np.where(outside, 1, -1) * np.sqrt(squared)
        return Nearest(distance, face, point, normal, face >= len(self.faces))

    def near(self, other: Surface) -> Near:
        """The vertices of another surface in the box about this one, NEARBY larger on each side. Measured once."""
        if other not in self._near:
            low, high = self.vertices.min(0) - NEARBY, self.vertices.max(0) + NEARBY
            chosen = np.flatnonzero(((other.vertices > low) & (other.vertices < high)).all(1))
            self._near[other] = Near(chosen, self.nearest(other.vertices[chosen]))
        return self._near[other]

    def _learn(self, faces: NDArray) -> None:
        """The normals of more faces; all that meet in their corners count."""
        if not len(faces):
            return
        faces = np.unique(faces)
        corners = np.zeros(len(self._vertices), bool)
        corners[self._faces[faces]] = True
        around = np.flatnonzero(corners[self._faces].any(1))
        normals = _pseudonormals(self._vertices, self._faces[around])
        self._normals[faces] = normals[np.searchsorted(around, faces)]
        self._known[faces] = True

    def at_border(self, nearest: Nearest) -> NDArray[np.bool_]:
        """(N,) whether each nearest point lies on an edge that only one face has: there a patch has no inside."""
        place = self.barycentric(nearest) > ON_EDGE
        return self._border[nearest.face, place @ [1, 2, 4]]

    @cached_property
    def _border(self) -> NDArray[np.bool_]:
        """(F, 8) whether a face's corners, edges and inside lie on the border, numbered as the normals are."""
        edges = np.sort(self._faces[:, [[1, 2], [2, 0], [0, 1]]], axis=2)  # opposite to each corner
        keys = edges[..., 0] * len(self._vertices) + edges[..., 1]
        _, which, count = np.unique(keys.ravel(), return_inverse=True, return_counts=True)
        open_edges = (count == 1)[which].reshape(-1, 3)
        ends = np.zeros(len(self._vertices), bool)
        ends[edges[open_edges]] = True
        border = np.zeros((len(self._faces), 8), bool)
        for corner in range(3):
            border[:, 1 << corner] = ends[self._faces[:, corner]]
            border[:, 7 - (1 << corner)] = open_edges[:, corner]
        return border

    def barycentric(self, nearest: Nearest) -> NDArray:
        """(N, 3) weights of each face's vertices at the nearest points."""
        corners = self._vertices[self._faces[nearest.face]]
        return barycentric_coordinates(nearest.point, corners)


def _capped(vertices: NDArray, faces: NDArray, rims: list[NDArray]) -> tuple[NDArray, NDArray]:
    """The mesh with each hole closed by a fan around its rim's middle."""
    fans = [faces]
    for index, rim in enumerate(rims, len(vertices)):
        first, second = rim, np.roll(rim, -1)
        if ((faces == first[0]) & (np.roll(faces, -1, axis=1) == second[0])).any():
            first, second = second, first  # neighbours run along a shared edge in opposite directions
        fans.append(np.column_stack([first, second, np.full(len(rim), index)]))
    closed = np.vstack([vertices, *(vertices[rim].mean(0) for rim in rims)]).astype(np.float64)
    return closed, np.ascontiguousarray(np.vstack(fans), np.int64)


def _pseudonormals(vertices: NDArray, faces: NDArray) -> NDArray:
    """(F, 8, 3) unit normals of a face's corners, edges and inside, by which of its corners weigh: 1 + 2 + 4."""
    at_faces = igl.per_face_normals(vertices, faces)
    at_corners = igl.per_vertex_normals(vertices, faces, igl.PER_VERTEX_NORMALS_WEIGHTING_TYPE_ANGLE)[faces]
    beyond, _, edge_of = igl.per_edge_normals(vertices, faces, igl.PER_EDGE_NORMALS_WEIGHTING_TYPE_UNIFORM)
    at_edges = beyond[edge_of.reshape(3, -1).T]  # each opposite to the corner of that number
    normals = np.zeros((len(faces), 8, 3))
    for corner in range(3):
        normals[:, 1 << corner] = at_corners[:, corner]
        normals[:, 7 - (1 << corner)] = at_edges[:, corner]
    normals[:, 7] = at_faces
    normals[~np.isfinite(normals)] = 0  # of corners that have no angle
    return normals / np.maximum(np.linalg.norm(normals, axis=2, keepdims=True), 1e-12)


def barycentric_coordinates(points: NDArray, corners: NDArray) -> NDArray:
    """(N, 3) weights of (N, 3) points in (N, 3, 3) triangles."""
    side_a, side_b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    to_point = points - corners[:, 0]
    aa, ab, bb = (side_a**2).sum(1), (side_a * side_b).sum(1), (side_b**2).sum(1)
    pa, pb = (to_point * side_a).sum(1), (to_point * side_b).sum(1)
    area = np.maximum(aa * bb - ab**2, 1e-30)
    second, third = (bb * pa - ab * pb) / area, (aa * pb - ab * pa) / area
    return np.column_stack([1 - second - third, second, third])
