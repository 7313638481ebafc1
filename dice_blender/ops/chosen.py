# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be captured: in an editor that shows pictures what it shows, elsewhere what the panel names.

It goes into the window's scene, also from a sequencer that shows another one.
"""

from __future__ import annotations

import bpy

from .. import compat
from ..scene import footage, moving

MISSING = {
    "IMAGE_EDITOR": "Open an image first",
    "CLIP_EDITOR": "Open a movie clip first",
    "SEQUENCE_EDITOR": "Select a movie or image strip first",
}


def editor_of(context: bpy.types.Context) -> str:
    """The type of the editor, "" where there is none."""
    return "" if context.space_data is None else context.space_data.type


def chosen_picture(context: bpy.types.Context) -> footage.Source | None:
    """The photograph, or what shows it at the present frame."""
    if editor_of(context) == "IMAGE_EDITOR":
        return context.space_data.image
    settings = context.scene.dice
    named = settings.filepath if settings.source == "FILE" else settings.image
    return _shown(context) if editor_of(context) in MISSING else named


def chosen_sequence(context: bpy.types.Context) -> moving.Source | None:
    """The moving pictures."""
    follows = editor_of(context) in ("CLIP_EDITOR", "SEQUENCE_EDITOR")
    return _shown(context) if follows else context.scene.dice.sequence.filepath


def _shown(context: bpy.types.Context) -> bpy.types.MovieClip | compat.Strip | None:
    """The clip of a Movie Clip Editor, the active strip of a Video Sequencer."""
    if editor_of(context) == "CLIP_EDITOR":
        return context.space_data.clip
    scene = compat.sequencer_scene(context)
    return scene.sequence_editor.active_strip if scene and scene.sequence_editor else None
