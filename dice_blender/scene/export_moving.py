# SPDX-License-Identifier: GPL-3.0-or-later
"""A sequence for other programs: copies of its meshes, rigs and cameras that move in a scene of their own."""

from __future__ import annotations

import math
from collections.abc import Iterator

import bpy
import numpy as np
from mathutils import Matrix
from numpy.typing import NDArray

from ...dice_core.errors import DiceError
from ..compat import channels
from . import naming
from .cache_mesh import caches_of
from .cache_nodes import bare
from .export_clean import clean, labels
from .exporters import Format
from .sequence_facts import timing_of
from .shape_frames import MANY, add_frames


def moving_copies(
    scene: bpy.types.Scene, collection: bpy.types.Collection, items: list[bpy.types.Object], kind: Format
) -> dict[bpy.types.ID, str]:
    """Put clean copies of a sequence's objects into the scene, which gets its frames and its rate; gives how they and
    what they use are to be called.

    Raises
    ------
    DiceError
        When the format holds a shape key for each frame, and those are too many.
    """
    _set_time(scene, collection)
    count = scene.frame_end + 1 - scene.frame_start
    if not kind.frames and count > MANY:
        raise DiceError(
            f"{kind.name} files hold a shape key for each frame, and {count} are too many.",
            "Export Alembic or USD, or bake a shorter range first.",
        )
    copies = {item: _copy(scene, item) for item in items}
    layer = scene.view_layers[0]
    layer.update()
    places = {copy: copy.evaluated_get(layer.depsgraph).matrix_world.copy() for copy in copies.values()}
    for copy, place in places.items():
        _settle(copy, place)
    if not kind.frames:
        _freeze(scene, [copy for copy in copies.values() if copy.type == "MESH"])
    materials: dict[bpy.types.Material, bpy.types.Material] = {}
    for copy in copies.values():
        if copy.type == "MESH":
            clean(copy, materials, kind)
    return labels(copies, materials)


def scene_of(collection: bpy.types.Collection) -> bpy.types.Scene:
    """The scene that a collection is in; the context's when it is in none."""
    holders = (scene for scene in bpy.data.scenes if collection in scene.collection.children_recursive)
    return next(holders, bpy.context.scene)


def _set_time(scene: bpy.types.Scene, collection: bpy.types.Collection) -> None:
    own = scene_of(collection)
    scene.render.fps, scene.render.fps_base = own.render.fps, own.render.fps_base
    timing = timing_of(collection, collection["dice_frames"])
    first, last = timing.first, timing.last
    for item in collection.all_objects:
        if naming.POSITIONS in item:  # baked in a part of them
            first, last = (timing.frames[k] for k in item[naming.POSITIONS])
    scene.frame_start, scene.frame_end = math.ceil(first - 1e-4), math.floor(last + 1e-4)
    scene.frame_set(scene.frame_start)


def _copy(scene: bpy.types.Scene, item: bpy.types.Object) -> bpy.types.Object:
    """A visible copy in the scene, which shows its own materials."""
    if item.mode == "EDIT":
        item.update_from_editmode()
    copy = item.copy()
    copy.data = item.data.copy()
    copy.hide_viewport = copy.hide_render = False
    for slot in copy.material_slots:
        slot.link = "DATA"
    if item.type == "MESH":
        copy.animation_data_clear()
        for modifier in caches_of(copy):
            if modifier.type == "NODES" and modifier.node_group:
                modifier.node_group = bare()
    elif copy.animation_data and copy.animation_data.action:
        _show_always(copy)
    scene.collection.objects.link(copy)
    return copy


def _settle(copy: bpy.types.Object, place: Matrix) -> None:
    """Let the copy depend on no other object, and stand where the original does in the first frame."""
    copy.constraints.clear()
    copy.parent = None
    copy.matrix_basis = place


def _show_always(copy: bpy.types.Object) -> None:
    """Give it an action of its own, without the curves that hide it."""
    copy.animation_data.action = copy.animation_data.action.copy()
    curves = channels(copy).fcurves
    for curve in [curve for curve in curves if curve.data_path.startswith("hide_")]:
        curves.remove(curve)


def _freeze(scene: bpy.types.Scene, copies: list[bpy.types.Object]) -> None:
    """Let meshes move by one shape key a frame, whatever moved them."""
    frames = np.arange(scene.frame_start, scene.frame_end + 1)
    shapes: dict[bpy.types.Object, list[NDArray]] = {copy: [] for copy in copies}
    layer, meshes = scene.view_layers[0], {}
    for frame in frames.tolist():
        scene.frame_set(frame)
        for copy in copies:
            evaluated = copy.evaluated_get(layer.depsgraph)
            shapes[copy].append(_positions(evaluated.data))
            if frame == scene.frame_start:
                meshes[copy] = bpy.data.meshes.new_from_object(
                    evaluated, preserve_all_data_layers=True, depsgraph=layer.depsgraph
                )
    for copy in copies:
        copy.modifiers.clear()
        copy.data = meshes[copy]
        add_frames(copy, _still(shapes[copy]), frames.astype(float))


def _positions(mesh: bpy.types.Mesh) -> NDArray[np.float32]:
    values = np.zeros(3 * len(mesh.vertices), np.float32)
    mesh.attributes["position"].data.foreach_get("vector", values)
    return values.reshape(-1, 3)


def _still(shapes: list[NDArray]) -> Iterator[tuple[NDArray, NDArray]]:
    return ((vertices, np.zeros((1, 3))) for vertices in shapes)
