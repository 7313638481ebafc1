# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of the capture runtime, and the buttons that install, repair or remove it."""

from __future__ import annotations

import bpy

from ...dice_core.installer.plan import MODELS, OPEN, SIZES
from .. import jobs, preferences
from ..languages.words import iface
from ..program_job import ProgramJob
from .widgets import draw_job, draw_log, draw_notice, draw_text


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
    installed = preferences.is_installed()
    in_preferences = context.area is not None and context.area.type == "PREFERENCES"
    _draw_state(layout, context, installed)
    if not in_preferences:  # which have it as a property
        draw_text(layout, context, str(preferences.runtime()), "FILE_FOLDER")
    if jobs.state.job is not None:
        draw_job(layout)
        if isinstance(jobs.state.job, ProgramJob):
            draw_log(layout)
            layout.operator("dice.copy_log", icon="COPYDOWN")
        return
    if not bpy.app.online_access:
        _draw_offline(layout, context)
    if installed:
        _draw_care(layout, in_preferences)
    else:
        row = layout.row()
        row.scale_y = 1.4
        row.operator("dice.install", text="Install", icon="IMPORT").repair = False
    row = layout.row(align=True)
    row.operator("dice.doctor", text="Self-Test", icon="CHECKBOX_HLT")
    row.operator("dice.copy_log", icon="COPYDOWN")
    if in_preferences or not installed:  # otherwise the main panel shows it
        draw_notice(layout, context)


def _draw_state(layout: bpy.types.UILayout, context: bpy.types.Context, installed: bool) -> None:
    if installed:
        facts = preferences.facts()
        engine, megabytes, version = (facts.get(key, "?") for key in ("engine", "megabytes", "python"))
        told = iface("Installed: {} engine, {} MB, Python {}").format(engine, megabytes, version)
        draw_text(layout, context, told, "CHECKMARK")
        if reason := preferences.outdated():
            draw_text(layout, context, iface("It should be updated. {}").format(reason), "ERROR")
    else:
        megabytes = sum(SIZES[part][1] for part in (OPEN, MODELS))
        told = iface("The capture runtime is not installed. About {} MB are downloaded.").format(megabytes)
        draw_text(layout, context, told, "INFO")


def _draw_care(layout: bpy.types.UILayout, in_preferences: bool) -> None:
    """The buttons for a runtime that is there."""
    row = layout.row(align=True)
    if preferences.outdated():
        row.operator("dice.install", text="Update", icon="IMPORT").repair = False
    row.operator("dice.install", text="Repair", icon="FILE_REFRESH").repair = True
    row.operator("dice.remove_runtime", text="Remove", icon="TRASH")
    if preferences.facts().get("engine") != "dice":
        layout.operator("dice.install", text="Add DICE Engine", icon="ADD").official = True
    if not in_preferences:
        layout.operator("dice.models", text="Official Files...", icon="DOCUMENTS")


def _draw_offline(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    if bpy.app.online_access_override:
        draw_text(layout, context, "Blender was started offline: start it without --offline-mode to install.", "ERROR")
    else:
        draw_text(layout, context, "Blender may not go online yet.", "ERROR")
        layout.prop(context.preferences.system, "use_online_access")
