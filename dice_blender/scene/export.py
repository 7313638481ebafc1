# SPDX-License-Identifier: GPL-3.0-or-later
"""A capture for other programs: a file with clean copies of its meshes, rigs and cameras."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import bpy
from mathutils import Matrix

from ...dice_core.errors import DiceError
from ...dice_core.files import atomic
from ..compat import node_tree
from . import build, naming, photo_material
from .apart import apart, shown
from .exporters import Format, format_of, write
from .kept import is_kept, kept

ROOM = 100 * 2**20  # bytes: on a full disk some exporters leave half a file in silence, Alembic's ends Blender
OWN = "dice_"  # how the names of our attributes and custom properties begin
COLLECTIONS = {
    "OBJECT": "objects", "MESH": "meshes", "CAMERA": "cameras", "ARMATURE": "armatures", "MATERIAL": "materials",
}  # fmt: skip


def export_copy(collection: bpy.types.Collection, path: str | Path, *, camera: bool = True) -> Path:
    """Write a capture's head, hands, rigs and cameras to a file for other programs; the scene stays as it is.

    The meshes stand where they stand in the world and have their own materials, without the heat map and our
    attributes. FBX, glTF and USD files hold the shape keys, at their present values, and the rigs; Alembic and OBJ
    files the present shape, with all modifiers. A baked photograph goes into FBX, glTF and .usdz files.

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
        When the extension is unknown, its exporter is missing or fails, there is nothing to export or the file cannot
        be written; nothing is left behind then.
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
        if is_kept(collection):  # the cameras' field of view depends on it
            scene.render.resolution_x, scene.render.resolution_y = kept(collection).camera.image_size
        scene.frame_start = scene.frame_end = scene.frame_current
        names = _copies(scene, items, kind)
        with _named(names), shown(scene, list(scene.collection.objects)):
            write(kind, written)
        written.replace(temporary)
    return file


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
            _clean(copy, materials, kind)
    labels = {item: naming.OBJECTS.get(item[naming.PART], item.name) for item in items}
    names = {part: labels[item] for item, copy in copies.items() for part in (copy, copy.data)}
    return names | {copy: material.name for material, copy in materials.items()}


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


def _clean(copy: bpy.types.Object, materials: dict[bpy.types.Material, bpy.types.Material], kind: Format) -> None:
    """Nothing of ours stays in the mesh: attributes, custom properties, the photograph's projection."""
    mesh = copy.data
    for name in [one.name for one in mesh.attributes if one.name.startswith(OWN)]:
        mesh.attributes.remove(mesh.attributes[name])
    if naming.PHOTO_UV in mesh.uv_layers:
        mesh.uv_layers.remove(mesh.uv_layers[naming.PHOTO_UV])
    for slot, material in enumerate(mesh.materials):
        if material is not None:
            if material not in materials:
                materials[material] = _plain(material, kind)
            mesh.materials[slot] = materials[material]
    for owner in (copy, mesh):
        for name in list(owner.keys()):
            del owner[name]


def _plain(material: bpy.types.Material, kind: Format) -> bpy.types.Material:
    """A copy that exporters understand: of our mixed colours the typical one."""
    copy = material.copy()
    if naming.PLAIN in material:
        del copy[naming.PLAIN]
        shader = photo_material.shader_of(copy)
        for link in shader.inputs["Base Color"].links if shader else ():
            if not (kind.textures and link.from_node.name == photo_material.BAKED):
                node_tree(copy).links.remove(link)
    return copy


@contextmanager
def _named(names: dict[bpy.types.ID, str]) -> Iterator[None]:
    """The data-blocks have these names in the block; others that have them lend them."""
    lent = []
    for one, name in names.items():
        other = getattr(bpy.data, COLLECTIONS[one.id_type]).get((name, None))
        if other is not None and other not in names:
            lent.append((other, name))
            other.name = f"{name[:40]} lent"
        one.name = name
    try:
        yield
    finally:
        for one in names:
            one.name = "DICE copy"
        for other, name in lent:
            other.name = name
