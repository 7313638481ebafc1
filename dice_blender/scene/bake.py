# SPDX-License-Identifier: GPL-3.0-or-later
"""The projected photograph as an image over each mesh's ordinary texture coordinates, which can be painted on."""

from __future__ import annotations

import bpy
import numpy as np
from numpy.typing import NDArray

from ...dice_core.errors import DiceError
from ..compat import node_tree, unused
from . import build, materials, naming, photo_material
from .apart import apart, shown
from .projection import MOST_UV_MAPS, project_photo

SIZES = (1024, 2048, 4096)
SAMPLES = 1
MARGIN = 1 / 128  # of the image's side, around each island
ISLANDS = 0.01  # between the islands of texture coordinates that we make


def bake_photo(collection: bpy.types.Collection, size: int = SIZES[1]) -> list[bpy.types.Image]:
    """Project a capture's photograph and bake the colour of each mesh into an image over its UV map `UVMap`.

    Meshes without that map (those of the official models have none) are unwrapped. The materials show the images
    afterwards, which are packed into the .blend and can be painted on.

    Parameters
    ----------
    collection
        The capture.
    size
        Width and height of the images in pixels.

    Returns
    -------
    list of bpy.types.Image
        One for each mesh, in the order of `build.meshes`.

    Raises
    ------
    DiceError
        As `project_photo` does, or when Cycles is switched off or fails; the materials are not changed then.
    """
    if not hasattr(bpy.types.Scene, "cycles"):
        raise DiceError("Cycles is switched off; it bakes.", "Enable Cycles Render Engine in the preferences' add-ons.")
    items = build.meshes(collection)
    for item in items:
        missing = sum(name not in item.data.uv_layers for name in (naming.UV_MAP, naming.PHOTO_UV))
        if len(item.data.uv_layers) + missing > MOST_UV_MAPS:
            raise DiceError(f"{item.name} has too many UV maps to get another.", "Remove one of them.")
    project_photo(collection)
    images: list[bpy.types.Image] = []
    try:
        for item in items:
            images.append(bpy.data.images.new("DICE", size, size))
            _unwrap(item)
            _bake(item, images[-1])
            images[-1].pack()
    except (DiceError, RuntimeError) as error:  # the second is how an operator's report reaches its caller
        bpy.data.batch_remove(images)
        if isinstance(error, DiceError):
            raise
        raise DiceError(f"The photograph could not be baked ({error}).", "Choose a smaller size.") from error
    shown_before = [material for item in items for material in item.data.materials if material is not None]
    before = {used for material in shown_before for used in photo_material.added(material)}
    for item, image in zip(items, images, strict=True):
        photo_material.show_baked(item, image)
    bpy.data.batch_remove(unused([used for used in before if isinstance(used, bpy.types.Image)]))
    for item, image in zip(items, images, strict=True):
        image.name = f"{collection.name} {naming.OBJECTS[item[naming.PART]]}"
        image.filepath_raw = f"//{image.name}.png"  # where Blender would unpack it to, and what exporters call it
    return images


def _bake(item: bpy.types.Object, image: bpy.types.Image) -> None:
    """The mesh object's base colour, written into the image."""
    with apart() as scene:
        mesh = item.data.copy()
        for slot, material in enumerate(mesh.materials):
            mesh.materials[slot] = _glowing(material or materials.skin(), image)
        scene.render.engine = "CYCLES"
        scene.cycles.device = "CPU"
        scene.cycles.samples = SAMPLES
        scene.cycles.use_denoising = False
        margin = round(MARGIN * image.size[0])
        with shown(scene, [bpy.data.objects.new(item.name, mesh)]):
            bpy.ops.object.bake(type="EMIT", uv_layer=naming.UV_MAP, margin=margin, use_clear=True)


def _glowing(material: bpy.types.Material, image: bpy.types.Image) -> bpy.types.Material:
    """A copy that gives its base colour off as light, with the image as the bake's target."""
    copy = material.copy()
    tree, shader = node_tree(copy), photo_material.shader_of(copy)
    light = tree.nodes.new("ShaderNodeEmission")
    light.inputs["Color"].default_value = copy.diffuse_color
    if shader is not None:
        color = shader.inputs["Base Color"]
        light.inputs["Color"].default_value = color.default_value
        for link in color.links[:1]:
            tree.links.new(link.from_socket, light.inputs["Color"])
    output = tree.get_output_node("CYCLES") or tree.nodes.new("ShaderNodeOutputMaterial")
    tree.links.new(light.outputs["Emission"], output.inputs["Surface"])
    target = tree.nodes.new("ShaderNodeTexImage")
    target.image = image
    tree.nodes.active = target
    return copy


def _unwrap(item: bpy.types.Object) -> None:
    """Make the UV map `UVMap` if there is none, and show it rather than the photograph's."""
    layers = item.data.uv_layers
    if naming.UV_MAP not in layers:
        if len(layers) >= MOST_UV_MAPS:
            raise DiceError(f"{item.name} has {len(layers)} UV maps, as many as Blender allows.", "Remove one of them.")
        coordinates = _smart(item.data)
        layers.new(name=naming.UV_MAP, do_init=False).uv.foreach_set("vector", coordinates)
    layers[naming.UV_MAP].active_render = True
    layers.active = layers[naming.UV_MAP]


def _smart(mesh: bpy.types.Mesh) -> NDArray[np.float32]:
    """(2 L,) texture coordinates of the mesh's loops from Blender's Smart UV Project."""
    with apart() as scene:
        copy = mesh.copy()
        copy.polygons.foreach_set("select", np.ones(len(copy.polygons), bool))
        while copy.uv_layers:
            copy.uv_layers.remove(copy.uv_layers[0])
        copy.uv_layers.new(name=naming.UV_MAP)
        item = bpy.data.objects.new(mesh.name, copy)
        with shown(scene, [item]):
            bpy.ops.object.mode_set(mode="EDIT")
        with shown(scene, [item], edit_object=item):
            bpy.ops.mesh.select_all(action="SELECT")
            bpy.ops.uv.smart_project(island_margin=ISLANDS)
            bpy.ops.object.mode_set(mode="OBJECT")
        coordinates = np.zeros(2 * len(copy.loops), np.float32)
        copy.uv_layers[0].uv.foreach_get("vector", coordinates)
    return coordinates
