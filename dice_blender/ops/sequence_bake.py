# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames of a sequence as shape keys."""

from __future__ import annotations

import bpy
from bpy.props import IntProperty

from ...dice_core.errors import DiceError
from .. import api
from ..languages.words import iface, rpt
from ..scene import build
from ..scene.shape_frames import MANY
from .poll import fail, unless
from .scene import select
from .sequence import why_no_sequence


class DICE_OT_bake_frame(bpy.types.Operator):
    """Make what the sequence shows now a capture of its own, with shape keys, to pose, edit and export"""

    bl_idname = "dice.bake_frame"
    bl_label = "Bake Frame"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return unless(cls, why_no_sequence(context))

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            made = api.bake_frame(context.scene.dice.result, scene=context.scene)
        except DiceError as error:
            return fail(self, error)
        select(context, build.meshes(made))
        self.report({"INFO"}, rpt("Made {}").format(made.name))
        return {"FINISHED"}


class DICE_OT_bake_range(bpy.types.Operator):
    """Let the meshes move by shape keys between two frames, without the files in the sequence's folder"""

    bl_idname = "dice.bake_range"
    bl_label = "Bake Range"
    bl_options = {"REGISTER", "UNDO"}

    start: IntProperty(name="Start", description="First frame of the scene to bake", default=1)
    end: IntProperty(name="End", description="Last frame of the scene to bake", default=250)

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return unless(cls, why_no_sequence(context))

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        self.start, self.end = context.scene.frame_start, context.scene.frame_end
        return context.window_manager.invoke_props_dialog(self)

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            warning = api.bake_range(context.scene.dice.result, self.start, self.end, scene=context.scene)
        except DiceError as error:
            return fail(self, error)
        if warning:
            self.report({"WARNING"}, rpt(warning))
        return {"FINISHED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.prop(self, "start")
        layout.prop(self, "end")
        if self.end - self.start >= MANY:
            layout.label(text=iface("More than {} shape keys play slowly").format(MANY), icon="ERROR")


register, unregister = bpy.utils.register_classes_factory((DICE_OT_bake_frame, DICE_OT_bake_range))
