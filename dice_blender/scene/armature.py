# SPDX-License-Identifier: GPL-3.0-or-later
"""Armatures that hold the captured pose: cleared of it, a head stands upright and a hand is flat."""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import numpy as np
from mathutils import Matrix
from numpy.typing import NDArray

from ...dice_core.errors import DiceError
from . import axes, naming, skinning
from .apart import apart, shown
from .bone_shapes import BoneShape, shapes_of
from .build import all_or_nothing, meshes, parts
from .fill import link
from .kept import kept
from .skinning import Bones


@dataclass(frozen=True)
class _Rigged:
    """A mesh and the armature that will bend it, and its (1 + K, V, 3) vertices and shape keys at rest."""

    item: bpy.types.Object
    armature: bpy.types.Object
    bones: Bones
    rest: NDArray


def unrigged(collection: bpy.types.Collection) -> list[bpy.types.Object]:
    """The capture's meshes that no armature of ours bends."""
    there = parts(collection)
    return [item for item in meshes(collection) if naming.RIG.format(item[naming.PART]) not in there]


def rig(collection: bpy.types.Collection) -> list[bpy.types.Object]:
    """Give the capture's meshes armatures, posed as captured; nothing moves.

    A pose bone's X axis bends: positive turns close fingers, open the jaw, bow the head and lower the eyes. The names
    are those of Rigify's human metarig, see docs/result-format.md. Shape keys, the user's own too, are taken back to
    the rest pose, so that they work in any pose.

    Parameters
    ----------
    collection
        The capture. Its meshes may have been moved, and may have new shape keys, modifiers and materials.

    Returns
    -------
    list of bpy.types.Object
        The new armature objects, one for each mesh that had none.

    Raises
    ------
    DiceError
        When no mesh is left without one, when a mesh has other vertices than were captured, or when the capture holds
        no bones; nothing has changed then.
    """
    items = unrigged(collection)
    if not items:
        raise DiceError(f"No mesh in {collection.name} lacks a rig.", "Delete a rig to have it made anew.")
    capture = kept(collection)
    origin = axes.ground(capture)
    bpy.context.view_layer.update()  # for the places of objects that were just moved
    with all_or_nothing(bpy.context.scene):
        made = []
        for item in items:
            mesh = skinning.captured(capture, item[naming.PART])
            skinning.check_count(item, len(mesh.vertices))
            made.append(_prepared(item, skinning.bones_of(mesh, origin)))
    for one in made:
        _apply(one, collection)
    return [one.armature for one in made]


def _prepared(item: bpy.types.Object, bones: Bones) -> _Rigged:
    """A posed armature in no scene yet; the mesh is only looked at."""
    root = Matrix.Translation(bones.joints[0])
    data = bpy.data.armatures.new(naming.OBJECTS[naming.RIG.format(item[naming.PART])])
    data.display_type = "STICK"
    armature = bpy.data.objects.new(data.name, data)
    armature.show_in_front = True
    armature[naming.PART] = naming.RIG.format(item[naming.PART])
    armature.matrix_basis = item.matrix_world @ Matrix(skinning.placement(item, bones)) @ root
    add_bones(armature, bones.names, shapes_of(bones), bones.parents)
    bends = _pose(armature, bones)
    to_mesh = np.array(item.matrix_world.inverted() @ armature.matrix_basis, np.float64)
    in_mesh = to_mesh @ bends @ np.linalg.inv(to_mesh)
    points = skinning.coordinates(item)
    if not skinning.is_at_rest(item):
        points = skinning.unposed(points, bones.weights, in_mesh)
    return _Rigged(item, armature, bones, points)


def add_bones(armature: bpy.types.Object, names: tuple[str, ...], shapes: list[BoneShape], parents: NDArray) -> None:
    """Bones at rest, as the armature's own space has them: its origin is the root's joint."""
    with apart() as scene, shown(scene, [armature]):
        bpy.ops.object.mode_set(mode="EDIT")
        made = []
        for name, shape, parent in zip(names, shapes, parents, strict=True):
            bone = armature.data.edit_bones.new(name)
            bone.head, bone.tail = shape.head - shapes[0].head, shape.tail - shapes[0].head
            bone.align_roll(shape.up)
            bone.parent = made[parent] if parent >= 0 else None
            made.append(bone)
        bpy.ops.object.mode_set(mode="OBJECT")
        armature.select_set(False, view_layer=scene.view_layers[0])  # nor will it be where it is linked


def _pose(armature: bpy.types.Object, bones: Bones) -> NDArray[np.float64]:
    """Pose the armature as captured; gives (B, 4, 4) what its bones do then, in its own space, to the last digit."""
    place = np.eye(4)
    place[:3, 3] = bones.joints[0]
    wanted = np.linalg.inv(place) @ bones.transforms @ place
    rest = [np.array(armature.data.bones[name].matrix_local, np.float64) for name in bones.names]
    posed: list[NDArray] = []
    for index, (name, parent) in enumerate(zip(bones.names, bones.parents, strict=True)):
        bone = armature.pose.bones[name]
        bone.rotation_mode = "XYZ" if parent >= 0 else "QUATERNION"  # so that X can be read and typed in degrees
        bone.lock_location = [bool(parent >= 0)] * 3
        offset = posed[parent] @ np.linalg.inv(rest[parent]) @ rest[index] if parent >= 0 else rest[index]
        bone.matrix_basis = Matrix(np.linalg.inv(offset) @ wanted[index] @ rest[index])
        for values in (bone.location, bone.scale):  # people read them
            values[:] = [round(value, 6) + 0.0 for value in values]
        posed.append(offset @ np.array(bone.matrix_basis, np.float64))
    return np.stack([now @ np.linalg.inv(before) for now, before in zip(posed, rest, strict=True)])


def _apply(one: _Rigged, collection: bpy.types.Collection) -> None:
    item, armature = one.item, one.armature
    if item.data.users > 1:  # the other objects keep the captured pose
        item.data = item.data.copy()
    link(collection, armature[naming.PART], armature)
    collection[naming.MADE] += f" {armature[naming.PART]}"
    skinning.set_coordinates(item, one.rest)
    item.data[naming.AT_REST] = True
    for name, weights in zip(one.bones.names, one.bones.weights.T, strict=True):
        group = item.vertex_groups.get(name) or item.vertex_groups.new(name=name)
        group.remove(range(len(weights)))
        for vertex in np.flatnonzero(weights).tolist():
            group.add((vertex,), float(weights[vertex]), "REPLACE")
    modifier = item.modifiers.get(naming.ARMATURE)
    if modifier is None or modifier.type != "ARMATURE" or modifier.object is not None:  # not that of a deleted rig
        modifier = item.modifiers.new(naming.ARMATURE, "ARMATURE")
    modifier.object = armature
    item.modifiers.move(item.modifiers.find(modifier.name), 0)
    _attach(item, armature)


def _attach(item: bpy.types.Object, armature: bpy.types.Object) -> None:
    """Make the mesh the armature's child, and the armature that of the mesh's parent; both stay where they are."""
    place, own = item.matrix_world.copy(), item.matrix_basis.copy()
    if item.parent is not None:
        armature.parent, armature.parent_type, armature.parent_bone = item.parent, item.parent_type, item.parent_bone
        armature.matrix_parent_inverse = item.matrix_parent_inverse @ own @ place.inverted()
    item.parent, item.parent_type = armature, "OBJECT"
    item.matrix_parent_inverse = armature.matrix_basis.inverted() @ place @ own.inverted()
