# SPDX-License-Identifier: GPL-3.0-or-later
"""The photograph as the colour of the skin that it shows."""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import numpy as np
from numpy.typing import NDArray

from ...dice_core.errors import DiceError
from ...dice_core.types import Camera, Capture
from . import build, materials, meshes, naming, photo, photo_material, spread
from .kept import kept
from .visibility import pixels, seen

CLEARLY, FEWEST = 0.5, 20  # what is seen better tells the colour of the skin, if it is that many vertices
SHAPE = 0.01  # by how much the ratio of the sides may differ from the captured picture's
MOST_UV_MAPS = 8  # Blender's own limit
EYES = (meshes.EYES, meshes.IRISES)


@dataclass(frozen=True)
class Projected:
    """What the photograph says about one mesh.

    Attributes
    ----------
    item
        The mesh object.
    uv
        (V, 2) where the camera saw the vertices: from 0 to 1 in the picture, v up.
    seen
        (V,) how well, 0..1.
    skin
        (V,) which vertices are skin.
    pairs
        Skin beside skin.
    """

    item: bpy.types.Object
    uv: NDArray[np.float64]
    seen: NDArray[np.float64]
    skin: NDArray[np.bool_]
    pairs: spread.Pairs


def project_photo(collection: bpy.types.Collection) -> None:
    """Give a capture's head and hands the colours of its photograph, where the camera saw them.

    Each mesh gets the UV map `Photo` (the picture's own coordinates), the attributes `dice_seen` (0..1) and `dice_skin`
    (the skin's colour, continued where the camera saw none) and materials of its own, in which the photograph covers
    what there was.

    Raises
    ------
    DiceError
        When the capture has no photograph or another one, or a mesh was edited; nothing has changed then.
    """
    capture, image = kept(collection), _photograph(collection)
    _check_shape(image, capture.camera)
    projected = _project(collection, capture)
    known = [one.skin & (one.seen > CLEARLY) for one in projected]
    colors = photo.sample(image, np.concatenate([one.uv for one in projected]))
    everywhere = colors[np.concatenate(known)]
    for one, clear in zip(projected, known, strict=True):
        own, colors = np.split(colors, [len(one.uv)])
        typical = own[clear] if clear.sum() >= FEWEST else everywhere
        skin = np.median(typical, 0) if len(typical) else np.array(materials.SKIN_COLOR)
        _store(one, spread.filled(own, clear, skin, one.pairs))
        photo_material.show_projected(one.item, image, skin)


def _photograph(collection: bpy.types.Collection) -> bpy.types.Image:
    image = build.photograph(collection)
    if image is None:
        raise DiceError(
            f"{collection.name} has no photograph.", "Give its camera the captured picture as background image."
        )
    if image.source in photo.REFUSED or not all(image.size):  # asking for the size loads it
        raise DiceError(f"The pixels of {image.name} cannot be read.", "Give the camera the captured picture again.")
    return image


def _check_shape(image: bpy.types.Image, camera: Camera) -> None:
    (wide, high), (width, height) = image.size, camera.image_size  # it may be a smaller copy
    if abs(wide * height / (high * width) - 1) > SHAPE:
        raise DiceError(
            f"{image.name} has {wide} x {high} pixels, but the capture was made from {width} x {height}.",
            "Give its camera the photograph that was captured.",
        )


def _project(collection: bpy.types.Collection, capture: Capture) -> list[Projected]:
    shapes = {f"hand_{hand.side}": (hand.vertices, hand.faces) for hand in capture.hands}
    if capture.head is not None:
        shapes["head"] = capture.head.vertices + capture.head.deformation, capture.head.faces
    items = [item for item in build.meshes(collection) if item[naming.PART] in shapes]
    for item in items:
        _check_mesh(item, len(shapes[item[naming.PART]][0]))
    if not items:
        raise DiceError(f"{collection.name} has no head or hand.", "Capture the photograph again.")
    visible = dict(zip(shapes, seen(capture.camera, list(shapes.values())), strict=True))
    return [_projected(item, capture.camera, *shapes[item[naming.PART]], visible[item[naming.PART]]) for item in items]


def _projected(
    item: bpy.types.Object, camera: Camera, vertices: NDArray, faces: NDArray, visible: NDArray
) -> Projected:
    pairs = spread.pairs_of(faces)
    skin, eyes = _in_slots(item, (meshes.SKIN,)), _in_slots(item, EYES)
    # Eyelids hide most of an eyeball's few vertices: what is beside a visible one is shown as well.
    fading = np.where(eyes, spread.widened(visible, pairs), spread.softened(visible, pairs))
    uv = pixels(camera, vertices) / camera.image_size * [1, -1] + [0, 1]
    return Projected(item, uv, fading, skin, pairs[:, skin[pairs].all(0)])


def _check_mesh(item: bpy.types.Object, count: int) -> None:
    if item.mode == "EDIT":
        raise DiceError(f"{item.name} is being edited.", "Return to Object Mode first.")
    if len(item.data.vertices) != count:
        raise DiceError(
            f"{item.name} was edited: it has {len(item.data.vertices)} vertices, and had {count}.",
            "Undo what changed them, or import the capture again.",
        )
    layers = item.data.uv_layers
    if naming.PHOTO_UV not in layers and len(layers) >= MOST_UV_MAPS:
        raise DiceError(f"{item.name} has {len(layers)} UV maps, as many as Blender allows.", "Remove one of them.")


def _in_slots(item: bpy.types.Object, chosen: tuple[int, ...]) -> NDArray[np.bool_]:
    """(V,) which vertices belong to faces of these material slots."""
    mesh = item.data
    slots, sizes = np.zeros(len(mesh.polygons), np.int32), np.zeros(len(mesh.polygons), np.int32)
    mesh.polygons.foreach_get("material_index", slots)
    mesh.polygons.foreach_get("loop_total", sizes)
    found = np.zeros(len(mesh.vertices), bool)
    found[_corners(mesh)[np.repeat(np.isin(slots, chosen), sizes)]] = True
    return found


def _corners(mesh: bpy.types.Mesh) -> NDArray[np.int32]:
    """(L,) the vertex of each loop."""
    corners = np.zeros(len(mesh.loops), np.int32)
    mesh.loops.foreach_get("vertex_index", corners)
    return corners


def _store(one: Projected, skin: NDArray) -> None:
    """The UV map and the attributes."""
    mesh = one.item.data
    layer = mesh.uv_layers.get(naming.PHOTO_UV) or mesh.uv_layers.new(name=naming.PHOTO_UV, do_init=False)
    layer.uv.foreach_set("vector", one.uv[_corners(mesh)].astype(np.float32).ravel())
    mesh.uv_layers.active = layer  # what Solid view takes
    _attribute(mesh, naming.SEEN_ATTRIBUTE, "FLOAT").foreach_set("value", one.seen.astype(np.float32))
    opaque = np.column_stack([skin, np.ones(len(skin))]).astype(np.float32)
    _attribute(mesh, naming.SKIN_ATTRIBUTE, "FLOAT_COLOR").foreach_set("color", opaque.ravel())
    mesh.update()


def _attribute(mesh: bpy.types.Mesh, name: str, kind: str) -> bpy.types.bpy_prop_collection:
    return (mesh.attributes.get(name) or mesh.attributes.new(name, kind, "POINT")).data
