# SPDX-License-Identifier: GPL-3.0-or-later
"""A capture's bones in Blender's axes, and what bends a mesh with them: all that rigs and expressions share."""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import numpy as np
from numpy.typing import NDArray

from ...dice_core.errors import DiceError
from ...dice_core.types import Capture, Hand, Head, Skeleton
from . import axes, naming

STAYED = 0.005  # metres: what most vertices keep within is shaped, not moved


@dataclass(frozen=True)
class Bones:
    """A skeleton where `build` puts its mesh. At rest its root stays where it was captured.

    Attributes
    ----------
    names, parents, weights
        See `Skeleton`.
    joints, transforms
        (B, 3) metres at rest and (B, 4, 4) from rest to the captured pose, float64.
    rest
        (V, 3) the captured vertices, taken back to rest.
    """

    names: tuple[str, ...]
    parents: NDArray[np.int32]
    weights: NDArray[np.float32]
    joints: NDArray[np.float64]
    transforms: NDArray[np.float64]
    rest: NDArray[np.float64]


def captured(capture: Capture, part: str) -> Head | Hand | None:
    """What was captured of `head`, `hand_right` or `hand_left`."""
    if part == "head":
        return capture.head
    return next((hand for hand in capture.hands if f"hand_{hand.side}" == part), None)


def skeleton_of(mesh: Head | Hand) -> Skeleton:
    """The bones of what was captured. Raises `DiceError` when an earlier version captured it."""
    if mesh.skeleton is None:
        raise DiceError("This capture was made before captures had bones.", "Capture the photograph again.")
    return mesh.skeleton


def bones_of(mesh: Head | Hand, origin: NDArray) -> Bones:
    """The bones of what was captured, where `origin` is `axes.ground` of the capture."""
    skeleton = skeleton_of(mesh)
    to_world, to_rest = axes.world_matrix(origin), axes.world_matrix(np.zeros(3))
    root = np.append(skeleton.joints[0], 1.0)
    to_rest[:3, 3] = (to_world @ skeleton.transforms[0] @ root - to_rest @ root)[:3]
    transforms = to_world @ skeleton.transforms @ np.linalg.inv(to_rest)
    return Bones(
        names=skeleton.names,
        parents=skeleton.parents,
        weights=skeleton.weights,
        joints=moved(to_rest, skeleton.joints),
        transforms=transforms,
        rest=unposed(axes.to_world(mesh.vertices, origin), skeleton.weights, transforms),
    )


def blended(weights: NDArray, transforms: NDArray) -> NDArray[np.float64]:
    """(V, B) and (B, 4, 4) -> (V, 4, 4) what linear blend skinning does to each vertex."""
    return np.tensordot(weights.astype(np.float64), transforms, 1)


def moved(matrices: NDArray, points: NDArray) -> NDArray[np.float64]:
    """(4, 4) or (V, 4, 4) applied to (..., V, 3) points."""
    return (matrices[..., :3, :3] @ points[..., None])[..., 0] + matrices[..., :3, 3]


def unposed(points: NDArray, weights: NDArray, transforms: NDArray) -> NDArray[np.float64]:
    """(..., V, 3) points where skinning with (V, B) weights and (B, 4, 4) transforms put them -> where they were."""
    return moved(np.linalg.inv(blended(weights, transforms)), points)


def coordinates(item: bpy.types.Object) -> NDArray[np.float64]:
    """(1 + K, V, 3) metres in the mesh's own space: of its vertices, and of its K shape keys."""
    keys = item.data.shape_keys
    found = np.zeros((1 + len(keys.key_blocks if keys else ()), 3 * len(item.data.vertices)), np.float32)
    item.data.attributes["position"].data.foreach_get("vector", found[0])
    for key, values in zip(keys.key_blocks if keys else (), found[1:], strict=True):
        key.points.foreach_get("co", values)
    return found.reshape(len(found), -1, 3).astype(np.float64)


def set_coordinates(item: bpy.types.Object, points: NDArray) -> None:
    """Write what `coordinates` reads."""
    flat = points.reshape(len(points), -1).astype(np.float32)
    item.data.attributes["position"].data.foreach_set("vector", flat[0])
    keys = item.data.shape_keys
    for key, values in zip(keys.key_blocks if keys else (), flat[1:], strict=True):
        key.points.foreach_set("co", values)
    item.data.update()


def check_count(item: bpy.types.Object, count: int) -> None:
    """Raises `DiceError` when the mesh has not as many vertices as were captured."""
    if len(item.data.vertices) != count:
        raise DiceError(
            f"{item.name} was edited: it has {len(item.data.vertices)} vertices, and had {count}.",
            "Reset the capture, or capture the photograph again.",
        )


def is_at_rest(item: bpy.types.Object) -> bool:
    """Whether the vertices are those of the rest pose, because a rig poses the mesh or did."""
    return naming.AT_REST in item.data


def placement(item: bpy.types.Object, bones: Bones) -> NDArray[np.float64]:
    """(4, 4) turn, scale and shift from where `build` puts vertices, to where they are in the mesh's own space.

    It is nothing unless the user applied transforms or set the origin. By least squares (Umeyama 1991).
    """
    now = coordinates(item)[0]
    built = bones.rest if is_at_rest(item) else moved(blended(bones.weights, bones.transforms), bones.rest)
    result = np.eye(4)
    if np.median(np.linalg.norm(now - built, axis=1)) < STAYED:
        return result
    start, end = built - built.mean(0), now - now.mean(0)
    left, size, right = np.linalg.svd(end.T @ start)
    flip = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    result[:3, :3] = (left * flip) @ right * ((size * flip).sum() / (start**2).sum())
    result[:3, 3] = now.mean(0) - result[:3, :3] @ built.mean(0)
    return result
