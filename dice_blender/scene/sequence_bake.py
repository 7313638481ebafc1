# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames of a sequence as shape keys: one as a capture of its own, or a range in the meshes that move."""

from __future__ import annotations

import math

import bpy
import numpy as np
from mathutils import Matrix

from ...dice_core.errors import DiceError
from ...dice_core.result.sequence import Sequence
from . import axes, naming, photo
from .build import build, parts
from .cache_mesh import remove_caches
from .deformation import key_of
from .plate import picture_of
from .sequence_facts import check_vertices, factor_of, folder_of, timing_of
from .sequence_fill import add_shapes
from .shape_frames import MANY


def bake_frame(collection: bpy.types.Collection, scene: bpy.types.Scene) -> bpy.types.Collection:
    """Make what a sequence shows at the scene's current frame a capture of its own, which does not move.

    It stands where the sequence's meshes stand now, as deformed as they are, has `Basis` and `Deformation` shape keys,
    and all that can be done with a capture can be done with it: rig, expressions, export. Parts that are not seen there
    are left out. The photograph is behind its camera when the sequence was captured from picture files that are still
    there.

    Parameters
    ----------
    collection
        Of the sequence; it stays as it is.
    scene
        Where the new collection goes.

    Returns
    -------
    bpy.types.Collection
        As of `build.build`.

    Raises
    ------
    DiceError
        When the sequence's folder is gone or damaged, or nothing is seen in that frame; nothing has changed then.
    """
    sequence = Sequence.load(folder_of(collection))
    k = timing_of(collection, sequence.info.count).position(scene.frame_current_final)
    capture = sequence.capture(k)
    if capture.head is None and not capture.hands:
        raise DiceError(f"{collection.name} shows nothing at frame {scene.frame_current}.", "Go to another frame.")
    path = picture_of(sequence.info, k)
    made = build(capture, photo.from_path(path) if path else None, scene, match=False)
    made.name = naming.collection_name(capture.source, capture.frame)
    scene.view_layers[0].update()
    moving, shift = parts(collection), Matrix.Translation(axes.to_world(axes.ground(capture), np.zeros(3)))
    places = {part: moving[part].matrix_world @ shift for part in sequence.parts if part in moving}
    whole = next(iter(places.values()), shift)
    for part, item in parts(made).items():
        item.matrix_world = places.get(part, whole @ item.matrix_basis)
    if "head" in moving and capture.head is not None:
        key_of(parts(made)["head"]).value = factor_of(moving["head"])
    return made


def bake_range(collection: bpy.types.Collection, scene: bpy.types.Scene, start: int, end: int) -> str:
    """Let a sequence's meshes move by shape keys between two frames of the scene, and stand still before and after.

    The caches are needed no longer then, neither are the modifiers that read them. The contact that is shown is the
    largest of all those frames. Bones and expressions go on as they were.

    Parameters
    ----------
    collection
        Of the sequence.
    scene
        That it is in.
    start, end
        Frames of the scene, both included.

    Returns
    -------
    str
        A sentence to warn the user, when that are many shape keys; empty otherwise.

    Raises
    ------
    DiceError
        When the sequence's folder is gone or damaged, its meshes were edited, or it has no frame there; nothing has
        changed then.
    """
    sequence = Sequence.load(folder_of(collection))
    timing = timing_of(collection, sequence.info.count)
    first = max(math.ceil((start - timing.first) * timing.speed - 1e-4), 0)
    last = min(math.floor((end - timing.first) * timing.speed + 1e-4), timing.count - 1)
    if first > last:
        raise DiceError(f"{collection.name} has no frame from {start} to {end}.", "Choose a range that it moves in.")
    items = {part: item for part, item in parts(collection).items() if part in sequence.parts}
    for part, item in items.items():
        check_vertices(item, len(sequence.parts[part].bone_weights))
    for item in items.values():
        item[naming.DEFORMATION] = factor_of(item)
        remove_caches(item)
        add_shapes(item, sequence, range(first, last + 1), timing)
    scene.frame_set(scene.frame_current, subframe=scene.frame_subframe)
    count = last + 1 - first
    return f"{count} shape keys a mesh play slowly and make a large file." if count > MANY else ""
