# SPDX-License-Identifier: GPL-3.0-or-later
"""Contact per vertex as attribute, vertex group and heat map, and the switch between skin and heat map."""

from __future__ import annotations

from collections.abc import Iterable

import bpy
import numpy as np
from numpy.typing import NDArray

from ..compat import node_input
from . import materials, naming

LEAST = 0.05  # less likely contact stays out of the vertex group, so that selecting it selects what touches


def add_contact(item: bpy.types.Object, contact: NDArray) -> None:
    """Give the mesh object the (V,) contact probabilities, 0..1, also in place of others.

    They become the attribute `dice_contact`, the vertex group `Contact` (without the vertices below LEAST) and the
    colours `dice_contact_color`.
    """
    mesh = item.data
    values = mesh.attributes.get(naming.CONTACT_ATTRIBUTE)
    values = values or mesh.attributes.new(naming.CONTACT_ATTRIBUTE, "FLOAT", "POINT")
    values.data.foreach_set("value", contact.astype(np.float32))
    colors = mesh.color_attributes.get(naming.HEAT_ATTRIBUTE)
    colors = colors or mesh.color_attributes.new(naming.HEAT_ATTRIBUTE, "FLOAT_COLOR", "POINT")
    colors.data.foreach_set("color", np.ravel(materials.heat(contact)))
    mesh.color_attributes.active_color = colors
    group = item.vertex_groups.get(naming.CONTACT_GROUP)
    if group is not None:
        group.remove(range(len(contact)))
    _fill(group or item.vertex_groups.new(name=naming.CONTACT_GROUP), contact, LEAST)


def prepare_contact(item: bpy.types.Object) -> None:
    """Let nodes fill in what `add_contact` gives, whose values take as much room in a file as the mesh."""
    item.vertex_groups.new(name=naming.CONTACT_GROUP)
    item.data.attributes.active_color_name = naming.HEAT_ATTRIBUTE


def set_threshold(item: bpy.types.Object, least: float) -> int:
    """Put the vertices whose contact is at least so probable into `Contact`, and only those; gives how many.

    A group or an attribute that the user removed is left alone: 0. Of a sequence that nodes move, this holds for all
    frames, and the present one counts.
    """
    nodes = item.modifiers.get(naming.SEQUENCE)
    if nodes is not None and nodes.type == "NODES" and nodes.node_group:
        node_input(nodes, naming.THRESHOLD).value = max(least, LEAST)
        item = item.evaluated_get(bpy.context.evaluated_depsgraph_get())
        return int((_values(item) >= max(least, LEAST)).sum())
    group = item.vertex_groups.get(naming.CONTACT_GROUP)
    contact = _values(item)
    if group is None or not len(contact):
        return 0
    group.remove(range(len(contact)))
    return _fill(group, contact, least)


def _values(item: bpy.types.Object) -> NDArray[np.float32]:
    """(V,) the attribute `dice_contact`; empty when it is gone."""
    attribute = item.data.attributes.get(naming.CONTACT_ATTRIBUTE)
    contact = np.zeros(len(attribute.data) if attribute else 0, np.float32)
    if attribute:
        attribute.data.foreach_get("value", contact)
    return contact


def _fill(group: bpy.types.VertexGroup, contact: NDArray, least: float) -> int:
    # 3 ms; the attribute operator would need the object in a view layer
    chosen = np.flatnonzero(contact >= max(least, LEAST)).tolist()
    for vertex in chosen:
        group.add((vertex,), float(contact[vertex]), "REPLACE")
    return len(chosen)


def add_materials(item: bpy.types.Object, surfaces: Iterable[bpy.types.Material]) -> None:
    """Give the mesh its surface materials and the object the heat map.

    Every slot holds two materials: the mesh's own, and behind it the object's, the heat map. `show` chooses.
    """
    heat_map = materials.contact()
    for index, surface in enumerate(surfaces):
        item.data.materials.append(surface)
        slot = item.material_slots[index]
        slot.link = "OBJECT"
        slot.material = heat_map
        slot.link = "DATA"


def materials_of(item: bpy.types.Object) -> set[bpy.types.Material]:
    """All materials that the slots hold, shown or not; afterwards the mesh's own are shown."""
    found = set()
    for slot in item.material_slots:
        for slot.link in ("OBJECT", "DATA"):
            found.add(slot.material)
    return found - {None}


def show(items: Iterable[bpy.types.Object], contact: bool) -> None:
    """Show the contact heat map on the objects, or their own materials."""
    for slot in (slot for item in items for slot in item.material_slots):
        slot.link = "OBJECT" if contact else "DATA"
        if slot.material is None:  # a slot that the user added
            slot.link = "DATA"


def is_shown(item: bpy.types.Object) -> bool:
    """Whether the object shows the heat map."""
    return any(slot.link == "OBJECT" for slot in item.material_slots)
