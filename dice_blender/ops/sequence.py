# SPDX-License-Identifier: GPL-3.0-or-later
"""Capture moving pictures, go on with a capture that was interrupted, smooth it anew."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import bpy
from bpy.props import StringProperty

from ...dice_core.errors import DiceError
from .. import compat, jobs, preferences, sequence_folders, sequence_job
from ..capture_job import Request
from ..scene import footage, moving, naming
from ..scene.sequence import folder_of, is_sequence, rebuild_sequence
from .capture import not_ready, request_of, tell_where
from .chosen import MISSING, chosen_sequence, editor_of
from .poll import run, unless
from .result import why_fixed
from .runtime import busy
from .scene import rebuilt
from .sequence_scene import import_folder


class DICE_OT_capture_sequence(bpy.types.Operator):
    """Capture every frame of the footage into a folder, then build one animated scene of it"""

    bl_idname = "dice.capture_sequence"
    bl_label = "Capture Sequence"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return unless(cls, why_not(context))

    def execute(self, context: bpy.types.Context) -> set[str]:
        return run(self, lambda: _capture(context))


class DICE_OT_resume_sequence(bpy.types.Operator):
    """Go on with a capture that was interrupted, as it was asked for; what was done is not done again"""

    bl_idname = "dice.resume_sequence"
    bl_label = "Resume Sequence"

    directory: StringProperty(subtype="DIR_PATH", options={"HIDDEN", "SKIP_SAVE"})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return unless(cls, not_ready(context.scene.dice))

    def execute(self, context: bpy.types.Context) -> set[str]:
        return run(self, lambda: _resume(context, self.directory))


class DICE_OT_smooth_sequence(bpy.types.Operator):
    """Smooth the captured motion as the slider says; nothing is captured again. Changes to its animation are lost"""

    bl_idname = "dice.smooth_sequence"
    bl_label = "Smooth Again"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return unless(cls, busy() or why_no_sequence(context))

    def execute(self, context: bpy.types.Context) -> set[str]:
        return run(self, lambda: _smooth(context))


def why_not(context: bpy.types.Context) -> str:
    """Why no sequence can be captured now; empty when one can."""
    if reason := not_ready(context.scene.dice):
        return reason
    chosen = chosen_sequence(context)
    if not chosen:
        return MISSING.get(editor_of(context), "Choose a movie or a folder of pictures first")
    error = footage.unfit(chosen) if isinstance(chosen, compat.Strip) else None
    return error.message.rstrip(".") if error else ""


def why_no_sequence(context: bpy.types.Context) -> str:
    """Why the panel's sequence cannot be changed now; empty when it can, or when it is none."""
    if reason := why_fixed(context):
        return reason
    return "" if is_sequence(context.scene.dice.result) else "The capture is a single picture"


def resumable(context: bpy.types.Context) -> Path | None:
    """The folder of an unfinished capture of what is chosen. For drawing."""
    chosen = chosen_sequence(context)
    if not chosen or (isinstance(chosen, compat.Strip) and footage.unfit(chosen)):
        return None
    try:
        base = sequence_folders.base_of(context.scene.dice.sequence.folder)
    except DiceError:
        return None
    return sequence_folders.unfinished(base, *moving.known_by(chosen))


def _capture(context: bpy.types.Context) -> jobs.Job:
    settings = context.scene.dice.sequence
    base = sequence_folders.base_of(settings.folder)
    found = moving.footage_of(chosen_sequence(context), context.scene)
    found = found.cut(settings.start, settings.end) if settings.use_range else found
    found = replace(found, rate=settings.picture_rate or found.rate) if found.rate else found
    folder, request = sequence_folders.new_folder(base, found.name), request_of(context.scene.dice)
    return _job(context, found, folder, request, smoothing=settings.smoothing)


def _resume(context: bpy.types.Context, directory: str) -> jobs.Job:
    notice = jobs.state.notice
    stopped = notice.folder if isinstance(notice, sequence_job.Interrupted) else None
    folder = Path(bpy.path.abspath(directory)) if directory else stopped or resumable(context)
    if folder is None:
        raise DiceError("No capture of this footage was interrupted.", "Press Capture Sequence.")
    found, request, smoothing = sequence_folders.begun(folder)
    chosen = chosen_sequence(context)
    if chosen and moving.known_by(chosen)[1] in found.paths:  # it may be in the scene already
        shown = moving.footage_of(chosen, context.scene).cut(found.start, found.end)
        found = replace(found, first_frame=shown.first_frame, step=shown.step)
    return _job(context, found, folder, request, smoothing=smoothing, resume=True)


def _job(
    context: bpy.types.Context, found: moving.Footage, folder: Path, request: Request, *, smoothing: float,
    resume: bool = False,
) -> jobs.Job:  # fmt: skip
    sequence_folders.check_folder(folder)
    sequence_folders.forget()
    scene, settings = context.scene.name, context.scene.dice.sequence
    layout, timing, elsewhere = settings.layout, settings.timing, editor_of(context) in MISSING

    def done(made: Path) -> None:
        sequence_folders.forget()
        if owner := _built_from(made):  # its smoothing was interrupted
            rebuilt(owner, scene, rebuild_sequence, "Smooth Again")
        else:
            import_folder(
                str(made), scene, layout=layout, timing=timing, first_frame=found.first_frame, step=found.step
            )
            tell_where(bpy.data.scenes[scene], elsewhere)

    ask = sequence_job.asking(found, folder, request, smoothing=smoothing, resume=resume)
    return sequence_job.SequenceJob(ask, folder, runtime=preferences.runtime(), done=done)


def _built_from(folder: Path) -> str:
    """The owner of the collection that was built from a folder; empty when there is none."""
    built = (one for one in bpy.data.collections if is_sequence(one))
    found = {os.path.normpath(bpy.path.abspath(one[naming.FOLDER])): one[naming.OWNER] for one in built}
    return found.get(os.path.normpath(folder), "")


def _smooth(context: bpy.types.Context) -> jobs.Job:
    collection, scene = context.scene.dice.result, context.scene.name
    owner, strength = collection[naming.OWNER], context.scene.dice.sequence.smoothing

    def done(made: Path) -> None:
        rebuilt(owner, scene, rebuild_sequence, "Smooth Again")

    folder = folder_of(collection)
    ask = sequence_job.smoothing(folder, strength)
    return sequence_job.SequenceJob(ask, folder, runtime=preferences.runtime(), done=done)


CLASSES = (DICE_OT_capture_sequence, DICE_OT_resume_sequence, DICE_OT_smooth_sequence)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
