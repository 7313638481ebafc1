# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies for other programs: without what is ours, with materials and names that they understand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import bpy

from ..compat import node_tree
from . import naming, photo_material
from .exporters import Format

OWN = "dice_"  # how the names of our attributes and custom properties begin
COLLECTIONS = {
    "OBJECT": "objects", "MESH": "meshes", "CAMERA": "cameras", "ARMATURE": "armatures", "MATERIAL": "materials",
}  # fmt: skip


def labels(copies: dict[bpy.types.Object, bpy.types.Object], materials: dict) -> dict[bpy.types.ID, str]:
    """How copies of objects and materials, and what they use, are to be called: as what they are copies of."""
    names: dict[bpy.types.ID, str] = {}
    for item, copy in copies.items():
        label = naming.OBJECTS.get(item[naming.PART], item.name)
        names |= {copy: label, copy.data: label}
    return names | {copy: material.name for material, copy in materials.items()}


def clean(copy: bpy.types.Object, materials: dict[bpy.types.Material, bpy.types.Material], kind: Format) -> None:
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
def named(names: dict[bpy.types.ID, str]) -> Iterator[None]:
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
