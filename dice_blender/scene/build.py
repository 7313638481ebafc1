# SPDX-License-Identifier: GPL-3.0-or-later
"""One capture becomes one collection, or nothing changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import bpy

from ...dice_core.errors import DiceError
from ...dice_core.types import Capture
from ..compat import unused
from . import naming, photo, photo_material
from .apart import data_blocks
from .cache_mesh import carriers_of
from .camera import match_scene
from .contact import materials_of
from .fill import fill
from .kept import kept

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
        The photograph to show behind, if it is at hand. Of a movie, the frame comes with the capture.
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
        frame = capture.frame if capture.picture else None  # of a movie
        collection = bpy.data.collections.new(naming.collection_name(capture.source, frame))
        image = photo.behind(capture, picture, pack)
        made = fill(collection, capture, image)
        scene.collection.children.link(collection)
        if match:
            match_scene(scene, made["camera"], capture.camera.image_size)
    return collection


def rebuild(collection: bpy.types.Collection, scene: bpy.types.Scene, capture: Capture | None = None) -> None:
    """Make a capture's objects anew, whatever became of the old ones, which are gone then; its photograph stays.

    Parameters
    ----------
    collection
        Of a capture.
    scene
        Its camera becomes the new one where it was the old one, or none.
    capture
        To be shown and kept instead of the one that the collection keeps.

    Raises
    ------
    DiceError
        When there is nothing to build from, or something failed; nothing has changed then.
    """
    capture, image = capture or kept(collection), photograph(collection)
    replace_parts(collection, scene, lambda: fill(collection, capture, image))


def replace_parts(
    collection: bpy.types.Collection, scene: bpy.types.Scene, make: Callable[[], dict[str, bpy.types.Object]]
) -> None:
    """Let what `make` makes, objects in the collection by part, take the place of the collection's parts."""
    old = parts(collection)
    with all_or_nothing(scene):
        made = make()
    names = {part: item.name for part, item in old.items()}
    for part, item in old.items():
        for holder in item.users_collection:  # or they would hold the new one twice
            holder.objects.unlink(item)
        if part in made:  # children, constraints, the scene's camera
            item.user_remap(made[part])
    _discard(list(old.values()))
    scene.camera = scene.camera or made["camera"]
    for item in collection.all_objects:
        if item not in made.values():  # copies are the user's
            item.pop(naming.PART, None)
    for part, item in made.items():
        item.name = item.data.name = names.get(part, naming.OBJECTS[part])


def parts(collection: bpy.types.Collection) -> dict[str, bpy.types.Object]:
    """The capture's objects by part, those of `naming.OBJECTS`: `head`, `hand_right`, `camera`, `head_rig`, ...

    Also those that the user moved into other collections; copies that the user made do not count.
    """
    found: dict[str, bpy.types.Object] = {}
    for item in collection.all_objects:  # those that were there first come first
        if naming.PART in item:
            found.setdefault(item[naming.PART], item)
    owner = collection.get(naming.OWNER)
    if owner and not set(collection[naming.MADE].split()) <= found.keys():
        for item in bpy.data.objects:
            if item.get(naming.OWNER) == owner and naming.PART in item and _moved(item):
                found.setdefault(item[naming.PART], item)
    return found


def _moved(item: bpy.types.Object) -> bool:
    """Whether an object is in collections that are no captures."""
    return bool(item.users_collection) and not any(naming.OWNER in one for one in item.users_collection)


def meshes(collection: bpy.types.Collection) -> list[bpy.types.Object]:
    """The capture's head and hands."""
    return [item for item in parts(collection).values() if item.type == "MESH"]


def photograph(collection: bpy.types.Collection) -> bpy.types.Image | None:
    """The image behind what the capture's camera sees; without a camera, the one that was there."""
    cameras = [item.data for item in parts(collection).values() if item.type == "CAMERA"]
    shown = [background.image for camera in cameras for background in camera.background_images]
    return next(filter(None, shown), collection.get(naming.PHOTOGRAPH))


def remove(collection: bpy.types.Collection) -> None:
    """Delete a capture and all that nothing else uses: meshes, cameras, the photograph, our materials.

    What else was put into its collection stays there.
    """
    items, image = list(parts(collection).values()), collection.get(naming.PHOTOGRAPH)
    for name in [name for name in collection.keys() if name.startswith("dice_")]:
        del collection[name]
    for scene in bpy.data.scenes:
        if scene.camera in items:
            others = (item for item in scene.objects if item.type == "CAMERA" and item not in items)
            scene.camera = next(others, None)
    _discard(items, image)
    if not collection.objects and not collection.children:
        bpy.data.collections.remove(collection)


def _discard(items: list[bpy.types.Object], image: bpy.types.Image | None = None) -> None:
    """Delete objects of ours and what only they use."""
    owned = {item.data for item in items} | ({image} - {None})
    for item in items:
        owned |= _moving(item)
        owned |= {one for one in materials_of(item) if naming.OURS in one or naming.PLAIN in one}
    for material in [data for data in owned if isinstance(data, bpy.types.Material)]:
        owned |= {
            one for one in photo_material.added(material)
            if not isinstance(one, bpy.types.Material) or naming.OURS in one
        }  # fmt: skip
    bpy.data.batch_remove(items)
    types = bpy.types
    # Users go before the used, and materials before those that they took the place of.
    for kind in (types.Object, types.Mesh, types.Armature, types.Camera, types.MovieClip, types.Action, types.NodeTree,
                 types.Material, types.Material, types.Image):  # fmt: skip
        gone = unused([data for data in owned if isinstance(data, kind)])
        owned -= gone
        bpy.data.batch_remove(gone)


def _moving(item: bpy.types.Object) -> set[bpy.types.ID]:
    """What lets an object of a sequence move: caches, nodes, clips, actions."""
    carriers = carriers_of(item)
    found = {*carriers, *(one.data for one in carriers), *(getattr(one, "node_group", None) for one in item.modifiers)}
    if item.type == "CAMERA":
        found |= {background.clip for background in item.data.background_images}
    found = {one for one in found if one and naming.OURS in one}
    owners = [item, item.data, getattr(item.data, "shape_keys", None), *found]
    return (found | {one.animation_data.action for one in owners if one and one.animation_data}) - {None}


@contextmanager
def all_or_nothing(scene: bpy.types.Scene) -> Iterator[None]:
    """Undo what the block made of the file when it fails."""
    before = {item.as_pointer() for item in data_blocks()}
    camera, render = scene.camera, {name: getattr(scene.render, name) for name in RENDER}
    try:
        yield
    except BaseException as error:
        bpy.data.batch_remove([item for item in data_blocks() if item.as_pointer() not in before])
        scene.camera = camera
        for name, value in render.items():
            setattr(scene.render, name, value)
        if isinstance(error, DiceError) or not isinstance(error, Exception):
            raise
        raise DiceError(
            f"The scene could not be built ({type(error).__name__}: {error}).", "Please report it with this message."
        ) from error
