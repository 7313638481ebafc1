# SPDX-License-Identifier: GPL-3.0-or-later
"""Functions for scripts that deal with moving pictures: `api` has them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import bpy

from ..dice_core.result.sequence import Sequence
from ..dice_core.types import Crop, Progress, silent
from . import preferences, sequence_folders, sequence_job
from .capture_job import Request
from .scene import moving, sequence_bake
from .scene.sequence import build_sequence, rebuild_sequence
from .scene.sequence_facts import folder_of


def capture_sequence(
    source: moving.Source,
    folder: str | Path,
    *,
    engine: str = "open",
    hand: str = "auto",
    crop: Crop | None = None,
    precision: str = "exact",
    fix_contact: bool = False,
    face: int = 0,
    start: int | None = None,
    end: int | None = None,
    rate: float = 0.0,
    smoothing: float = 0.5,
    resume: bool = False,
    layout: str = "auto",
    timing: str = "scene",
    scene: bpy.types.Scene | None = None,
    report: Progress = silent,
) -> bpy.types.Collection:
    """Capture moving pictures into a folder and build their animated scene. Blender waits meanwhile.

    Parameters
    ----------
    source
        A movie file, a folder of pictures, one picture of a numbered series, or several pictures in order; or what is
        in Blender: a movie clip, an image or movie strip.
    folder
        Where the sequence is kept; the .blend needs it. One that does not exist yet, or, to `resume`, the one of a
        capture that was interrupted.
    engine, hand, crop, precision, fix_contact, face
        As in `capture`.
    start, end
        The first frame and the last one, which belongs to it; the first of the source is 0. All that the source shows
        when left out.
    rate
        Frames a second of pictures; the scene's when left out.
    smoothing
        How much the motion is smoothed, 0 to 1; `smooth_sequence` changes it afterwards.
    resume
        Go on with what is in the folder, without looking again at what was seen.
    layout, timing
        As in `import_sequence`.
    scene
        Where to put the result; the context's scene when left out.
    report
        Called with the stage and the fraction done.

    Returns
    -------
    bpy.types.Collection
        The new collection; `parts` gives its objects.

    Raises
    ------
    DiceError
        With a message and a remedy. What was done before it is kept in the folder.
    """
    scene = scene or bpy.context.scene
    footage = moving.footage_of(source, scene).cut(start, end)
    footage = replace(footage, rate=rate or footage.rate)
    output = Path(bpy.path.abspath(str(folder))).absolute()
    sequence_folders.check_new(output, resume)
    request = Request(engine, hand, crop, precision, fix_contact, face)
    ask = sequence_job.asking(footage, output, request, smoothing=smoothing, resume=resume)
    done = sequence_job.run(ask, output, runtime=preferences.runtime(), report=report)
    return import_sequence(
        done, layout=layout, timing=timing, first_frame=footage.first_frame, step=footage.step, scene=scene
    )


def import_sequence(
    folder: str | Path,
    *,
    layout: str = "auto",
    timing: str = "scene",
    first_frame: int | None = None,
    step: float = 0.0,
    match: bool = True,
    scene: bpy.types.Scene | None = None,
) -> bpy.types.Collection:
    """Build the animated scene of a sequence that was captured already.

    Parameters
    ----------
    folder
        Of the sequence.
    layout
        How meshes move: `shape_keys`, one a frame; `caches`, the files in the folder, which the .blend needs then;
        `auto`: shape keys up to 250 frames.
    timing
        When its frame rate is not the scene's: `scene` plays it at its own speed in the scene's rate, `source` gives
        the scene its rate and its range.
    first_frame
        Where in the scene it begins; the scene's first one when left out.
    step
        Frames of the scene from one frame to the next, to go with a clip or a strip; by `timing` when it is 0.
    match
        Make the capture's camera the scene's, and the render as large as the pictures.
    scene
        Where to put the result; the context's scene when left out.

    Returns
    -------
    bpy.types.Collection
        The new collection; `parts` gives its objects.

    Raises
    ------
    DiceError
        When the folder holds no whole sequence; nothing has changed then.
    """
    scene = scene or bpy.context.scene
    path = Path(bpy.path.abspath(str(folder))).absolute()
    sequence = Sequence.load(path)
    collection = build_sequence(
        sequence, scene, layout=layout, timing=timing, first_frame=first_frame, step=step, match=match
    )
    if hasattr(scene, "dice"):
        scene.dice.result = collection
        scene.dice.sequence.smoothing = sequence.info.settings.get("smoothing", 0.5)
    return collection


def smooth_sequence(
    collection: bpy.types.Collection,
    smoothing: float,
    *,
    scene: bpy.types.Scene | None = None,
    report: Progress = silent,
) -> None:
    """Smooth a sequence's motion anew, 0 to 1; nothing is captured again. Its curves and shapes are written anew.

    Raises
    ------
    DiceError
        When the sequence's folder is gone or cannot be written.
    """
    folder = folder_of(collection)
    ask = sequence_job.smoothing(folder, smoothing)
    sequence_job.run(ask, folder, runtime=preferences.runtime(), report=report)
    rebuild_sequence(collection, scene or bpy.context.scene)


def bake_frame(collection: bpy.types.Collection, *, scene: bpy.types.Scene | None = None) -> bpy.types.Collection:
    """Make what a sequence shows at the scene's current frame a capture of its own, with shape keys; gives it.

    It stands where the sequence's meshes stand, and all that can be done with a capture can be done with it. The
    sequence stays as it is.

    Raises
    ------
    DiceError
        When the sequence's folder is gone, or nothing is seen in that frame.
    """
    return sequence_bake.bake_frame(collection, scene or bpy.context.scene)


def bake_range(
    collection: bpy.types.Collection, start: int, end: int, *, scene: bpy.types.Scene | None = None
) -> str:
    """Let a sequence's meshes move by shape keys from one frame of the scene to another, both included.

    They stand still before and after, and need the sequence's folder no longer. Gives a sentence to warn of many shape
    keys, or an empty one.

    Raises
    ------
    DiceError
        When the sequence's folder is gone, or it has no frame there.
    """
    return sequence_bake.bake_range(collection, scene or bpy.context.scene, start, end)
