# SPDX-License-Identifier: GPL-3.0-or-later
"""The user's official files: see which are there, make those that were chosen ready."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import CollectionProperty, StringProperty
from bpy_extras.io_utils import ImportHelper

from ...dice_core.body.kinds import KINDS
from .. import capture_job, official, preferences
from .poll import run, unless
from .runtime import busy

GLOB = ";".join(sorted({f"*{Path(kind.file).suffix}" for kind in KINDS.values()}))


class DICE_OT_models(bpy.types.Operator):
    """Show which official files the DICE engine needs, which of them are there, and where to get the others"""

    bl_idname = "dice.models"
    bl_label = "Show Official Files"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return unless(cls, "There is no window to show them in" if bpy.app.background else "")

    def execute(self, context: bpy.types.Context) -> set[str]:
        official.check()
        preferences.show_official()
        bpy.ops.preferences.addon_show(module=preferences.ROOT_PACKAGE)
        return {"FINISHED"}


class DICE_OT_convert_models(bpy.types.Operator, ImportHelper):
    """Choose official files, or a folder that holds them: they are known by what is in them, and made ready for use"""

    bl_idname = "dice.convert_models"
    bl_label = "Make Official Files Ready"

    filename_ext = ""
    filter_glob: StringProperty(default=GLOB, options={"HIDDEN"})
    directory: StringProperty(subtype="DIR_PATH", options={"HIDDEN", "SKIP_SAVE"})
    files: CollectionProperty(type=bpy.types.OperatorFileListElement, options={"HIDDEN", "SKIP_SAVE"})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return unless(cls, busy() or ("" if preferences.is_installed() else "Install the capture runtime first"))

    def execute(self, context: bpy.types.Context) -> set[str]:
        folder = Path(bpy.path.abspath(self.directory)).absolute()
        chosen = [folder / item.name for item in self.files if item.name] or [folder]
        capture_job.release(wait=True)  # it may use files that are replaced
        return run(self, lambda: official.convert(preferences.runtime(), chosen, folder))


CLASSES = (DICE_OT_models, DICE_OT_convert_models)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
