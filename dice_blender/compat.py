# SPDX-License-Identifier: GPL-3.0-or-later
"""Every difference between the Blender versions that the extension serves (4.2 to 5.2)."""

from __future__ import annotations

import bpy


def node_tree(material: bpy.types.Material) -> bpy.types.ShaderNodeTree:
    """The material's nodes. Materials have them from the start since 5.0, where `use_nodes` is deprecated."""
    if material.node_tree is None:
        material.use_nodes = True
    return material.node_tree
