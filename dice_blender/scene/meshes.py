# SPDX-License-Identifier: GPL-3.0-or-later
"""Arrays to Blender meshes, with the texture coordinates and regions of the open body where they fit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import bpy
import numpy as np
from numpy.typing import NDArray

from ...dice_core.paths import ROOT
from . import naming

ASSETS = ROOT / "dice_core" / "body" / "assets"
SKIN, MOUTH, EYES, IRISES = range(4)  # material slots of the open head
EYEBALL = 2
SLOT_OF_PART = np.array([SKIN, MOUTH, EYES, MOUTH, MOUTH])  # parts of head.npz: skin, mouth, eyeball, cavity, tongue
ROOM = {"hand": (0.02, 0.02, 0.96), "head": (0.03, 0.05, 0.53)}  # u, v, longer side: for a hand, for the eyeballs
IRIS_ANGLE = 30.0  # degrees about the eye's axis; the front ring of its vertices lies within


@dataclass(frozen=True)
class Surface:
    """What the body's data say about a topology: (F, 3, 2) texture coordinates, (F,) material slots."""

    uv: NDArray[np.float32]
    slots: NDArray[np.int32]


def surface_of(asset: str, faces: NDArray, count: int) -> Surface | None:
    """The surface of `head` or `hand`, or None when the mesh of `count` vertices is of another topology."""
    own, vertices, surface = _layout(asset)
    if own.shape != faces.shape or vertices != count:
        return None
    same = faces[:, :, None] == own[:, None, :]  # a left hand's faces wind the other way round
    if not same.any(2).all():
        return None
    return Surface(np.take_along_axis(surface.uv, same.argmax(2)[..., None], 1), surface.slots)


@lru_cache(maxsize=2)
def _layout(asset: str) -> tuple[NDArray[np.int32], int, Surface]:
    """(F, 3) faces, number of vertices, and surface of the open head or hand, read once."""
    with np.load(ASSETS / f"{asset}.npz", allow_pickle=False) as data:
        faces, uv, faces_uv = data["faces"].astype(np.int32), data["uv"], data["faces_uv"]
        mean = data["mean"]
        part = data["part"] if "part" in data else np.zeros(len(mean), np.uint8)
    slots = SLOT_OF_PART[part[faces].min(1)]
    slots[_iris(mean, part)[faces].all(1)] = IRISES
    coordinates = uv[faces_uv].astype(np.float32)
    small = part[faces].min(1) == (EYEBALL if asset == "head" else 0)
    coordinates[small] = _enlarged(coordinates[small], *ROOM[asset])
    return faces, len(mean), Surface(coordinates, slots.astype(np.int32))


def _enlarged(uv: NDArray, left: float, bottom: float, side: float) -> NDArray[np.float32]:
    """The coordinates in a square of that size: in the whole body's layout hands and eyes are a few pixels."""
    low = uv.min((0, 1))
    return (uv - low) * (side / (uv.max((0, 1)) - low).max()) + np.float32([left, bottom])


def _iris(mean: NDArray, part: NDArray) -> NDArray[np.bool_]:
    """(V,) which vertices of the open head at rest, in camera axes, belong to an iris."""
    found = np.zeros(len(mean), bool)
    for eye in (np.flatnonzero((part == EYEBALL) & (mean[:, 0] * side > 0)) for side in (-1, 1)):
        if eye.size:
            direction = mean[eye] - (mean[eye].min(0) + mean[eye].max(0)) / 2
            cosine = -direction[:, 2] / np.linalg.norm(direction, axis=1)
            found[eye] = cosine > np.cos(np.radians(IRIS_ANGLE))
    return found


def new_mesh(name: str, vertices: NDArray, faces: NDArray, surface: Surface | None) -> bpy.types.Mesh:
    """A smooth mesh from (V, 3) world vertices and (F, 3) faces."""
    mesh = bpy.data.meshes.new(name)
    mesh.vertices.add(len(vertices))
    mesh.attributes["position"].data.foreach_set("vector", np.ravel(vertices).astype(np.float32))
    mesh.loops.add(faces.size)
    mesh.loops.foreach_set("vertex_index", np.ravel(faces).astype(np.int32))
    mesh.polygons.add(len(faces))
    mesh.polygons.foreach_set("loop_start", np.arange(0, faces.size, 3, dtype=np.int32))
    if surface is not None:
        mesh.uv_layers.new(name=naming.UV_MAP).uv.foreach_set("vector", np.ravel(surface.uv))
        if surface.slots.any():
            mesh.polygons.foreach_set("material_index", surface.slots)
    mesh.update(calc_edges=True)
    mesh.validate()
    mesh.shade_smooth()
    return mesh
