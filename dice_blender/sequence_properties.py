# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Sequence panel remembers in each scene: `scene.dice.sequence`."""

from __future__ import annotations

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty, StringProperty

from . import sequence_folders
from .compat import PATH_OPTIONS
from .scene import moving

LAYOUTS = (
    ("auto", "Automatic", "Shape keys for short sequences, caches for long ones"),
    ("shape_keys", "Shape Keys", "One shape key a frame: all is in the .blend file, which gets large and slow"),
    ("caches", "Caches", "Files beside the .blend file, which stays small and quick"),
)
TIMINGS = (
    ("scene", "Keep Rate", "Keep the scene's frame rate; the capture is played at its own speed"),
    ("source", "Set Rate", "Give the scene the frame rate and the range of the footage"),
)


def _chosen(self: DICE_PG_sequence, context: bpy.types.Context) -> None:
    """Look at what was chosen once, for the panel to show."""
    self.rate, self.count = moving.probe(self.filepath)
    if self.count:
        self.start, self.end = 0, self.count - 1
    sequence_folders.forget()


def _moved(self: DICE_PG_sequence, context: bpy.types.Context) -> None:
    sequence_folders.forget()


class DICE_PG_sequence(bpy.types.PropertyGroup):
    """Settings of the Sequence panel."""

    filepath: StringProperty(
        name="Footage",
        description="Movie file, folder of pictures, or one picture of a numbered series",
        subtype="FILE_PATH",
        options=PATH_OPTIONS,
        update=_chosen,
    )
    rate: FloatProperty(options={"HIDDEN"})  # of the movie; 0 of pictures
    count: IntProperty(options={"HIDDEN"})
    picture_rate: FloatProperty(
        name="Picture Rate", description="Pictures a second; 0 for the scene's frame rate", min=0.0, max=1000.0
    )
    use_range: BoolProperty(name="Frame Range", description="Capture some of the frames only")
    start: IntProperty(name="Start", description="First frame to capture; the first of all is 0", min=0)
    end: IntProperty(name="End", description="Last frame to capture", min=0, default=249)
    timing: EnumProperty(
        name="Scene Rate", description="What to do about a frame rate that is not the scene's", items=TIMINGS
    )
    layout: EnumProperty(name="Layout", description="How the captured meshes move", items=LAYOUTS)
    smoothing: FloatProperty(
        name="Smoothing",
        description="How much the captured motion is smoothed, between 0 and 1",
        min=0.0,
        max=1.0,
        default=0.5,
        subtype="FACTOR",
    )
    folder: StringProperty(
        name="Cache Folder",
        description="Folder for captured sequences, each in a folder of its own; // is the .blend file's folder",
        subtype="DIR_PATH",
        default="//dice_cache",
        options=PATH_OPTIONS,
        update=_moved,
    )
