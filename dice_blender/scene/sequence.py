# SPDX-License-Identifier: GPL-3.0-or-later
"""One sequence becomes one collection that moves, or nothing changes."""

from __future__ import annotations

from pathlib import Path

import bpy

from ...dice_core.result.sequence import Sequence
from . import naming
from .build import all_or_nothing, parts, replace_parts
from .camera import match_scene
from .sequence_bake import bake_frame, bake_range
from .sequence_facts import check_vertices, folder_of, is_sequence, note, timing_of
from .sequence_fill import add_shapes, animate, fill_sequence
from .shape_frames import MANY, has_frames
from .timing import Timing, rate_of, set_range, set_rate

__all__ = [
    "bake_frame", "bake_range", "build_sequence", "folder_of", "is_sequence", "rebuild_sequence", "reset_sequence",
    "timing_of",
]  # fmt: skip

TOLERANCE = 0.005  # of turns 0.3 degrees, of places 0.5 mm, of expressions and probabilities 0.5 %
SAME = 1e-6  # by which two rates may differ


def build_sequence(
    sequence: Sequence | str | Path,
    scene: bpy.types.Scene,
    *,
    layout: str = "auto",
    timing: str = "scene",
    first_frame: float | None = None,
    step: float = 0.0,
    tolerance: float = TOLERANCE,
    match: bool = True,
) -> bpy.types.Collection:
    """Put a captured sequence into the scene.

    Parameters
    ----------
    sequence
        The sequence or its folder.
    scene
        Where the new collection goes.
    layout
        How meshes move: `shape_keys`, one a frame; `caches`, the files in the folder, which the .blend needs then;
        `auto`: shape keys up to 250 frames.
    timing
        When its frame rate is not the scene's: `scene` plays it at its own speed in the scene's rate, `source` gives
        the scene its rate and its range.
    first_frame
        Where in the scene it begins; the scene's first one when left out.
    step
        Frames of the scene from one frame to the next, of footage that the scene shows already, as a clip or a strip
        do, whatever their rates. 0: by `timing`.
    tolerance
        How far curves may be from what was captured, so that a few keys will do: turns of bones about so many radians,
        their places as many decimetres, expressions and probabilities as much of 1. 0 keeps everything.
    match
        Make the capture's camera the scene's, and the render as large as the pictures.

    Returns
    -------
    bpy.types.Collection
        As of `build.build`, and `Head Rig`, `Hand Rig.R`, `Hand Rig.L`.

    Raises
    ------
    DiceError
        When the folder holds no whole sequence, or something failed; nothing is left behind then.
    """
    sequence = sequence if isinstance(sequence, Sequence) else Sequence.load(sequence)
    info = sequence.info
    speed = 1 / step if step else 1.0 if timing == "source" else info.rate / rate_of(scene)
    speed = 1.0 if abs(speed - 1) < SAME else speed
    timed = Timing(scene.frame_start if first_frame is None else first_frame, speed, info.count)
    caches = info.count > MANY if layout == "auto" else layout == "caches"
    with all_or_nothing(scene):
        collection = bpy.data.collections.new(naming.collection_name(info.source))
        made = fill_sequence(collection, sequence, timed, caches=caches, tolerance=tolerance)
        scene.collection.children.link(collection)
        if match:
            match_scene(scene, made["camera"], info.image_size)
        if timing == "source":
            set_rate(scene, info.rate)
            set_range(scene, timed)
    return collection


def rebuild_sequence(collection: bpy.types.Collection, scene: bpy.types.Scene) -> None:
    """Show what is in the sequence's folder now, after it was smoothed anew.

    Curves and shape keys are written anew, caches are read anew. Objects, materials, and what else was made of them
    stay; parts that were deleted stay away.

    Raises
    ------
    DiceError
        When the folder holds no whole sequence of as many vertices any more; nothing has changed then.
    """
    sequence = Sequence.load(folder_of(collection))
    made, timing = parts(collection), timing_of(collection, sequence.info.count)
    there = {part: made[part] for part in sequence.parts if part in made}
    for part, item in there.items():
        check_vertices(item, len(sequence.parts[part].bone_weights))
    for item in there.values():
        if has_frames(item):
            first, last = item[naming.POSITIONS]
            add_shapes(item, sequence, range(first, min(last + 1, timing.count)), timing)
    note(collection, sequence, timing, collection[naming.TOLERANCE])
    animate(made, sequence, timing, collection[naming.TOLERANCE])
    scene.frame_set(scene.frame_current, subframe=scene.frame_subframe)


def reset_sequence(collection: bpy.types.Collection, scene: bpy.types.Scene) -> None:
    """Make a sequence's objects anew, whatever became of the old ones, which are gone then.

    Raises
    ------
    DiceError
        When the folder holds no whole sequence any more, or something failed; nothing has changed then.
    """
    sequence = Sequence.load(folder_of(collection))
    timing, tolerance = timing_of(collection, sequence.info.count), collection[naming.TOLERANCE]
    caches = not any(naming.POSITIONS in item for item in parts(collection).values())
    replace_parts(
        collection, scene, lambda: fill_sequence(collection, sequence, timing, caches=caches, tolerance=tolerance)
    )
