# SPDX-License-Identifier: GPL-3.0-or-later
"""Presets of how to capture, kept in the user's Blender folder like all others."""

from __future__ import annotations

import bpy
from bl_operators.presets import AddPresetBase
from bl_ui.utils import PresetPanel

FOLDER = "dice"  # below the user's presets
KEPT = ("engine", "hand", "face", "fix_contact", "use_crop", "crop_left", "crop_top", "crop_side")


class DICE_OT_add_preset(AddPresetBase, bpy.types.Operator):
    """Keep how to capture under a name, or forget it"""

    bl_idname = "dice.add_preset"
    bl_label = "Add Capture Preset"
    bl_options = {"REGISTER", "INTERNAL"}

    preset_menu = "DICE_PT_presets"
    preset_subdir = FOLDER
    preset_defines = ("settings = bpy.context.scene.dice",)
    preset_values = tuple(f"settings.{name}" for name in KEPT)


class DICE_PT_presets(PresetPanel, bpy.types.Panel):
    """The list of them, in the header of the DICE panels."""

    bl_label = "Capture Presets"
    bl_description = "Presets of how to capture"
    preset_subdir = FOLDER
    preset_operator = "script.execute_preset"
    preset_add_operator = "dice.add_preset"


CLASSES = (DICE_OT_add_preset, DICE_PT_presets)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
