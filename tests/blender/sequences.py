# SPDX-License-Identifier: GPL-3.0-or-later
"""Made-up sequences: what Blender shows of them, and what their files say that it should."""

from __future__ import annotations

import struct
from pathlib import Path

import bpy
import numpy as np

AXES = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # camera space: right, down, away; Blender: right, away, up
LEAST = 0.05  # likely contact from which on a vertex is in the group


def cached(folder: Path, name: str, k: int) -> np.ndarray:
    """(V, 3) of a cache, in camera space; straight from the file."""
    with open(folder / f"{name}.pc2", "rb") as file:
        vertices = struct.unpack("<12siiffi", file.read(32))[2]
        file.seek(32 + 12 * vertices * k)
        return np.frombuffer(file.read(12 * vertices), "<f4").reshape(-1, 3).astype(float)


def curve(folder: Path, name: str) -> np.ndarray:
    """(N, ...) of the frames' files."""
    chunks = [np.load(path) for path in sorted((folder / "frames").glob("*.npz"))]
    return np.concatenate([chunk[name] for chunk in chunks])


def ground(folder: Path) -> np.ndarray:
    """What becomes the world's origin: below the head's middle, in the first frame that shows it."""
    points = cached(folder, "head", int(curve(folder, "head_seen").argmax()))
    low, high = points.min(0), points.max(0)
    return np.array([(low[0] + high[0]) / 2, high[1], (low[2] + high[2]) / 2])


def expected(folder: Path, part: str, k: float, factor: float = 1.0) -> np.ndarray:
    """(V, 3) in the world; between frames, in between."""
    before, share = int(k), k - int(k)
    if share:
        return (1 - share) * expected(folder, part, before, factor) + share * expected(folder, part, before + 1, factor)
    points = cached(folder, part, before)
    if part == "head":
        points = points + factor * cached(folder, "head_deformation", before)
    return (points - ground(folder)) @ AXES.T


def evaluated(item: bpy.types.Object) -> bpy.types.Object:
    return item.evaluated_get(bpy.context.evaluated_depsgraph_get())


def shown(item: bpy.types.Object) -> np.ndarray:
    """(V, 3) in the world, with everything that moves and bends it."""
    found = evaluated(item)
    values = np.zeros(3 * len(found.data.vertices), np.float32)
    found.data.attributes["position"].data.foreach_get("vector", values)
    matrix = np.array(found.matrix_world)
    return values.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3]


def attribute(item: bpy.types.Object, name: str) -> np.ndarray:
    """(V,) of the mesh as it is shown."""
    data = evaluated(item).data
    values = np.zeros(len(data.vertices), np.float32)
    data.attributes[name].data.foreach_get("value", values)
    return values


def weights(item: bpy.types.Object, name: str = "Contact") -> np.ndarray:
    """(V,) of a vertex group, of the mesh as it is shown."""
    index = item.vertex_groups[name].index
    vertices = evaluated(item).data.vertices
    return np.float32([sum(group.weight for group in one.groups if group.group == index) for one in vertices])


def blocks() -> dict[str, set[str]]:
    """Names of everything in the file."""
    kinds = ("objects", "meshes", "armatures", "cameras", "materials", "actions", "node_groups", "movieclips", "images",
             "collections", "shape_keys", "scenes")  # fmt: skip
    return {kind: {item.name for item in getattr(bpy.data, kind)} for kind in kinds if len(getattr(bpy.data, kind))}
