# SPDX-License-Identifier: GPL-3.0-or-later
"""Every difference between the Blender versions that the extension serves (4.2 to 5.2)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

import bpy

# Options of a path property that understands `//`: without this one, Blender shows such paths in red since 4.5.
PATH_OPTIONS = {"PATH_SUPPORTS_BLEND_RELATIVE"} if bpy.app.version >= (4, 5) else set()


Strip = getattr(bpy.types, "Strip", None) or bpy.types.Sequence  # of the sequencer: renamed in 4.4


class Times(NamedTuple):
    """Where a strip lies in its scene, in frames.

    Attributes
    ----------
    content
        Where the first frame of its media is, and where the one after the last would be.
    handles
        The same of what is shown.
    trimmed
        Frames of the media that are left out before and after.
    """

    content: tuple[float, float]
    handles: tuple[int, int]
    trimmed: tuple[int, int]


def times(strip: Strip) -> Times:
    """Where a strip lies. 5.2 gave all of it new names, and warns of the old ones."""
    if hasattr(strip, "content_start"):
        content, trimmed = (strip.content_start, strip.content_end), (strip.content_trim_start, strip.content_trim_end)
        return Times(content, (strip.left_handle, strip.right_handle), trimmed)
    start, trimmed = strip.frame_start, (strip.animation_offset_start, strip.animation_offset_end)
    length = strip.frame_final_duration + strip.frame_offset_start + strip.frame_offset_end
    return Times((start, start + length), (strip.frame_final_start, strip.frame_final_end), trimmed)


def sequencer_scene(context: bpy.types.Context) -> bpy.types.Scene | None:
    """The scene whose strips a Video Sequencer shows. Since 5.0 it may be another one than the window's, or none."""
    return context.sequencer_scene if hasattr(context, "sequencer_scene") else context.scene


def node_tree(data: bpy.types.Material | bpy.types.World) -> bpy.types.ShaderNodeTree:
    """The nodes of a material or a world. They are there from the start since 5.0, where `use_nodes` is deprecated."""
    if data.node_tree is None:
        data.use_nodes = True
    return data.node_tree


def channels(owner: bpy.types.ID) -> bpy.types.bpy_struct:
    """Where the curves of a data-block's own action are, `fcurves` and `groups`; made when there is none.

    Since 4.4 an action has slots for several data-blocks; since 5.0 its curves are reached through them only.
    """
    animation = owner.animation_data_create()
    action = animation.action
    if action is None:
        action = animation.action = bpy.data.actions.new(owner.name)
    if not hasattr(action, "layers"):
        return action
    if animation.action_slot is None:
        animation.action_slot = action.slots.new(id_type=owner.id_type, name=owner.name)
    layer = action.layers[0] if action.layers else action.layers.new("Layer")
    strip = layer.strips[0] if layer.strips else layer.strips.new(type="KEYFRAME")
    return strip.channelbag(animation.action_slot, ensure=True)


class NodeInput(NamedTuple):
    """An input of a Geometry Nodes modifier: `owner`'s property at `path`, `whole` from the object on."""

    owner: bpy.types.bpy_struct
    path: str
    whole: str

    @property
    def value(self) -> Any:
        return self.owner.path_resolve(self.path)

    @value.setter
    def value(self, value: object) -> None:
        if self.path == "value":
            self.owner.value = value
        else:
            self.owner[self.path[2:-2]] = value
        self.owner.id_data.update_tag()


def node_input(modifier: bpy.types.NodesModifier, name: str) -> NodeInput:
    """The input of that name. Custom properties of the modifier became properties of their own in 5.2."""
    sockets = (item for item in modifier.node_group.interface.items_tree if item.item_type == "SOCKET")
    key = next(socket.identifier for socket in sockets if socket.in_out == "INPUT" and socket.name == name)
    place = f'modifiers["{modifier.name}"]'
    if hasattr(modifier, "properties"):
        return NodeInput(getattr(modifier.properties.inputs, key), "value", f"{place}.properties.inputs.{key}.value")
    return NodeInput(modifier, f'["{key}"]', f'{place}["{key}"]')


def unused(items: Collection[bpy.types.ID]) -> set[bpy.types.ID]:
    """Those that nothing uses. In 4.2, `users` counts the images of a copied material twice."""
    users = bpy.data.user_map(subset=set(items))
    return {item for item in items if not users[item] and not item.use_fake_user}


def usd_textures(wanted: bool) -> dict[str, object]:
    """What tells the USD exporter to write images into the file. One setting became another after 4.2."""
    if "export_textures_mode" in bpy.ops.wm.usd_export.get_rna_type().properties:
        return {"export_textures_mode": "NEW" if wanted else "KEEP"}
    return {"export_textures": wanted}
