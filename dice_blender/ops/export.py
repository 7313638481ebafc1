# SPDX-License-Identifier: GPL-3.0-or-later
"""A capture for other programs."""

from __future__ import annotations

import bpy
from bpy.props import BoolProperty, EnumProperty, StringProperty
from bpy_extras.io_utils import ExportHelper

from ...dice_core.errors import DiceError
from .. import api
from ..scene import build, exporters
from .poll import fail, unless


class DICE_OT_export_copy(bpy.types.Operator, ExportHelper):
    """Write a clean copy of the captured meshes, rigs and cameras to a file for other programs"""

    bl_idname = "dice.export_copy"
    bl_label = "Export Capture"

    filter_glob: StringProperty(default=";".join(f"*{ext}" for ext in exporters.FORMATS), options={"HIDDEN"})
    format: EnumProperty(
        name="Format",
        description="Kind of file",
        items=[(ext, f"{kind.name} ({ext})", kind.description) for ext, kind in exporters.FORMATS.items()],
    )
    camera: BoolProperty(name="Cameras", description="Export the photograph's camera too", default=True)

    @property
    def filename_ext(self) -> str:
        return self.format

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        result = context.scene.dice.result
        return unless(cls, "" if result and build.meshes(result) else "Capture a photograph first")

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        self.filepath = bpy.path.clean_name(context.scene.dice.result.name) + self.filename_ext
        return super().invoke(context, event)

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            api.export_copy(context.scene.dice.result, self.filepath, camera=self.camera)
        except DiceError as error:
            return fail(self, error)
        return {"FINISHED"}


def _draw_menu(self: bpy.types.Menu, context: bpy.types.Context) -> None:
    self.layout.operator(DICE_OT_export_copy.bl_idname, text="DICE Capture (.fbx, .glb, .usdc, .abc)")


_register, _unregister = bpy.utils.register_classes_factory((DICE_OT_export_copy,))


def register() -> None:
    _register()
    bpy.types.TOPBAR_MT_file_export.append(_draw_menu)


def unregister() -> None:
    bpy.types.TOPBAR_MT_file_export.remove(_draw_menu)
    _unregister()
