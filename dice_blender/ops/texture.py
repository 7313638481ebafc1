# SPDX-License-Identifier: GPL-3.0-or-later
"""The photograph as the captured skin's colour."""

from __future__ import annotations

import bpy
from bpy.props import EnumProperty

from ...dice_core.errors import DiceError
from .. import api
from ..languages.words import rpt
from ..scene import bake, build
from .poll import fail, unless
from .result import show, why_fixed


class DICE_OT_project_photo(bpy.types.Operator):
    """Give the captured meshes the photograph's colours, where its camera saw them"""

    bl_idname = "dice.project_photo"
    bl_label = "Project Photograph"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return unless(cls, _why_not(context))

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            api.project_photo(context.scene.dice.result)
        except DiceError as error:
            return fail(self, error)
        show(context, heat=False)
        return {"FINISHED"}


class DICE_OT_bake_photo(bpy.types.Operator):
    """Project the photograph and write it into images that can be painted on and exported"""

    bl_idname = "dice.bake_photo"
    bl_label = "Bake Photograph"
    bl_options = {"REGISTER", "UNDO"}

    size: EnumProperty(
        name="Size",
        description="Width and height of the images",
        items=[(str(size), f"{size} px", f"{size} by {size} pixels for each mesh") for size in bake.SIZES],
        default=str(bake.SIZES[1]),
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return unless(cls, _why_not(context))

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            images = api.bake_photo(context.scene.dice.result, int(self.size))
        except DiceError as error:
            return fail(self, error)
        show(context, heat=False)
        self.report({"INFO"}, rpt("Baked {}").format(", ".join(image.name for image in images)))
        return {"FINISHED"}


def _why_not(context: bpy.types.Context) -> str:
    reason = why_fixed(context)
    if not reason and build.photograph(context.scene.dice.result) is None:
        return "The capture has no photograph"
    return reason


register, unregister = bpy.utils.register_classes_factory((DICE_OT_project_photo, DICE_OT_bake_photo))
