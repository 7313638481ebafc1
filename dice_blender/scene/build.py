# SPDX-License-Identifier: GPL-3.0-or-later
"""One capture becomes one collection, or nothing changes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import bpy
import numpy as np
from numpy.typing import NDArray

from ...dice_core.errors import DiceError
from ...dice_core.types import Capture, Hand, Head
from . import axes, materials, naming, photo
from .camera import add_camera, match_scene, show_photo
from .contact import add_contact, add_materials, materials_of
from .deformation import add_deformation
from .kept import keep
from .meshes import new_mesh, surface_of

FACTS = ("engine", "source", "frame", "contact_state", "contact_probability")
RENDER = ("resolution_x", "resolution_y", "resolution_percentage", "pixel_aspect_x", "pixel_aspect_y")


def build(
    capture: Capture,
    picture: photo.Photo | None,
    scene: bpy.types.Scene,
    *,
    pack: bool = True,
    match: bool = True,
) -> bpy.types.Collection:
    """Put a capture into the scene.

    Parameters
    ----------
    capture
        What an engine found.
    picture
        The photograph to show behind, if it is at hand.
    scene
        Where the new collection goes.
    pack
        Keep a copy of the photograph in the .blend.
    match
        Make the capture's camera the scene's, and the render as large as the photograph.

    Returns
    -------
    bpy.types.Collection
        Holds `Head`, `Hand.R`, `Hand.L` (those that were found), `Camera` and, where an orthographic camera has a
        perspective counterpart, `Camera Perspective`; `parts` tells them apart.

    Raises
    ------
    DiceError
        When something failed; nothing is left behind then.
    """
    with all_or_nothing(scene):
        origin = axes.ground(capture)
        collection = bpy.data.collections.new(naming.collection_name(capture.source))
        if capture.head is not None:
            _link(collection, "head", _head(capture.head, origin))
        for hand in capture.hands:
            _link(collection, f"hand_{hand.side}", _hand(hand, origin))
        camera = add_camera(capture.camera, *_depths(capture), origin)
        _link(collection, "camera", camera)
        cameras = [camera]
        if capture.camera.model == "orthographic" and capture.camera.matrix is not None:
            seen = replace(capture.camera, ortho=None)
            cameras.append(add_camera(seen, *_depths(capture), origin, naming.PERSPECTIVE))
            _link(collection, "camera_perspective", cameras[-1])
        if picture is not None:
            image = photo.show(picture, capture.camera.image_size, pack)
            for one in cameras:
                show_photo(one, image)
        _note(collection, capture)
        keep(collection, capture)
        scene.collection.children.link(collection)
        if match:
            match_scene(scene, camera, capture.camera.image_size)
    return collection


def parts(collection: bpy.types.Collection) -> dict[str, bpy.types.Object]:
    """The capture's objects by part: `head`, `hand_right`, `hand_left`, `camera`, `camera_perspective`."""
    return {item[naming.PART]: item for item in collection.objects if naming.PART in item}


def meshes(collection: bpy.types.Collection) -> list[bpy.types.Object]:
    """The capture's head and hands."""
    return [item for item in parts(collection).values() if item.type == "MESH"]


def remove(collection: bpy.types.Collection) -> None:
    """Delete a capture and all that nothing else uses: meshes, cameras, the photograph, materials.

    What else was put into its collection stays there.
    """
    items = list(parts(collection).values())
    owned = {item.data for item in items}
    for item in items:
        if item.type == "CAMERA":
            owned |= {background.image for background in item.data.background_images if background.image}
        owned |= materials_of(item)
    bpy.data.batch_remove(items)
    for kind in (bpy.types.Mesh, bpy.types.Camera, bpy.types.Image, bpy.types.Material):  # users go before the used
        bpy.data.batch_remove([data for data in owned if isinstance(data, kind) and not data.users])
        owned = {data for data in owned if not isinstance(data, kind)}
    if not collection.objects and not collection.children:
        bpy.data.collections.remove(collection)


@contextmanager
def all_or_nothing(scene: bpy.types.Scene) -> Iterator[None]:
    """Undo what the block made of the file when it fails."""
    before = {item.as_pointer() for item in _data_blocks()}
    camera, render = scene.camera, {name: getattr(scene.render, name) for name in RENDER}
    try:
        yield
    except BaseException as error:
        bpy.data.batch_remove([item for item in _data_blocks() if item.as_pointer() not in before])
        scene.camera = camera
        for name, value in render.items():
            setattr(scene.render, name, value)
        if isinstance(error, DiceError) or not isinstance(error, Exception):
            raise
        raise DiceError(
            f"The scene could not be built ({type(error).__name__}: {error}).", "Please report it with this message."
        ) from error


def _data_blocks() -> Iterator[bpy.types.ID]:
    data = bpy.data
    for kind in (data.collections, data.objects, data.meshes, data.cameras, data.materials, data.images):
        yield from kind


def _head(head: Head, origin: NDArray) -> bpy.types.Object:
    surface = surface_of("head", head.faces, len(head.vertices))
    surfaces = [materials.skin()]
    if surface is not None:  # in the order of the slots in `meshes`
        surfaces += [materials.mouth(), materials.eyes(), materials.irises()]
    mesh = new_mesh(naming.HEAD, axes.to_world(head.vertices, origin), head.faces, surface)
    return _dress(mesh, axes.to_world(head.deformation, np.zeros(3)), head.contact, surfaces)


def _hand(hand: Hand, origin: NDArray) -> bpy.types.Object:
    surface = surface_of("hand", hand.faces, len(hand.vertices))
    mesh = new_mesh(naming.HANDS[hand.side], axes.to_world(hand.vertices, origin), hand.faces, surface)
    return _dress(mesh, np.zeros((len(hand.vertices), 3)), hand.contact, [materials.skin()])


def _dress(
    mesh: bpy.types.Mesh, displacement: NDArray, contact: NDArray, surfaces: list[bpy.types.Material]
) -> bpy.types.Object:
    item = bpy.data.objects.new(mesh.name, mesh)
    add_deformation(item, displacement)
    add_contact(item, contact)
    add_materials(item, surfaces)
    item.color = surfaces[0].diffuse_color
    return item


def _link(collection: bpy.types.Collection, part: str, item: bpy.types.Object) -> None:
    item[naming.PART] = part
    collection.objects.link(item)


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
