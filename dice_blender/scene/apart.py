# SPDX-License-Identifier: GPL-3.0-or-later
"""A scene of its own for Blender's operators: the user's scenes, selection and modes never notice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import bpy

KINDS = (
    "scenes", "collections", "objects", "meshes", "cameras", "armatures", "materials", "images", "worlds", "actions",
    "node_groups", "movieclips",
)  # fmt: skip


@contextmanager
def apart() -> Iterator[bpy.types.Scene]:
    """A new scene for the block. It and all data-blocks that the block makes are gone afterwards.

    A window shows its scene again: there are operators that change it.
    """
    before = {item.as_pointer() for item in data_blocks()}
    windows = [(window, window.scene, window.view_layer) for window in bpy.context.window_manager.windows]
    try:
        yield bpy.data.scenes.new("DICE")
    finally:
        for window, scene, layer in windows:
            if window.scene != scene:
                window.scene, window.view_layer = scene, layer
        bpy.data.batch_remove([item for item in data_blocks() if item.as_pointer() not in before])


@contextmanager
def shown(scene: bpy.types.Scene, items: Sequence[bpy.types.Object], **members: object) -> Iterator[None]:
    """Operators in the block work in that scene, on those objects of it; the first is the active one.

    `members` are what else of the context they should see.
    """
    layer = scene.view_layers[0]
    for item in items:
        if item.name not in scene.collection.objects:
            scene.collection.objects.link(item)
        item.select_set(True, view_layer=layer)
    layer.objects.active = active = items[0]
    chosen = dict.fromkeys(("selected_objects", "selected_editable_objects"), list(items))
    window = bpy.context.window or bpy.context.window_manager.windows[0]  # timers have none
    with bpy.context.temp_override(window=window):  # apart from the scene: given together, Blender keeps the window's
        with bpy.context.temp_override(
            scene=scene, view_layer=layer, object=active, active_object=active, **chosen, **members
        ):
            yield


def data_blocks() -> Iterator[bpy.types.ID]:
    """All that we or an operator may make."""
    for kind in KINDS:
        yield from getattr(bpy.data, kind)
