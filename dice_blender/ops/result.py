# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be done with a capture that is in the scene."""

from __future__ import annotations

import bpy
from bpy.props import EnumProperty, FloatProperty, StringProperty
from bpy_extras.io_utils import ExportHelper

from ...dice_core.errors import DiceError
from .. import api, jobs
from ..languages.words import rpt, tip
from ..scene import contact, kept
from ..scene.obstacles import in_the_way
from ..scene.sequence import is_sequence
from .poll import fail, unless


class DICE_OT_show(bpy.types.Operator):
    """Choose what the capture's meshes show"""

    bl_idname = "dice.show"
    bl_label = "Show Captured Contact"
    bl_options = {"REGISTER", "UNDO"}

    what: EnumProperty(
        name="Show",
        description="What the capture's meshes show",
        items=(
            ("SKIN", "Skin", "Show the meshes' own materials"),
            ("CONTACT", "Contact", "Show where skin touches skin, as a heat map"),
        ),
        default="CONTACT",
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return unless(cls, why_not(context))

    @classmethod
    def description(cls, context: bpy.types.Context, properties: bpy.types.OperatorProperties) -> str:
        return tip(properties.bl_rna.properties["what"].enum_items[properties.what].description)

    def execute(self, context: bpy.types.Context) -> set[str]:
        show(context, self.what == "CONTACT")
        return {"FINISHED"}


class DICE_OT_contact_threshold(bpy.types.Operator):
    """Choose how probable contact must be for a vertex to be in the vertex group Contact"""

    bl_idname = "dice.contact_threshold"
    bl_label = "Set Contact Threshold"
    bl_options = {"REGISTER", "UNDO"}

    least: FloatProperty(
        name="Threshold",
        description="Least probability of contact, between 0 and 1",
        min=contact.LEAST,
        max=1.0,
        default=0.5,
        subtype="FACTOR",
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return unless(cls, why_fixed(context))

    def execute(self, context: bpy.types.Context) -> set[str]:
        count = api.set_contact_threshold(context.scene.dice.result, self.least)
        self.report({"INFO"}, rpt("{} vertices touch").format(count))
        return {"FINISHED"}


class DICE_OT_hide_obstacles(bpy.types.Operator):
    """Hide what stands between the camera and the captured head, in this view only"""

    bl_idname = "dice.hide_obstacles"
    bl_label = "Hide What Is in the Way"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return unless(cls, why_fixed(context))

    def execute(self, context: bpy.types.Context) -> set[str]:
        for name in in_the_way(context.scene, context.scene.dice.result):
            context.scene.objects[name].hide_set(True)
        jobs.state.notice = None
        return {"FINISHED"}


class DICE_OT_save_result(bpy.types.Operator, ExportHelper):
    """Save the capture as a result file, which can be imported again and read by scripts"""

    bl_idname = "dice.save_result"
    bl_label = "Save Capture Result"

    filename_ext = ".npz"
    filter_glob: StringProperty(default="*.npz", options={"HIDDEN"})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        result = context.scene.dice.result
        return unless(cls, "" if result and kept.is_kept(result) else "Capture a photograph first")

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        self.filepath = bpy.path.clean_name(context.scene.dice.result.name) + self.filename_ext
        return super().invoke(context, event)

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            api.save(context.scene.dice.result, self.filepath)
        except DiceError as error:
            return fail(self, error)
        return {"FINISHED"}


class DICE_OT_reset(bpy.types.Operator):
    """Make the capture's objects anew as they were captured. Changes to them are lost"""

    bl_idname = "dice.reset"
    bl_label = "Reset Capture"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return unless(cls, why_fixed(context))

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            api.reset(context.scene.dice.result, scene=context.scene)
        except DiceError as error:
            return fail(self, error)
        return {"FINISHED"}


class DICE_OT_delete(bpy.types.Operator):
    """Delete the capture that the panel shows: its meshes, cameras and photograph"""

    bl_idname = "dice.delete"
    bl_label = "Delete Capture"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return unless(cls, why_fixed(context))

    def execute(self, context: bpy.types.Context) -> set[str]:
        settings = context.scene.dice
        api.remove(settings.result)
        children = context.scene.collection.children_recursive
        left = [child for child in children if kept.is_kept(child) or is_sequence(child)]
        settings.result = left[-1] if left else None
        return {"FINISHED"}


def show(context: bpy.types.Context, heat: bool) -> None:
    """Show the heat map or the meshes' own materials, in Solid view too, which shows colours, not shaders."""
    api.show_contact(context.scene.dice.result, heat)
    view = context.space_data
    if view is not None and view.type == "VIEW_3D":
        view.shading.color_type = "VERTEX" if heat else "TEXTURE"


def why_not(context: bpy.types.Context) -> str:
    """Why nothing can be done with the capture; empty when something can."""
    result = context.scene.dice.result
    if result is None:
        return "Capture a photograph first"
    return "The capture belongs to another file" if result.library is not None else ""


def why_fixed(context: bpy.types.Context) -> str:
    """Why the capture's objects cannot be changed now; empty when they can."""
    return why_not(context) or ("" if context.mode == "OBJECT" else "Return to Object Mode first")


CLASSES = (
    DICE_OT_show, DICE_OT_contact_threshold, DICE_OT_hide_obstacles, DICE_OT_save_result, DICE_OT_reset, DICE_OT_delete
)  # fmt: skip

register, unregister = bpy.utils.register_classes_factory(CLASSES)
