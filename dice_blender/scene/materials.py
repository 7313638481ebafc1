# SPDX-License-Identifier: GPL-3.0-or-later
"""Skin, eyes, mouth and the contact heat map. A material that the file already has is used as it stands."""

from __future__ import annotations

from collections.abc import Callable

import bpy
import numpy as np
from numpy.typing import NDArray

from ..compat import node_tree
from . import naming

SKIN_COLOR = (0.54, 0.29, 0.20)  # linear RGB
HEAT_STOPS = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
HEAT_COLORS = np.array(  # linear RGB: pale where nothing touches, through orange to dark red
    [[0.60, 0.60, 0.60], [0.85, 0.62, 0.22], [0.90, 0.25, 0.03], [0.65, 0.03, 0.02], [0.25, 0.0, 0.02]]
)


def heat(contact: NDArray) -> NDArray[np.float32]:
    """(V,) contact probabilities -> (V, 4) linear RGBA of the heat map."""
    channels = [np.interp(contact, HEAT_STOPS, channel) for channel in HEAT_COLORS.T]
    return np.stack([*channels, np.ones(len(contact))], axis=1).astype(np.float32)


def set_heat(ramp: bpy.types.ColorRamp) -> None:
    """Make it the heat map."""
    for stop in HEAT_STOPS[1:-1]:
        ramp.elements.new(stop)
    for element, color in zip(ramp.elements, heat(HEAT_STOPS), strict=True):
        element.color = color


def skin() -> bpy.types.Material:
    """Skin that lets some light through."""

    def shade(material: bpy.types.Material) -> None:
        shader = _principled(material, SKIN_COLOR, 0.5)
        material.diffuse_color = (0.80, 0.52, 0.41, 1.0)  # Solid view's lights are dim
        shader.inputs["Subsurface Weight"].default_value = 0.3
        shader.inputs["Subsurface Radius"].default_value = (0.012, 0.004, 0.002)  # metres; red goes deepest
        shader.inputs["Subsurface Scale"].default_value = 1.0
        shader.inputs["Specular IOR Level"].default_value = 0.4

    return _material(naming.SKIN_MATERIAL, shade)


def eyes() -> bpy.types.Material:
    """The eyeballs of the open head."""
    return _material(naming.EYES_MATERIAL, lambda material: _principled(material, (0.80, 0.78, 0.75), 0.1))


def irises() -> bpy.types.Material:
    """Their irises."""
    return _material(naming.IRISES_MATERIAL, lambda material: _principled(material, (0.05, 0.025, 0.012), 0.05))


def mouth() -> bpy.types.Material:
    """The inside of the open head's mouth."""
    return _material(naming.MOUTH_MATERIAL, lambda material: _principled(material, (0.30, 0.07, 0.06), 0.4))


def contact() -> bpy.types.Material:
    """The attribute `dice_contact` as a heat map."""

    def shade(material: bpy.types.Material) -> None:
        shader = _principled(material, tuple(HEAT_COLORS[0]), 0.6)
        nodes, links = shader.id_data.nodes, shader.id_data.links
        attribute = nodes.new("ShaderNodeAttribute")
        attribute.attribute_name = naming.CONTACT_ATTRIBUTE
        attribute.location = (-600, 200)
        ramp = nodes.new("ShaderNodeValToRGB")
        ramp.location = (-350, 200)
        set_heat(ramp.color_ramp)
        links.new(attribute.outputs["Fac"], ramp.inputs["Fac"])
        links.new(ramp.outputs["Color"], shader.inputs["Base Color"])

    return _material(naming.CONTACT_MATERIAL, shade)


def _material(name: str, shade: Callable[[bpy.types.Material], object]) -> bpy.types.Material:
    material = bpy.data.materials.get(name)
    if material is None:
        material = bpy.data.materials.new(name)
        material[naming.OURS] = True
        shade(material)
    return material


def _principled(material: bpy.types.Material, color: tuple[float, ...], roughness: float) -> bpy.types.ShaderNode:
    material.diffuse_color = (*color, 1.0)  # Solid view
    material.roughness = roughness
    shader = next(node for node in node_tree(material).nodes if node.type == "BSDF_PRINCIPLED")
    shader.inputs["Base Color"].default_value = (*color, 1.0)
    shader.inputs["Roughness"].default_value = roughness
    return shader
