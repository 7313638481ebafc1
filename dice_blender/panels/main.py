# SPDX-License-Identifier: GPL-3.0-or-later
"""Choose a photograph, capture it, watch it happen."""

from __future__ import annotations

import bpy

from .. import jobs, preferences
from ..ops.presets import DICE_PT_presets
from .runtime import draw_runtime
from .widgets import draw_job, draw_notice

DEVICES = {
    "open": "CPU: this engine needs no GPU",
    "cpu": "CPU: no CUDA when installed",
    "cuda": "GPU: CUDA",
}


class DICE_PT_main(bpy.types.Panel):
    """The top of the DICE tab."""

    bl_label = "DICE Capture"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "DICE"

    def draw_header_preset(self, context: bpy.types.Context) -> None:
        DICE_PT_presets.draw_panel_header(self.layout)

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        settings = context.scene.dice
        if not preferences.is_installed():
            draw_runtime(layout, context)
            return
        column = layout.column()
        column.row().prop(settings, "source", expand=True)
        if settings.source == "FILE":
            column.prop(settings, "filepath", text="")
        else:
            column.template_ID(settings, "image", open="image.open")
        _draw_capture(layout, context)


class _Shown:
    """The same for what an editor shows."""

    bl_label = "DICE Capture"
    bl_region_type = "UI"
    bl_category = "DICE"

    def draw(self, context: bpy.types.Context) -> None:
        if preferences.is_installed():
            _draw_capture(self.layout, context)
        else:
            draw_runtime(self.layout, context)


class DICE_PT_image(_Shown, bpy.types.Panel):
    """The image of an Image Editor."""

    bl_space_type = "IMAGE_EDITOR"


class DICE_PT_clip(_Shown, bpy.types.Panel):
    """The current frame of the clip of a Movie Clip Editor."""

    bl_space_type = "CLIP_EDITOR"


class DICE_PT_strip(_Shown, bpy.types.Panel):
    """The active strip of a Video Sequencer at the playhead."""

    bl_space_type = "SEQUENCE_EDITOR"


def _draw_capture(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """How to capture, the button or its progress, and what went wrong."""
    settings = context.scene.dice
    column = layout.column()
    column.use_property_split = True
    column.use_property_decorate = False
    column.prop(settings, "engine")
    column.label(text=_device(settings.engine), icon="SYSTEM")
    if settings.engine == "dice":
        column.prop(settings, "fix_contact")
    column.prop(settings, "hand")
    column.prop(settings, "face")
    _draw_crop(column, context)
    if jobs.state.job is not None:
        draw_job(layout)
    else:
        row = layout.row()
        row.scale_y = 1.4
        row.operator("dice.capture", text="Capture", icon="USER")
        layout.operator("dice.batch", icon="FILE_FOLDER")
    draw_notice(layout, context)


def _device(engine: str) -> str:
    """What the engine computes on, in words."""
    device = preferences.facts().get("device") if engine == "dice" else "open"
    return DEVICES.get(device, "CPU or GPU: as it was installed")


def _draw_crop(column: bpy.types.UILayout, context: bpy.types.Context) -> None:
    settings = context.scene.dice
    row = column.row(align=True)
    row.prop(settings, "use_crop")
    if context.space_data.type == "IMAGE_EDITOR":
        row.operator("dice.draw_crop", text="", icon="SELECT_SET")
    if settings.use_crop:
        square = column.column(align=True)
        for name in ("crop_left", "crop_top", "crop_side"):
            square.prop(settings, name)
