# SPDX-License-Identifier: GPL-3.0-or-later
"""Choose moving pictures, capture them, watch it happen; what was captured over time."""

from __future__ import annotations

import bpy

from .. import compat, jobs, preferences, preview
from ..languages.words import iface
from ..ops.chosen import chosen_sequence
from ..ops.sequence import resumable
from ..scene.timing import rate_of
from ..sequence_job import SequenceJob
from .widgets import draw_text

SAME = 0.005  # frames a second by which rates may differ
LARGE = 11.0  # of an icon


class _Sequence:
    """The same in every editor's tab."""

    bl_label = "Sequence"
    bl_region_type = "UI"
    bl_category = "DICE"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return preferences.is_installed()

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        job = jobs.state.job
        if isinstance(job, SequenceJob):
            _draw_running(layout, job)
            return
        _draw_footage(layout, context)
        settings = context.scene.dice.sequence
        layout.prop(settings, "layout")
        layout.prop(settings, "smoothing", slider=True)
        layout.prop(settings, "folder")
        row = layout.row()
        row.scale_y = 1.4
        row.operator("dice.capture_sequence", icon="SEQUENCE")
        if folder := resumable(context):
            row = layout.row()
            row.operator("dice.resume_sequence", text=iface("Resume {}").format(folder.name), icon="PLAY").directory = (
                str(folder)
            )
        layout.operator("dice.import_sequence", icon="FILE_FOLDER")


class DICE_PT_sequence(_Sequence, bpy.types.Panel):
    """In the 3D view, of a file."""

    bl_space_type = "VIEW_3D"
    bl_parent_id = "DICE_PT_main"
    bl_options = {"DEFAULT_CLOSED"}


class DICE_PT_sequence_clip(_Sequence, bpy.types.Panel):
    """Of the clip of a Movie Clip Editor."""

    bl_space_type = "CLIP_EDITOR"
    bl_parent_id = "DICE_PT_clip"


class DICE_PT_sequence_strip(_Sequence, bpy.types.Panel):
    """Of the active strip of a Video Sequencer."""

    bl_space_type = "SEQUENCE_EDITOR"
    bl_parent_id = "DICE_PT_strip"


def _draw_running(layout: bpy.types.UILayout, job: SequenceJob) -> None:
    """What it sees; how far it is, the panel above says."""
    if job.count:
        told = iface("Frame {} of {}, {:.1f} frames a second") if job.fps else iface("Frame {} of {}")
        layout.label(text=told.format(job.frame, job.count, job.fps))
    if icon := preview.icon():
        layout.template_icon(icon_value=icon, scale=LARGE)


def _draw_footage(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """What is captured: the frames of it, and its rate."""
    settings = context.scene.dice.sequence
    chosen = chosen_sequence(context)
    if isinstance(chosen, str):
        layout.prop(settings, "filepath")
    rate, count = _facts(chosen, settings)
    scene_rate = rate_of(context.scene)
    if rate:
        told = iface("{:.4g} frames a second, {} frames") if count else iface("{:.4g} frames a second")
        layout.label(text=told.format(rate, count), icon="TIME")
    elif chosen:
        layout.prop(settings, "picture_rate")
        rate = settings.picture_rate or scene_rate
    layout.prop(settings, "use_range")
    if settings.use_range:
        column = layout.column(align=True)
        column.prop(settings, "start")
        column.prop(settings, "end")
    if chosen and abs(rate - scene_rate) > SAME:
        draw_text(layout, context, iface("The scene has {:.4g} frames a second.").format(scene_rate), "INFO")
        layout.prop(settings, "timing")


def _facts(chosen: object, settings: bpy.types.PropertyGroup) -> tuple[float, int]:
    """Frames a second and how many; the rate is 0 of pictures."""
    if isinstance(chosen, bpy.types.MovieClip):
        return chosen.fps if chosen.source == "MOVIE" else 0.0, chosen.frame_duration
    if isinstance(chosen, compat.Strip):
        start, end = compat.times(chosen).handles
        return chosen.fps if chosen.type == "MOVIE" else 0.0, end - start
    return settings.rate, settings.count
