# SPDX-License-Identifier: GPL-3.0-or-later
"""What the last capture found, and how it is shown."""

from __future__ import annotations

import bpy

from ..languages.words import iface
from ..scene import build, contact
from ..scene.deformation import key_of
from ..scene.sequence import is_sequence
from .sequence_result import draw_sequence
from .widgets import draw_text

CONTACT = {
    "touch": ("Touch", "CHECKMARK"),
    "no-touch": ("No Touch", "X"),
    "unsure": ("Unsure", "QUESTION"),
    "no-hand": ("No Hand Found", "INFO"),
    "no-head": ("No Face Found", "INFO"),
}
# docs/result-format.md explains the numbers. The first end of a name that fits counts.
UNITS = {"_mm": "{:.1f} mm", "_error": "{:.2f} %", "score": "{:.0%}"}
LABELS = {
    "face_score": "Face found",
    "face_error": "Face landmark error",
    "hand_right_score": "Right hand found",
    "hand_right_side_score": "Right hand side",
    "hand_right_error": "Right hand landmark error",
    "hand_right_gap_mm": "Right hand gap",
    "hand_left_score": "Left hand found",
    "hand_left_side_score": "Left hand side",
    "hand_left_error": "Left hand landmark error",
    "hand_left_gap_mm": "Left hand gap",
    "deformation_mm": "Skin displacement",
    "pressed_mm": "Pressed in",
    "penetration_mm": "Still inside",
}


class DICE_PT_result(bpy.types.Panel):
    """The newest capture of the scene, or the one that was chosen."""

    bl_label = "Result"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "DICE"
    bl_parent_id = "DICE_PT_main"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return context.scene.dice.result is not None

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        collection = context.scene.dice.result
        items = build.meshes(collection)
        layout.prop(context.scene.dice, "result", text="")
        if not is_sequence(collection):
            _draw_contact(layout, collection)
        if items:
            _draw_show(layout, any(contact.is_shown(item) for item in items))
        if is_sequence(collection):
            draw_sequence(layout, context, collection)
            return
        column = layout.column(align=True)
        for item in items:
            key = key_of(item)
            if key is not None and item[build.naming.PART] == "head":
                column.prop(key, "value", text="Deformation", slider=True)
        camera = build.parts(collection).get("camera")
        for background in camera.data.background_images if camera else ():
            column.prop(background, "alpha", text="Photograph", slider=True)
        for note in filter(None, collection.get("dice_notes", "").split("\n")):
            draw_text(layout, context, note, "INFO")


class DICE_PT_tools(bpy.types.Panel):
    """What can be made of it."""

    bl_label = "Tools"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "DICE"
    bl_parent_id = "DICE_PT_result"

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        if is_sequence(context.scene.dice.result):
            layout.operator("dice.contact_threshold", icon="GROUP_VERTEX")
            layout.operator("dice.export_copy", icon="EXPORT")
            layout.operator("dice.delete", text="Delete", icon="TRASH")
            return
        column = layout.column(align=True)
        column.operator("dice.contact_threshold", icon="GROUP_VERTEX")
        if context.scene.dice.result.get("dice_engine") == "dice":
            column.operator("dice.fix_contact", icon="SNAP_FACE")
        column.operator("dice.rig", icon="ARMATURE_DATA")
        column.operator("dice.add_expressions", icon="SHAPEKEY_DATA")
        column.operator("dice.project_photo", icon="IMAGE_BACKGROUND")
        column.operator("dice.bake_photo", icon="TEXTURE")
        layout.operator("dice.export_copy", icon="EXPORT")
        column = layout.column(align=True)
        column.operator("dice.save_result", text="Save", icon="FILE_TICK")
        column.operator("dice.reset", text="Reset", icon="FILE_REFRESH")
        column.operator("dice.delete", text="Delete", icon="TRASH")


class DICE_PT_quality(bpy.types.Panel):
    """How far to trust it, in numbers."""

    bl_label = "Quality"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "DICE"
    bl_parent_id = "DICE_PT_result"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        result = context.scene.dice.result
        return result is not None and not is_sequence(result)

    def draw(self, context: bpy.types.Context) -> None:
        _draw_quality(self.layout, context.scene.dice.result)


def _draw_contact(layout: bpy.types.UILayout, collection: bpy.types.Collection) -> None:
    text, icon = CONTACT.get(collection.get("dice_contact_state", ""), ("Unknown", "QUESTION"))
    probability = collection.get("dice_contact_probability", 0.0)
    row = layout.split(factor=0.5)
    row.label(text=text, icon=icon)
    if icon != "INFO":
        row.label(text=iface("probability {:.0%}").format(probability))


def _draw_show(layout: bpy.types.UILayout, heat: bool) -> None:
    row = layout.row(align=True)
    row.operator("dice.show", text="Skin", icon="SHADING_RENDERED", depress=not heat).what = "SKIN"
    row.operator("dice.show", text="Contact", icon="MOD_VERTEX_WEIGHT", depress=heat).what = "CONTACT"


def _draw_quality(layout: bpy.types.UILayout, collection: bpy.types.Collection) -> None:
    column = layout.column(align=True)
    for name, value in collection.get("dice_quality", {}).items():
        row = column.split(factor=0.65)
        row.label(text=LABELS.get(name, name))
        row.label(text=next((form for end, form in UNITS.items() if name.endswith(end)), "{:.3g}").format(value))
