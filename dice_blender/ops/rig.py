# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a capture move: bones, and what the face can do."""

from __future__ import annotations

import bpy

from ...dice_core.errors import DiceError
from .. import api
from ..languages.words import rpt
from ..scene import armature, expressions
from .poll import fail, unless
from .result import why_fixed
from .scene import select


class DICE_OT_rig(bpy.types.Operator):
    """Give the captured meshes bones that hold the captured pose. Nothing moves"""

    bl_idname = "dice.rig"
    bl_label = "Add Rig"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        reason = why_fixed(context)
        if not reason and not armature.unrigged(context.scene.dice.result):
            reason = "No mesh of the capture lacks a rig"
        return unless(cls, reason)

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            rigs = api.rig(context.scene.dice.result)
        except DiceError as error:
            return fail(self, error)
        select(context, rigs)
        self.report({"INFO"}, rpt("Added {}").format(", ".join(item.name for item in rigs)))
        return {"FINISHED"}


class DICE_OT_add_expressions(bpy.types.Operator):
    """Give the head a shape key for each facial action, at the captured strength. What is seen stays the same"""

    bl_idname = "dice.add_expressions"
    bl_label = "Add Expressions"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return unless(cls, why_fixed(context) or expressions.why_not(context.scene.dice.result))

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            keys = api.add_expressions(context.scene.dice.result)
        except DiceError as error:
            return fail(self, error)
        self.report({"INFO"}, rpt("Added {} shape keys").format(len(keys)))
        return {"FINISHED"}


CLASSES = (DICE_OT_rig, DICE_OT_add_expressions)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
