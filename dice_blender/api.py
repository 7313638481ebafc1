# SPDX-License-Identifier: GPL-3.0-or-later
"""Functions for scripts. They wait for their result and need no window.

Example
-------
With the extension installed from a file, in Blender's Python console::

    from bl_ext.user_default.dice_capture.dice_blender import api

    collection = api.capture("//portrait.jpg")
    head = api.parts(collection)["head"]
    head.data.shape_keys.key_blocks["Deformation"].value = 2.0
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy

from ..dice_core.errors import DiceError
from ..dice_core.result import store
from ..dice_core.types import Capture, Crop, Progress, silent
from . import batch_job, capture_job, jobs, preferences
from .scene import contact, footage, photo
from .scene.armature import rig
from .scene.bake import bake_photo
from .scene.build import build, meshes, parts, photograph, rebuild, remove
from .scene.export import export_copy
from .scene.expressions import add_expressions
from .scene.kept import kept
from .scene.projection import project_photo
from .scene.sequence import is_sequence, reset_sequence
from .sequences import bake_frame, bake_range, capture_sequence, import_sequence, smooth_sequence

__all__ = [
    "DiceError", "add_expressions", "bake_frame", "bake_photo", "bake_range", "batch", "capture", "capture_sequence",
    "export_copy",
    "fix_contact", "import_capture", "import_sequence", "kept", "parts", "project_photo", "remove", "reset", "rig",
    "save", "set_contact_threshold", "show_contact", "smooth_sequence",
]  # fmt: skip


def capture(
    picture: footage.Source,
    *,
    engine: str = "open",
    hand: str = "auto",
    crop: Crop | None = None,
    precision: str = "exact",
    fix_contact: bool = False,
    face: int = 0,
    scene: bpy.types.Scene | None = None,
    report: Progress = silent,
) -> bpy.types.Collection:
    """Capture a photograph and build its scene. Blender waits meanwhile.

    Parameters
    ----------
    picture
        A picture file, or `(movie file, index of the frame)`, the first is 0; or what is in Blender: an image, a movie
        clip at the scene's current frame, an image or movie strip at the playhead of its own scene.
    engine
        `open`, or `dice`: the official network, once its files were converted (`python -m dice_core convert`).
    hand
        `auto`, `right`, `left` or `both`: the person's own.
    crop
        Left, top and side of a square in pixels of the picture: look at that part only.
    precision
        Of the dice engine: `exact`, or `fast` for TF32 on GPUs that have it.
    fix_contact
        Of the dice engine: bring hands that touch to the skin.
    face
        Which of several faces, the leftmost is 1; 0 for the largest.
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
        With a message and a remedy: no runtime, no such picture, nothing found in it, ...
    """
    chosen = footage.photo_of(picture, scene or bpy.context.scene)
    request = capture_job.Request(engine, hand, crop, precision, fix_contact, face)
    result = capture_job.run(capture_job.asking(chosen, request), runtime=preferences.runtime(), report=report)
    return import_capture(result, chosen, scene=scene)


def batch(
    pictures: Iterable[str | Path], *, scene: bpy.types.Scene | None = None, again: bool = False,
    report: Progress = silent, **how: Any,
) -> batch_job.Report:  # fmt: skip
    """Capture many pictures, each into a collection of its own; the first one is shown. Blender waits meanwhile.

    Parameters
    ----------
    pictures
        Files.
    scene
        Where to put the results; the context's scene when left out.
    again
        Capture those again that are in the scene already.
    report
        Called with the picture and its stage, and the fraction of the whole that is done.
    how
        `engine`, `hand`, ...: see `capture`.

    Returns
    -------
    Report
        The files that were `captured`, and those that `failed` with their errors: one that fails stops nothing.
    """
    files = [Path(bpy.path.abspath(str(path))).absolute() for path in pictures]
    job = batch_job.in_scene(
        files, capture_job.Request(**how), scene or bpy.context.scene, runtime=preferences.runtime(), again=again,
        ended=lambda report: None,
    )  # fmt: skip
    jobs.finish(job, report)
    return job.report


def import_capture(
    result: Capture | str | Path,
    picture: photo.Photo | str | Path | bpy.types.Image | None = None,
    *,
    scene: bpy.types.Scene | None = None,
    pack: bool = True,
    match: bool = True,
) -> bpy.types.Collection:
    """Build the scene of a capture that is already there.

    Parameters
    ----------
    result
        A result file (.npz) or a capture in memory.
    picture
        The photograph to show behind. When left out, a file of the right name beside the result file is taken; of a
        movie the result holds the frame.
    scene
        Where to put the result; the context's scene when left out.
    pack
        Keep a copy of the photograph in the .blend.
    match
        Make the capture's camera the scene's, and the render as large as the photograph.

    Returns
    -------
    bpy.types.Collection
        The new collection; `parts` gives its objects.

    Raises
    ------
    DiceError
        When the file is no result or the photograph is another one; nothing has changed then.
    """
    scene = scene or bpy.context.scene
    if not isinstance(result, Capture):
        path = Path(bpy.path.abspath(str(result)))
        result = store.load(path)
        picture = picture or _beside(path, result.source)
    if isinstance(picture, bpy.types.Image):
        picture = photo.from_image(picture)
    elif isinstance(picture, str | Path):
        picture = photo.from_path(picture)
    collection = build(result, picture, scene, pack=pack, match=match)
    if hasattr(scene, "dice"):
        scene.dice.result = collection
    return collection


def save(collection: bpy.types.Collection, path: str | Path) -> Path:
    """Write the result that a capture's collection was built from; gives the file, an .npz.

    Of a movie, the frame is taken from what the camera shows.

    Raises
    ------
    DiceError
        When the collection holds none, or the file cannot be written; no half file is left then.
    """
    file = Path(bpy.path.abspath(str(path))).absolute()
    result, image = kept(collection), photograph(collection)
    if _is_movie(result.source) and image and image.packed_file and tuple(image.size) == result.camera.image_size:
        result = replace(result, picture=image.packed_file.data)
    store.save(file, result)
    return file


def show_contact(collection: bpy.types.Collection, shown: bool = True) -> None:
    """Show on a capture's meshes where skin touches skin, as a heat map, or their own materials again."""
    contact.show(meshes(collection), shown)


