# SPDX-License-Identifier: GPL-3.0-or-later
"""The nodes that give a mesh its deformation and contact out of caches, in every frame, without Python.

They add to each vertex the displacement of the same vertex of the deformation cache, times the factor `Deformation`,
and store what a single capture has: the vertex group `Contact` and the attributes `dice_contact`, `dice_deformation`
and `dice_contact_color`.
"""

from __future__ import annotations

import bpy

from . import materials, naming
from .contact import LEAST
from .deformation import EXAGGERATION

Socket = bpy.types.NodeSocket
FACTORS = {naming.DEFORMATION: (1.0, EXAGGERATION), naming.THRESHOLD: (LEAST, 1.0)}  # default, largest


def group() -> bpy.types.GeometryNodeTree:
    """The node group; the one that the file already has is used as it stands."""
    ours = (tree for tree in bpy.data.node_groups if naming.OURS in tree and tree.library is None)
    return next(ours, None) or _made()


def bare() -> bpy.types.GeometryNodeTree:
    """A copy of the node group that moves vertices and stores nothing."""
    tree = group().copy()
    del tree[naming.OURS]
    for node in tree.nodes:
        node.mute = node.bl_idname == "GeometryNodeStoreNamedAttribute"
    return tree


def _made() -> bpy.types.GeometryNodeTree:
    tree = bpy.data.node_groups.new(naming.SEQUENCE, "GeometryNodeTree")
    tree[naming.OURS] = True
    _declare(tree)
    make = _Maker(tree)
    given = tree.nodes.new("NodeGroupInput").outputs
    push = make.cached(given[naming.DEFORMATION_CACHE])
    contact = make("ShaderNodeSeparateXYZ", Vector=make.cached(given[naming.CONTACT_CACHE])).outputs["X"]
    moved = make("ShaderNodeVectorMath", operation="SCALE", Vector=push, Scale=given[naming.DEFORMATION]).outputs[0]
    mesh = make("GeometryNodeSetPosition", Geometry=given["Geometry"], Offset=moved).outputs[0]
    length = make("ShaderNodeVectorMath", operation="LENGTH", Vector=push).outputs["Value"]
    mesh = make.stored(mesh, naming.DEFORMATION_ATTRIBUTE, "FLOAT", length)
    mesh = make.stored(mesh, naming.CONTACT_ATTRIBUTE, "FLOAT", contact)
    contact = make.attribute(naming.CONTACT_ATTRIBUTE)  # quicker than to look for it again
    mesh = make.stored(mesh, naming.HEAT_ATTRIBUTE, "FLOAT_COLOR", make.heat(contact))
    likely = make("FunctionNodeCompare", data_type="FLOAT", operation="GREATER_EQUAL", A=contact,
                  B=given[naming.THRESHOLD]).outputs[0]  # fmt: skip
    weight = make("ShaderNodeMath", operation="MULTIPLY", by_place=(contact, likely)).outputs[0]
    mesh = make.stored(mesh, naming.CONTACT_GROUP, "FLOAT", weight)
    tree.links.new(mesh, tree.nodes.new("NodeGroupOutput").inputs["Geometry"])
    for place, node in enumerate(tree.nodes):  # the output is the last one
        node.location = (200 * (place // 3), -200 * (place % 3))
    return tree


def _declare(tree: bpy.types.GeometryNodeTree) -> None:
    """Inputs and outputs."""
    tree.is_modifier = True
    tree.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    tree.interface.new_socket("Geometry", in_out="INPUT", socket_type="NodeSocketGeometry")
    for name, (default, largest) in FACTORS.items():
        factor = tree.interface.new_socket(name, in_out="INPUT", socket_type="NodeSocketFloat")
        factor.default_value, factor.min_value, factor.max_value = default, 0.0, largest
    for name in (naming.DEFORMATION_CACHE, naming.CONTACT_CACHE):
        tree.interface.new_socket(name, in_out="INPUT", socket_type="NodeSocketObject")


class _Maker:
    """Makes nodes with their inputs linked."""

    def __init__(self, tree: bpy.types.GeometryNodeTree) -> None:
        self.tree = tree

    def __call__(self, kind: str, by_place: tuple[Socket, ...] = (), **settings: object) -> bpy.types.Node:
        """A node; sockets among the settings are linked to its input of that name, the others are its properties."""
        node = self.tree.nodes.new(kind)
        for name, value in settings.items():
            if not isinstance(value, Socket):
                setattr(node, name, value)
        links = {name: value for name, value in settings.items() if isinstance(value, Socket)}
        for name, value in links.items():
            self.tree.links.new(value, next(one for one in node.inputs if one.name == name and one.enabled))
        for place, value in enumerate(by_place):
            self.tree.links.new(value, node.inputs[place])
        return node

    def cached(self, item: Socket) -> Socket:
        """Where the same vertex of an object is; the zero vector without an object."""
        geometry = self("GeometryNodeObjectInfo", Object=item).outputs["Geometry"]
        position = self("GeometryNodeInputPosition").outputs[0]
        index = self("GeometryNodeInputIndex").outputs[0]
        node = self("GeometryNodeSampleIndex", data_type="FLOAT_VECTOR", Geometry=geometry, Value=position, Index=index)
        return next(one for one in node.outputs if one.enabled)

    def stored(self, mesh: Socket, name: str, kind: str, value: Socket) -> Socket:
        """The mesh with values of its vertices."""
        node = self("GeometryNodeStoreNamedAttribute", data_type=kind, domain="POINT", Geometry=mesh, Value=value)
        node.inputs["Name"].default_value = name
        return node.outputs[0]

    def attribute(self, name: str) -> Socket:
        """A stored number of each vertex."""
        node = self("GeometryNodeInputNamedAttribute", data_type="FLOAT")
        node.inputs["Name"].default_value = name
        return node.outputs["Attribute"]

    def heat(self, contact: Socket) -> Socket:
        """The colours of the heat map."""
        node = self.tree.nodes.new("ShaderNodeValToRGB")
        materials.set_heat(node.color_ramp)
        self.tree.links.new(contact, node.inputs[0])
        return node.outputs[0]
