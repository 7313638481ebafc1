# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of the capture runtime, and the buttons that install, repair or remove it."""

from __future__ import annotations

import bpy

from ...dice_core.installer.plan import MODELS, OPEN, SIZES
from .. import jobs, preferences
from .widgets import draw_job, draw_notice, draw_text


class DICE_PT_runtime(bpy.types.Panel):
    """Closed until somebody wants to know; while nothing is installed, the main panel shows the same."""

    bl_label = "Runtime"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "DICE"
    bl_parent_id = "DICE_PT_main"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return preferences.is_installed()

    def draw(self, context: bpy.types.Context) -> None:
        draw_runtime(self.layout, context)


def draw_runtime(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """State and buttons, for the sidebar and the preferences."""
    folder, installed = preferences.runtime(), preferences.is_installed()
    if installed:
        facts = preferences.facts()
        engine, megabytes, version = (facts.get(key, "?") for key in ("engine", "megabytes", "python"))
        draw_text(layout, context, f"Installed: {engine} engine, {megabytes} MB, Python {version}", "CHECKMARK")
    else:
        megabytes = sum(SIZES[part][1] for part in (OPEN, MODELS))
        told = f"The capture runtime is not installed. About {megabytes} MB are downloaded for this folder:"
        draw_text(layout, context, told, "INFO")
    draw_text(layout, context, str(folder), "FILE_FOLDER")
    if jobs.state.job is not None:
        draw_job(layout)
        return
    if not bpy.app.online_access:
        _draw_offline(layout, context)
    if installed:
        row = layout.row(align=True)
        row.operator("dice.install", text="Repair", icon="FILE_REFRESH").repair = True
        row.operator("dice.remove_runtime", text="Remove", icon="TRASH")
        if engine != "dice":
            layout.operator("dice.install", text="Add DICE Engine", icon="ADD").official = True
    else:
        row = layout.row()
        row.scale_y = 1.4
        row.operator("dice.install", text="Install", icon="IMPORT").repair = False
        draw_notice(layout, context)


def _draw_offline(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    if bpy.app.online_access_override:
        draw_text(layout, context, "Blender was started offline: start it without --offline-mode to install.", "ERROR")
    else:
        draw_text(layout, context, "Blender may not go online yet.", "ERROR")
        layout.prop(context.preferences.system, "use_online_access")
