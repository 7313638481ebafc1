# SPDX-License-Identifier: GPL-3.0-or-later
"""A collection filled with the objects of a capture."""

from __future__ import annotations

import uuid
from dataclasses import replace

import bpy
import numpy as np
from numpy.typing import NDArray

from ...dice_core.types import Capture, Hand, Head
from . import axes, materials, naming
from .camera import add_camera, show_photo
from .contact import add_contact, add_materials
from .deformation import add_deformation
from .kept import keep
from .meshes import new_mesh, surface_of

FACTS = ("engine", "source", "frame", "contact_state", "contact_probability")


def fill(
    collection: bpy.types.Collection, capture: Capture, image: bpy.types.Image | None
) -> dict[str, bpy.types.Object]:
    """Put the capture's objects and facts into the collection, the photograph behind its cameras; gives the objects."""
    origin, made = axes.ground(capture), {}
    if capture.head is not None:
        made["head"] = _head(capture.head, origin)
    for hand in capture.hands:
        made[f"hand_{hand.side}"] = _hand(hand, origin)
    made["camera"] = add_camera(capture.camera, *_depths(capture), origin)
    if capture.camera.model == "orthographic" and capture.camera.matrix is not None:
        seen = replace(capture.camera, ortho=None)
        made["camera_perspective"] = add_camera(seen, *_depths(capture), origin, naming.PERSPECTIVE)
    for part, item in made.items():
        link(collection, part, item)
        if item.type == "CAMERA" and image is not None:
            show_photo(item, image)
    collection[naming.MADE] = " ".join(made)
    if image is not None:
        collection[naming.PHOTOGRAPH] = image
    _note(collection, capture)
    keep(collection, capture)
    return made


def link(collection: bpy.types.Collection, part: str, item: bpy.types.Object) -> None:
    """Make the object a part of the capture."""
    if naming.OWNER not in collection:
        collection[naming.OWNER] = uuid.uuid4().hex
    item[naming.PART], item[naming.OWNER] = part, collection[naming.OWNER]
    collection.objects.link(item)


def body(part: str, vertices: NDArray, faces: NDArray) -> bpy.types.Object:
    """A head or hand with texture coordinates and materials, in no collection yet: (V, 3) vertices, (F, 3) faces."""
    surface = surface_of(part.partition("_")[0], faces, len(vertices))
    surfaces = [materials.skin()]
    if part == "head" and surface is not None:  # in the order of the slots in `meshes`
        surfaces += [materials.mouth(), materials.eyes(), materials.irises()]
    mesh = new_mesh(naming.OBJECTS[part], vertices, faces, surface)
    item = bpy.data.objects.new(mesh.name, mesh)
    add_materials(item, surfaces)
    item.color = surfaces[0].diffuse_color
    return item


def _head(head: Head, origin: NDArray) -> bpy.types.Object:
    item = body("head", axes.to_world(head.vertices, origin), head.faces)
    add_deformation(item, axes.to_world(head.deformation, np.zeros(3)))
    add_contact(item, head.contact)
    return item


def _hand(hand: Hand, origin: NDArray) -> bpy.types.Object:
    item = body(f"hand_{hand.side}", axes.to_world(hand.vertices, origin), hand.faces)
    add_deformation(item, np.zeros((len(hand.vertices), 3)))
    add_contact(item, hand.contact)
    return item


def _depths(capture: Capture) -> tuple[float, float]:
    found = [mesh.vertices[:, 2] for mesh in (capture.head, *capture.hands) if mesh is not None]
    depths = np.concatenate(found) if found else np.ones(1)
    return float(depths.min()), float(depths.max())


def _note(collection: bpy.types.Collection, capture: Capture) -> None:
    """The facts as custom properties, where the panel and scripts find them without the result file."""
    for name in FACTS:
        collection[f"dice_{name}"] = getattr(capture, name)
    collection["dice_quality"] = dict(capture.quality)
    collection["dice_seconds"] = dict(capture.timings)
    collection["dice_notes"] = "\n".join(capture.notes)