def set_contact_threshold(collection: bpy.types.Collection, least: float) -> int:
    """Put the vertices whose contact is at least so probable, 0..1, into the vertex groups `Contact`; gives how many.

    A vertex group or an attribute that the user removed is left alone.
    """
    return sum(contact.set_threshold(item, least) for item in meshes(collection))


def reset(collection: bpy.types.Collection, *, scene: bpy.types.Scene | None = None) -> None:
    """Make a capture's or a sequence's objects anew as they were captured, also those that were renamed, changed or
    deleted.

    Raises
    ------
    DiceError
        When the collection does not hold its result, or the sequence's folder is gone; nothing has changed then.
    """
    (reset_sequence if is_sequence(collection) else rebuild)(collection, scene or bpy.context.scene)


def fix_contact(
    collection: bpy.types.Collection, *, scene: bpy.types.Scene | None = None, report: Progress = silent
) -> None:
    """Bring the hands of a dice engine's capture to the skin that they touch; its objects are made anew.

    Raises
    ------
    DiceError
        When another engine made the capture, or an official file is missing; nothing has changed then.
    """
    ask = capture_job.fixing(kept(collection))
    fixed = capture_job.run(ask, runtime=preferences.runtime(), report=report)
    rebuild(collection, scene or bpy.context.scene, fixed)


def _beside(result: Path, source: str) -> Path | None:
    if _is_movie(source):  # which cannot be shown as it is
        return None
    candidate = result.parent / Path(source).name
    return candidate if source and candidate.is_file() else None


def _is_movie(source: str) -> bool:
    return Path(source).suffix.lower() in bpy.path.extensions_movie
