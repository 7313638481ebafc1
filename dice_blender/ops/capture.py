# SPDX-License-Identifier: GPL-3.0-or-later
"""Capture a photograph; cancel what runs."""

from __future__ import annotations

import bpy
from bpy.props import StringProperty
from bpy_extras.io_utils import ImportHelper

from ...dice_core.errors import DiceError
from ...dice_core.types import Capture
from .. import api, capture_job, jobs, preferences
from ..batch_job import KINDS
from ..properties import DICE_PG_settings
from ..scene import photo
from ..scene.obstacles import in_the_way
from . import scene as scene_ops
from .poll import unless

GLOB = ";".join(f"*{kind}" for kind in KINDS)


class DICE_OT_capture(bpy.types.Operator):
    """Find the face and the hand in the photograph and build them as meshes, with a camera that matches"""

    bl_idname = "dice.capture"
    bl_label = "Capture Photograph"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return unless(cls, _why_not(context))

    def execute(self, context: bpy.types.Context) -> set[str]:
        return _capture(self, _chosen(context), context)


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


def _capture(operator: bpy.types.Operator, chosen: str | bpy.types.Image, context: bpy.types.Context) -> set[str]:
    request = request_of(context.scene.dice)
    try:
        if bpy.app.background:
            api.capture(chosen, scene=context.scene, **vars(request))
        else:
            _start(chosen, request, context.scene.name)
    except DiceError as error:
        operator.report({"ERROR"}, str(error))
        return {"CANCELLED"}
    return {"FINISHED"}


def _why_not(context: bpy.types.Context) -> str:
    """Why nothing can be captured now; empty when it can."""
    if reason := not_ready(context.scene.dice):
        return reason
    if _chosen(context):
        return ""
    return "Open an image first" if _in_image_editor(context) else "Choose a picture first"


def not_ready(settings: DICE_PG_settings) -> str:
    """Why no picture at all can be captured now; empty when one can."""
    if jobs.state.job is not None:
        return "Wait for the running job, or cancel it"
    if not preferences.is_installed():
        return "Install the capture runtime first, in the panel or in the extension's preferences"
    if settings.engine == "dice" and preferences.facts().get("engine") != "dice":
        return "Add the DICE engine to the runtime first, in the Runtime panel"
    return ""


def _chosen(context: bpy.types.Context) -> str | bpy.types.Image | None:
    """The picture: in the Image Editor what it shows, elsewhere what the panel names."""
    if _in_image_editor(context):
        return context.space_data.image
    settings = context.scene.dice
    return settings.filepath if settings.source == "FILE" else settings.image


def _in_image_editor(context: bpy.types.Context) -> bool:
    return context.space_data is not None and context.space_data.type == "IMAGE_EDITOR"


def request_of(settings: DICE_PG_settings) -> capture_job.Request:
    """What the panel asks for."""
    crop = (settings.crop_left, settings.crop_top, settings.crop_side) if settings.use_crop else None
    fix_contact = settings.engine == "dice" and settings.fix_contact
    return capture_job.Request(settings.engine, settings.hand, crop, fix_contact=fix_contact)


def _start(chosen: str | bpy.types.Image, request: capture_job.Request, scene: str) -> None:
    picture = photo.from_path(chosen) if isinstance(chosen, str) else photo.from_image(chosen)

    def done(result: Capture) -> None:
        scene_ops.import_pending(result, picture, scene)
        captured = bpy.data.scenes[scene].dice.result
        if names := in_the_way(bpy.data.scenes[scene], captured):
            told = f"{names[0]} stands between the camera and the captured head, or around them."
            jobs.state.notice = DiceError(told, "Move or hide it.")

    jobs.start(capture_job.CaptureJob(picture, request, runtime=preferences.runtime(), done=done))


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
