# SPDX-License-Identifier: GPL-3.0-or-later
"""A mesh that moves as the files of a sequence say, read while Blender plays: the .blend stays small and quick.

Its Mesh Cache modifier reads the surface without deformation, and turns the files' axes to Blender's. Deformation and
contact come in the same way, as the vertices of objects that are in no collection; `cache_nodes` brings them in.
"""

from __future__ import annotations

from pathlib import Path

import bpy

from ..compat import node_input, unused
from . import naming
from .cache_nodes import group
from .timing import Timing

INPUTS = {naming.DEFORMATION_CACHE: "deformation", naming.CONTACT_CACHE: "contact"}


def add_caches(item: bpy.types.Object, folder: Path, timing: Timing) -> None:
    """Let a mesh object, a part of a sequence, follow the caches in the folder, one after another.

    Its vertices are already in Blender's axes; `prepare_contact` has seen it.
    """
    part = item[naming.PART]
    _add_cache(item, folder / f"{part}.pc2", timing)
    modifier = item.modifiers.new(naming.SEQUENCE, "NODES")
    modifier.node_group = group()
    mesh = bpy.data.meshes.new(f"{item.name} Cache")
    mesh[naming.OURS] = True
    mesh.vertices.add(len(item.data.vertices))
    for name, kind in INPUTS.items():
        file = folder / f"{part}_{kind}.pc2"
        if file.is_file():
            carrier = bpy.data.objects.new(f"{item.name} {kind.title()}", mesh)
            carrier[naming.OURS] = True
            _add_cache(carrier, file, timing)
            node_input(modifier, name).value = carrier


def caches_of(item: bpy.types.Object) -> list[bpy.types.Modifier]:
    """The modifiers that `add_caches` made, those that are left."""
    found = [item.modifiers.get(name) for name in (naming.CACHE, naming.SEQUENCE)]
    return [modifier for modifier in found if modifier is not None]


def carriers_of(item: bpy.types.Object) -> list[bpy.types.Object]:
    """The objects that hold a mesh object's deformation and contact."""
    nodes = [modifier for modifier in caches_of(item) if modifier.type == "NODES" and modifier.node_group]
    found = [node_input(modifier, name).value for modifier in nodes for name in INPUTS]
    return [one for one in found if one is not None]


def remove_caches(item: bpy.types.Object) -> None:
    """Take a mesh object's caches away, and what only they used."""
    carriers = carriers_of(item)
    trees = [modifier.node_group for modifier in caches_of(item) if modifier.type == "NODES" and modifier.node_group]
    for modifier in caches_of(item):
        item.modifiers.remove(modifier)
    for used in (carriers, [carrier.data for carrier in carriers], trees):
        bpy.data.batch_remove(unused(used))


def stored_path(path: Path) -> str:
    """As a .blend file should keep it: relative to it where that is possible."""
    if bpy.data.filepath and Path(bpy.data.filepath).drive == path.drive:
        return bpy.path.relpath(str(path))
    return str(path)


def _add_cache(item: bpy.types.Object, file: Path, timing: Timing) -> None:
    modifier = item.modifiers.new(naming.CACHE, "MESH_CACHE")
    modifier.cache_format = "PC2"
    modifier.filepath = stored_path(file)
    modifier.forward_axis, modifier.up_axis = "NEG_Z", "POS_Y"  # turns as `axes.TO_WORLD` does
    modifier.frame_scale = timing.speed
    modifier.frame_start = timing.first * timing.speed  # Blender subtracts it from the scaled frame
