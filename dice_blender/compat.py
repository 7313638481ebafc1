# SPDX-License-Identifier: GPL-3.0-or-later
"""Every difference between the Blender versions that the extension serves (4.2 to 5.2)."""

from __future__ import annotations

import bpy

# Options of a path property that understands `//`: without this one, Blender shows such paths in red since 4.5.
PATH_OPTIONS = {"PATH_SUPPORTS_BLEND_RELATIVE"} if bpy.app.version >= (4, 5) else set()


def node_tree(data: bpy.types.Material | bpy.types.World) -> bpy.types.ShaderNodeTree:
    """The nodes of a material or a world. They are there from the start since 5.0, where `use_nodes` is deprecated."""
    if data.node_tree is None:
        data.use_nodes = True
    return data.node_tree
