# SPDX-License-Identifier: GPL-3.0-or-later
"""Capture a photograph; cancel what runs."""

from __future__ import annotations

import bpy
from bpy.props import StringProperty
from bpy_extras.io_utils import ImportHelper

from ...dice_core.errors import DiceError
from ...dice_core.types import Capture
from .. import api, capture_job, compat, jobs, preferences
from ..batch_job import KINDS
from ..languages.words import iface
from ..properties import DICE_PG_settings
from ..scene import footage
from ..scene.obstacles import InTheWay, in_the_way
from . import scene as scene_ops
from .chosen import MISSING, chosen_picture, editor_of
from .poll import fail, unless

GLOB = ";".join(f"*{kind}" for kind in KINDS)


class DICE_OT_capture(bpy.types.Operator):
    """Find the face and the hand in the photograph and build them as meshes, with a camera that matches"""

    bl_idname = "dice.capture"
    bl_label = "Capture Photograph"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return unless(cls, _why_not(context))

    def execute(self, context: bpy.types.Context) -> set[str]:
        return _capture(self, chosen_picture(context), context)


class DICE_OT_capture_file(bpy.types.Operator, ImportHelper):
    """Choose a picture file, or drop it into the 3D view, and capture it with the panel's settings"""

    bl_idname = "dice.capture_file"
    bl_label = "Capture Picture File"

    filepath: StringProperty(subtype="FILE_PATH", options={"HIDDEN", "SKIP_SAVE"})
    filter_glob: StringProperty(default=GLOB, options={"HIDDEN"})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return unless(cls, not_ready(context.scene.dice))

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return self.execute(context) if self.filepath else super().invoke(context, event)

    def execute(self, context: bpy.types.Context) -> set[str]:
        settings = context.scene.dice
        settings.source, settings.filepath = "FILE", self.filepath
        return _capture(self, self.filepath, context)


class DICE_FH_photograph(bpy.types.FileHandler):
    """Picture files that are dropped into a 3D view."""

    bl_idname = "DICE_FH_photograph"
    bl_label = "Capture with DICE"
    bl_import_operator = "dice.capture_file"
    bl_file_extensions = ";".join(KINDS)

    @classmethod
    def poll_drop(cls, context: bpy.types.Context) -> bool:
        return context.area is not None and context.area.type == "VIEW_3D"


class DICE_OT_cancel(bpy.types.Operator):
    """Stop what is running; nothing in the scene changes"""

    bl_idname = "dice.cancel"
    bl_label = "Cancel Capture or Installation"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return unless(cls, "Nothing is running" if jobs.state.job is None else "")

    def execute(self, context: bpy.types.Context) -> set[str]:
        jobs.cancel()
        return {"FINISHED"}


def _capture(operator: bpy.types.Operator, chosen: footage.Source, context: bpy.types.Context) -> set[str]:
    request = request_of(context.scene.dice)
    try:
        if bpy.app.background:
            api.capture(chosen, scene=context.scene, **vars(request))
        else:
            _start(chosen, request, context.scene.name, elsewhere=editor_of(context) in MISSING)
    except DiceError as error:
        return fail(operator, error)
    return {"FINISHED"}


def _why_not(context: bpy.types.Context) -> str:
    """Why nothing can be captured now; empty when it can."""
    if reason := not_ready(context.scene.dice):
        return reason
    chosen = chosen_picture(context)
    if not chosen:
        return MISSING.get(editor_of(context), "Choose a picture first")
    error = footage.trouble(chosen) if isinstance(chosen, compat.Strip) else None
    return error.message.rstrip(".") if error else ""


def not_ready(settings: DICE_PG_settings) -> str:
    """Why no picture at all can be captured now; empty when one can."""
    if settings.id_data.library is not None:
        return "The scene belongs to another file"
    if jobs.state.job is not None:
        return "Wait for the running job, or cancel it"
    if not preferences.is_installed():
        return "Install the capture runtime first, in the panel or in the extension's preferences"
    if settings.engine == "dice" and preferences.facts().get("engine") != "dice":
        return "Add the DICE engine to the runtime first, in the Runtime panel"
    return ""


def request_of(settings: DICE_PG_settings) -> capture_job.Request:
    """What the panel asks for."""
    crop = (settings.crop_left, settings.crop_top, settings.crop_side) if settings.use_crop else None
    fix_contact = settings.engine == "dice" and settings.fix_contact
    return capture_job.Request(settings.engine, settings.hand, crop, fix_contact=fix_contact, face=settings.face)


def _start(
    chosen: footage.Source, request: capture_job.Request, scene: str, elsewhere: bool = False
) -> None:  # fmt: skip
    """Start a capture; where it was asked for in another editor, it says where it went."""
    picture = footage.photo_of(chosen, bpy.data.scenes[scene])

    def done(result: Capture) -> None:
        scene_ops.import_pending(result, picture, scene)
        tell_where(bpy.data.scenes[scene], elsewhere)

    ask = capture_job.asking(picture, request)
    jobs.start(capture_job.CaptureJob(ask, runtime=preferences.runtime(), done=done))


def tell_where(scene: bpy.types.Scene, elsewhere: bool) -> None:
    """Say what hides the scene's newest capture, or where it went when it was asked for in another editor."""
    if names := in_the_way(scene, scene.dice.result):
        told = iface("{} stands between the camera and the captured head, or around them.")
        jobs.state.notice = InTheWay(told.format(names[0]), "Move or hide it.")
    elif elsewhere:
        jobs.state.notice = iface("{} is in the 3D view.").format(scene.dice.result.name)


CLASSES = (DICE_OT_capture, DICE_OT_capture_file, DICE_FH_photograph, DICE_OT_cancel)


_register, _unregister = bpy.utils.register_classes_factory(CLASSES)


def _draw_menu(self: bpy.types.Menu, context: bpy.types.Context) -> None:
    self.layout.operator(DICE_OT_capture_file.bl_idname, text="Photograph of a Face, with DICE (.jpg, .png, ...)")


def register() -> None:
    _register()
    bpy.types.TOPBAR_MT_file_import.append(_draw_menu)


def unregister() -> None:
    bpy.types.TOPBAR_MT_file_import.remove(_draw_menu)
    _unregister()
    capture_job.release(wait=True)
