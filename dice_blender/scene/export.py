# SPDX-License-Identifier: GPL-3.0-or-later
"""A capture for other programs: a file with clean copies of its meshes, rigs and cameras."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import bpy
from mathutils import Matrix

from ...dice_core.errors import DiceError
from ...dice_core.files import atomic
from . import build, naming
from .apart import apart, shown
from .export_clean import clean, labels, named
from .export_moving import moving_copies, scene_of
from .exporters import Format, format_of, write
from .kept import is_kept, kept
from .sequence_facts import is_sequence

ROOM = 100 * 2**20  # bytes: on a full disk some exporters leave half a file in silence, Alembic's ends Blender


def export_copy(collection: bpy.types.Collection, path: str | Path, *, camera: bool = True) -> Path:
    """Write a capture's head, hands, rigs and cameras to a file for other programs; the scene stays as it is.

    The meshes stand where they stand in the world and have their own materials, without the heat map and our
    attributes. FBX, glTF and USD files hold the shape keys, at their present values, and the rigs; Alembic and OBJ
    files the present shape, with all modifiers. A baked photograph goes into FBX, glTF and .usdz files.

    Of a sequence, Alembic and USD files hold the meshes frame by frame, however long it is; FBX and glTF files a shape
    key for each frame, of which there may be 250; all of them the cameras, and all but Alembic the moving rigs. Where a
    part is not seen, it stays as it was. OBJ files hold what is seen in the scene's current frame.

    Parameters
    ----------
    collection
        The capture.
    path
        The file; its extension says the format: one of `exporters.FORMATS`.
    camera
        Export the cameras too.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    DiceError
        When the extension is unknown, its exporter is missing or fails, there is nothing to export, the sequence is too
        long for the format or the file cannot be written; nothing is left behind then.
    """
    file = Path(bpy.path.abspath(str(path))).absolute()
    kind = format_of(file)
    items = [item for item in build.parts(collection).values() if _belongs(item, kind, camera)]
    if not any(item.type == "MESH" for item in items):
        raise DiceError(f"{collection.name} has no head or hand.", "Capture the photograph again.")
    items.sort(key=lambda item: item.type != "ARMATURE")  # Blender's older FBX importer wants them first
    with atomic(file) as temporary, TemporaryDirectory(prefix=".", dir=file.parent) as folder, apart() as scene:
        if shutil.disk_usage(folder).free < ROOM:
            raise DiceError(f"The disk of {file.parent} is full.", "Free some disk space or choose another place.")
        written = Path(folder) / file.name  # some formats tell their name
        scene.render.resolution_x, scene.render.resolution_y = _size(collection)
        moving = is_sequence(collection) and kind.moving is not None
        if moving:
            names = moving_copies(scene, collection, items, kind)
        else:
            if is_sequence(collection):
                scene.frame_set(scene_of(collection).frame_current)
                items = [item for item in items if not item.hide_render]
            scene.frame_start = scene.frame_end = scene.frame_current
            names = _copies(scene, items, kind)
        with named(names), shown(scene, list(scene.collection.objects)):
            write(kind, written, moving)
        written.replace(temporary)
    return file


def _size(collection: bpy.types.Collection) -> tuple[int, int]:
    """Of its pictures: the cameras' field of view depends on it."""
    if naming.SIZE in collection:
        return tuple(collection[naming.SIZE])
    return kept(collection).camera.image_size if is_kept(collection) else (1920, 1080)


def _belongs(item: bpy.types.Object, kind: Format, camera: bool) -> bool:
    return item.type == "MESH" or (item.type == "CAMERA" and camera) or (item.type == "ARMATURE" and kind.keys)


def _copies(scene: bpy.types.Scene, items: list[bpy.types.Object], kind: Format) -> dict[bpy.types.ID, str]:
    """Put clean copies of the objects into the scene; gives how they and what they use are to be called."""
    copies = {item: _copy(scene, item) for item in items}
    layer = scene.view_layers[0]
    layer.update()
    evaluated = {item: copy.evaluated_get(layer.depsgraph) for item, copy in copies.items()}
    places = {item: one.matrix_world.copy() for item, one in evaluated.items()}
    data = {item: item.data.copy() for item in items}
    if not kind.keys:  # the present shape instead
        for item in (item for item in items if item.type == "MESH"):
            data[item] = bpy.data.meshes.new_from_object(
                evaluated[item], preserve_all_data_layers=True, depsgraph=layer.depsgraph
            )
    materials: dict[bpy.types.Material, bpy.types.Material] = {}
    for item, copy in copies.items():
        copy.data = data[item]
        rig = _rig(item, copies) if kind.keys else None
        _settle(copy, places[item], copies.get(rig), places.get(rig))
        if item.type == "MESH":
            clean(copy, materials, kind)
    return labels(copies, materials)


def _copy(scene: bpy.types.Scene, item: bpy.types.Object) -> bpy.types.Object:
    """A visible copy in the scene, which shows its own materials."""
    if item.mode == "EDIT":
        item.update_from_editmode()
    copy = item.copy()
    copy.hide_viewport = copy.hide_render = False
    for slot in copy.material_slots:
        slot.link = "DATA"
    scene.collection.objects.link(copy)
    return copy


def _rig(item: bpy.types.Object, copies: dict[bpy.types.Object, bpy.types.Object]) -> bpy.types.Object | None:
    """The capture's armature that bends the mesh."""
    bends = (modifier.object for modifier in item.modifiers if modifier.type == "ARMATURE")
    return next((armature for armature in bends if armature in copies), None)


def _settle(copy: bpy.types.Object, place: Matrix, rig: bpy.types.Object | None, rig_place: Matrix | None) -> None:
    """Let the copy depend on nothing but its rig, and stand where the original does."""
    for owner in (copy, copy.data, getattr(copy.data, "shape_keys", None)):
        if owner is not None:
            owner.animation_data_clear()
    copy.constraints.clear()
    for modifier in list(copy.modifiers):
        if rig is None or modifier.type != "ARMATURE":
            copy.modifiers.remove(modifier)
        else:
            modifier.object = rig
    copy.parent = rig
    if rig is not None:
        copy.parent_type = "OBJECT"
        copy.matrix_parent_inverse = rig_place.inverted()
    elif copy.type == "MESH":  # exact even where the parents' scales shear it
        copy.data.transform(place, shape_keys=True)
        if place.is_negative:
            copy.data.flip_normals()
        place = Matrix()
    copy.matrix_basis = place
