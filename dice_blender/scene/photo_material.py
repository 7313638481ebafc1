# SPDX-License-Identifier: GPL-3.0-or-later
"""The materials of a mesh that shows its photograph: copies of those it had, with another base colour.

Two branches of nodes can give that colour: the photograph as its camera saw the mesh, laid over the colour from before,
and a baked image. The one that was asked for last is linked.
"""

from __future__ import annotations

from collections.abc import Iterator

import bpy
from numpy.typing import NDArray

from ..compat import node_tree
from . import materials, meshes, naming

PHOTO, MIX, BAKED = "DICE Photo", "DICE Mix", "DICE Baked"  # names of nodes
COLUMN = 300  # between nodes


def show_projected(item: bpy.types.Object, image: bpy.types.Image, skin: NDArray) -> None:
    """Lay the photograph over the mesh object's colours.

    Parameters
    ----------
    item
        A mesh object with the UV map `Photo` and the attributes `dice_seen` and `dice_skin`.
    image
        The photograph.
    skin
        (3,) linear RGB of the person's skin, where one colour must do: Solid view, exporters.
    """
    for slot, shader in _shaders(item):
        tree, color = shader.id_data, shader.inputs["Base Color"]
        if slot == meshes.SKIN:
            color.default_value = item.data.materials[slot].diffuse_color = (*skin, 1.0)
        mix = tree.nodes.get(MIX) or _new_mix(shader, slot)
        photo = _image_node(shader, PHOTO, naming.PHOTO_UV, image)
        tree.links.new(photo.outputs["Color"], mix.inputs["B"])
        tree.links.new(mix.outputs["Result"], color)


def show_baked(item: bpy.types.Object, image: bpy.types.Image) -> None:
    """Let the baked image be the mesh object's colour, over the UV map `UVMap`."""
    for _, shader in _shaders(item):
        node = _image_node(shader, BAKED, naming.UV_MAP, image)
        shader.id_data.links.new(node.outputs["Color"], shader.inputs["Base Color"])


def added(material: bpy.types.Material) -> set[bpy.types.ID]:
    """What a material of this kind brought with it: its images, and the material that it took the place of."""
    if naming.PLAIN not in material:
        return set()
    nodes = (node_tree(material).nodes.get(name) for name in (PHOTO, BAKED))
    return {material[naming.PLAIN], *(node.image for node in nodes if node is not None)} - {None}


def _shaders(item: bpy.types.Object) -> Iterator[tuple[int, bpy.types.ShaderNode]]:
    """Slots and shaders of the mesh's own materials. Those without a Principled BSDF are the user's: left alone."""
    mesh = item.data
    if not mesh.materials:
        mesh.materials.append(None)
    for slot, material in enumerate(mesh.materials):
        material = material or materials.skin()
        if shader_of(material) is None:
            continue
        if naming.PLAIN not in material:
            material = mesh.materials[slot] = _copy(material, item[naming.PART], slot)
        yield slot, shader_of(material)


def _copy(plain: bpy.types.Material, part: str, slot: int) -> bpy.types.Material:
    """A copy for this mesh alone, which remembers what it stands for."""
    name = naming.PHOTO_MATERIAL.format(naming.OBJECTS[part])
    material = plain.copy()
    material.name = name if slot == meshes.SKIN else f"{name} {plain.name.removeprefix('DICE ')}"
    material[naming.PLAIN] = plain
    return material


def shader_of(material: bpy.types.Material) -> bpy.types.ShaderNode | None:
    """Its Principled BSDF, unless the user did without."""
    return next((node for node in node_tree(material).nodes if node.type == "BSDF_PRINCIPLED"), None)


def _new_mix(shader: bpy.types.ShaderNode, slot: int) -> bpy.types.ShaderNode:
    """The colour that there was, or the skin's, and over it, as far as the camera saw the mesh, another."""
    links, color = shader.id_data.links, shader.inputs["Base Color"]
    x, y = shader.location
    mix = shader.id_data.nodes.new("ShaderNodeMix")
    mix.name = mix.label = MIX
    mix.data_type = "RGBA"
    mix.location = x - COLUMN, y
    links.new(_attribute(shader, naming.SEEN_ATTRIBUTE, y).outputs["Fac"], mix.inputs["Factor"])
    mix.inputs["A"].default_value = color.default_value
    if color.links:  # the user's own texture
        links.new(color.links[0].from_socket, mix.inputs["A"])
    elif slot == meshes.SKIN:
        links.new(_attribute(shader, naming.SKIN_ATTRIBUTE, y - COLUMN / 2).outputs["Color"], mix.inputs["A"])
    return mix


def _attribute(shader: bpy.types.ShaderNode, name: str, height: float) -> bpy.types.ShaderNode:
    node = shader.id_data.nodes.new("ShaderNodeAttribute")
    node.attribute_name = name
    node.location = shader.location[0] - 2 * COLUMN, height
    return node


def _image_node(shader: bpy.types.ShaderNode, name: str, uv: str, image: bpy.types.Image) -> bpy.types.ShaderNode:
    """The node of that name, made when missing, with this image; it is what texture painting and Solid view show."""
    nodes = shader.id_data.nodes
    node = nodes.get(name)
    if node is None:
        node = nodes.new("ShaderNodeTexImage")
        node.name = node.label = name
        node.extension = "EXTEND"
        node.location = shader.location[0] - 2 * COLUMN, shader.location[1] - (COLUMN if name == PHOTO else -COLUMN)
        where = nodes.new("ShaderNodeUVMap")
        where.uv_map = uv
        where.location = node.location[0] - COLUMN, node.location[1]
        shader.id_data.links.new(where.outputs["UV"], node.inputs["Vector"])
    node.image = image
    for other in nodes:
        other.select = other == node
    nodes.active = node
    return node
