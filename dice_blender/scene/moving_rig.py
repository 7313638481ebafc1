# SPDX-License-Identifier: GPL-3.0-or-later
"""Armatures that move as a captured sequence does, a key for each bone where it is needed.

The rig follows the mesh and does not bend it: the mesh is moved by caches or shape keys, which have more than bones can
say. Other characters can be bound to the rig, and its motion goes to other programs. It is the mesh's child.
"""

from __future__ import annotations

import bpy
import numpy as np
from numpy.typing import NDArray

from ...dice_core.result.sequence import Sequence
from . import axes, curves, naming, skinning
from .armature import add_bones
from .bone_shapes import shapes_of
from .fill import link
from .timing import Timing

HALF = 0.5  # of the tolerance, for quaternions: they change half as much as the angle
METRES = 0.1  # of it, for places
STILL = 1e-5  # metres that a joint may move in its parent without being keyed
ZERO = np.zeros(3)


def add_rig(
    collection: bpy.types.Collection, item: bpy.types.Object, sequence: Sequence, first: int
) -> bpy.types.Object:
    """Give a part of the sequence an armature, at rest as in `armature.rig`, whose root stays where it is in the frame
    `first`."""
    part = item[naming.PART]
    bones = _bones(sequence, part, first)
    data = bpy.data.armatures.new(naming.OBJECTS[naming.RIG.format(part)])
    data.display_type = "STICK"
    armature = bpy.data.objects.new(data.name, data)
    armature.show_in_front = True
    link(collection, naming.RIG.format(part), armature)
    add_bones(armature, bones.names, shapes_of(bones), bones.parents)
    armature.parent = item
    return armature


def animate_rig(
    armature: bpy.types.Object, sequence: Sequence, part: str, first: int, timing: Timing, tolerance: float
) -> None:
    """Key the armature's bones: turns as quaternions, the shorter way from frame to frame; places where they change."""
    bones = _bones(sequence, part, first)
    armature.location = bones.joints[0]
    basis = _basis(armature, bones, _transforms(sequence, part, bones, first))
    posed = [armature.pose.bones[name] for name in bones.names]
    for bone in posed:
        bone.rotation_mode = "QUATERNION"
    turns = [curves.Property(f'pose.bones["{name}"].rotation_quaternion', name) for name in bones.names]
    curves.smooth(armature, turns, continuous(quaternions(basis[..., :3, :3])), timing, HALF * tolerance)
    places = basis[..., :3, 3]
    moving = np.flatnonzero(np.ptp(places, axis=0).max(1) + np.abs(places[0]).max(1) > STILL)
    where = [curves.Property(f'pose.bones["{name}"].location', name) for name in bones.names]
    curves.smooth(armature, [where[index] for index in moving], places[:, moving], timing, METRES * tolerance)
    for index in set(range(len(posed))) - set(moving.tolist()):
        curves.settle(armature, where[index], [0.0] * 3)
        posed[index].lock_location = [True] * 3


def quaternions(turns: NDArray) -> NDArray[np.float64]:
    """(..., 3, 3) rotations -> (..., 4) unit quaternions w, x, y, z of either sign (Shepperd 1978)."""
    m = np.moveaxis(turns.reshape(-1, 3, 3), 0, -1)
    trace = m[0, 0] + m[1, 1] + m[2, 2]
    products = np.zeros((4, 4, m.shape[-1]))  # four times the products of all pairs
    products[0, 0] = 1 + trace
    for axis in range(3):
        after, last = (axis + 1) % 3, (axis + 2) % 3
        products[axis + 1, axis + 1] = 1 - trace + 2 * m[axis, axis]
        products[0, axis + 1] = products[axis + 1, 0] = m[last, after] - m[after, last]
        products[axis + 1, after + 1] = products[after + 1, axis + 1] = m[axis, after] + m[after, axis]
    largest = np.einsum("iin->in", products).argmax(0)
    found = products[largest, :, np.arange(len(largest))]
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return found.reshape(*turns.shape[:-2], 4)


def continuous(turns: NDArray) -> NDArray[np.float64]:
    """(N, ..., 4) quaternions with the signs that let each be near the one before; the first w is positive."""
    signs = np.sign((turns[1:] * turns[:-1]).sum(-1, keepdims=True))
    signs = np.cumprod(np.where(np.concatenate([turns[:1, ..., :1], signs]) < 0, -1.0, 1.0), 0)
    return turns * signs


def _bones(sequence: Sequence, part: str, first: int) -> skinning.Bones:
    mesh = skinning.captured(sequence.capture(first), part)
    return skinning.bones_of(mesh, ZERO)


def _transforms(sequence: Sequence, part: str, bones: skinning.Bones, first: int) -> NDArray[np.float64]:
    """(N, B, 4, 4) from rest to the poses, in Blender's axes: `bones.transforms` in all frames."""
    turn = axes.world_matrix(ZERO)
    captured = sequence.curve(f"{part}_bone_transforms").astype(np.float64)
    since = turn @ captured @ np.linalg.inv(captured[first]) @ turn.T  # a rotation
    return since @ bones.transforms


def _basis(armature: bpy.types.Object, bones: skinning.Bones, transforms: NDArray) -> NDArray[np.float64]:
    """(N, B, 4, 4) what the bones' own matrices must be, in the armature's space: its origin is the root's joint."""
    place = np.eye(4)
    place[:3, 3] = bones.joints[0]
    rest = np.stack([np.array(armature.data.bones[name].matrix_local, np.float64) for name in bones.names])
    posed = np.linalg.inv(place) @ transforms @ place @ rest
    found = np.linalg.inv(rest) @ posed
    for index, parent in enumerate(bones.parents):
        if parent >= 0:
            offset = posed[:, parent] @ np.linalg.inv(rest[parent]) @ rest[index]
            found[:, index] = np.linalg.inv(offset) @ posed[:, index]
    return found
