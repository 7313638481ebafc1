# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a captured sequence into the scene."""

from __future__ import annotations

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty, StringProperty
from bpy_extras.io_utils import ImportHelper

from ...dice_core.errors import DiceError
from .. import api
from ..scene import build
from ..sequence_folders import FACTS
from ..sequence_properties import LAYOUTS, TIMINGS
from .poll import told, unless
from .scene import in_view, look, select, why_not_here


class DICE_OT_import_sequence(bpy.types.Operator, ImportHelper):
    """Build the animated scene of a captured sequence: choose its folder, or the file capture.json in it"""

    bl_idname = "dice.import_sequence"
    bl_label = "Open Sequence Folder"
    bl_options = {"REGISTER", "UNDO"}

    filename_ext = ".json"
    filter_glob: StringProperty(default=FACTS, options={"HIDDEN"})
    directory: StringProperty(subtype="DIR_PATH", options={"HIDDEN", "SKIP_SAVE"})
    mesh_layout: EnumProperty(name="Layout", description="How the captured meshes move", items=LAYOUTS)
    timing: EnumProperty(
        name="Scene Rate", description="What to do about a frame rate that is not the scene's", items=TIMINGS
    )
    first_frame: IntProperty(
        name="First Frame", description="Where in the scene the sequence begins", default=1, options={"SKIP_SAVE"}
    )
    match: BoolProperty(
        name="Match Scene",
        description="Make the capture's camera the scene's, and the render as large as the photograph",
        default=True,
        options={"SKIP_SAVE"},
    )
    look_through: BoolProperty(
        name="Look Through Camera",
        description="Turn the 3D view to the capture's camera",
        default=True,
        options={"SKIP_SAVE"},
    )
    scene_name: StringProperty(options={"HIDDEN", "SKIP_SAVE"})
    step: FloatProperty(options={"HIDDEN", "SKIP_SAVE"})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return unless(cls, why_not_here(context))

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        settings = context.scene.dice.sequence
        self.mesh_layout, self.timing = settings.layout, settings.timing
        self.first_frame = context.scene.frame_start
        return super().invoke(context, event)

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene = bpy.data.scenes.get(self.scene_name) if self.scene_name else context.scene
        try:
            if scene is None:
                raise DiceError("The scene is gone.", "Open the sequence's folder in another one.")
            collection = api.import_sequence(
                self.directory, layout=self.mesh_layout, timing=self.timing, first_frame=self.first_frame,
                step=self.step, match=self.match, scene=scene,
            )  # fmt: skip
        except DiceError as error:
            self.report({"ERROR"}, told(error))
            return {"CANCELLED"}
        if scene == context.scene:
            select(context, build.meshes(collection))
            look(context, self.match and self.look_through)
        return {"FINISHED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        for name in ("mesh_layout", "timing", "first_frame", "match"):
            layout.prop(self, name)
        row = layout.row()
        row.active = self.match
        row.prop(self, "look_through")


def import_folder(folder: str, scene: str, *, layout: str, timing: str, first_frame: int, step: float) -> None:
    """Build a job's sequence in the scene of that name, where it was started, as one step that can be undone."""
    in_view(scene, lambda: bpy.ops.dice.import_sequence(
        "EXEC_DEFAULT", True, directory=folder, mesh_layout=layout, timing=timing, first_frame=first_frame,
        step=step, scene_name=scene,
    ))  # fmt: skip


def _draw_menu(self: bpy.types.Menu, context: bpy.types.Context) -> None:
    self.layout.operator(DICE_OT_import_sequence.bl_idname, text="DICE Sequence (capture.json)")


_register, _unregister = bpy.utils.register_classes_factory((DICE_OT_import_sequence,))


def register() -> None:
    _register()
    bpy.types.TOPBAR_MT_file_import.append(_draw_menu)


def unregister() -> None:
    bpy.types.TOPBAR_MT_file_import.remove(_draw_menu)
    _unregister()
