# SPDX-License-Identifier: GPL-3.0-or-later
"""Which vertices of a capture its camera saw, and how well. Camera space throughout."""

from __future__ import annotations

import numpy as np
from mathutils.bvhtree import BVHTree
from numpy.typing import NDArray

from ...dice_core.types import Camera

GRAZING, FACING = 0.2, 0.6  # cosines between a surface and the way to the camera: nothing is seen, all is
CLEARANCE = 0.001  # metres in front of a vertex from where its surroundings no longer hide it


def seen(camera: Camera, surfaces: list[tuple[NDArray, NDArray]]) -> list[NDArray[np.float64]]:
    """How well the camera saw each vertex: (V,) from 0 to 1 for each surface.

    It is 0 outside the picture, where the surface turns away, and where any of the surfaces lies in front.

    Parameters
    ----------
    camera
        The photograph's camera.
    surfaces
        (V, 3) vertices in metres, camera space, and (F, 3) faces.
    """
    starts = np.cumsum([0, *(len(vertices) for vertices, _ in surfaces)])
    triangles = [faces + start for (_, faces), start in zip(surfaces, starts, strict=False)]
    everything = np.concatenate([vertices for vertices, _ in surfaces])
    tree = BVHTree.FromPolygons(everything.tolist(), np.concatenate(triangles).tolist(), all_triangles=True)
    return [_seen(camera, vertices.astype(np.float64), faces, tree) for vertices, faces in surfaces]


def _seen(camera: Camera, vertices: NDArray, faces: NDArray, tree: BVHTree) -> NDArray[np.float64]:
    ways = -vertices if camera.model == "perspective" else np.broadcast_to([0.0, 0.0, -1.0], vertices.shape)
    lengths = np.linalg.norm(ways, axis=1)
    ways = ways / np.maximum(lengths, CLEARANCE)[:, None]
    slope = np.clip(((_normals(vertices, faces) * ways).sum(1) - GRAZING) / (FACING - GRAZING), 0, 1)
    found = slope * slope * (3 - 2 * slope)
    places = pixels(camera, vertices)
    found[((places < 0) | (places > camera.image_size)).any(1)] = 0
    candidates = np.flatnonzero(found)
    rays = zip((vertices + CLEARANCE * ways)[candidates].tolist(), ways[candidates].tolist(), strict=True)
    found[candidates[[tree.ray_cast(*ray)[0] is not None for ray in rays]]] = 0
    return found


def pixels(camera: Camera, vertices: NDArray) -> NDArray[np.float64]:
    """(V, 2) where in the picture the camera saw the vertices; -1, which is outside, for those behind it."""
    front = vertices[:, 2] > CLEARANCE if camera.model == "perspective" else np.ones(len(vertices), bool)
    return np.where(front[:, None], camera.project(np.where(front[:, None], vertices, 1.0)), -1.0)


def _normals(vertices: NDArray, faces: NDArray) -> NDArray[np.float64]:
    """(V, 3) unit normals, outwards, weighted by area."""
    corners = vertices[faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(vertices)
    np.add.at(normals, faces, across[:, None])
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-20)
