# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a capture into the scene."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import bpy
from bpy.props import BoolProperty, IntProperty, StringProperty
from bpy_extras.io_utils import ImportHelper

from ...dice_core.errors import DiceError
from ...dice_core.types import Capture
from .. import api
from ..compat import PATH_OPTIONS
from ..scene import build, naming
from ..scene.photo import Photo
from .poll import told, unless


@dataclass
class Pending:
    """The newest capture of a job, which the redo panel builds again with other settings; how the view was before."""

    number: int = 0
    capture: Capture | None = None
    photo: Photo | None = None
    scene: str = ""
    perspective: str = ""


pending = Pending()


class DICE_OT_import_result(bpy.types.Operator, ImportHelper):
    """Build the scene of a capture result: head, hands, and a camera that matches the photograph"""

    bl_idname = "dice.import_result"
    bl_label = "Build Capture"
    bl_options = {"REGISTER", "UNDO"}

    filename_ext = ".npz"
    filter_glob: StringProperty(default="*.npz", options={"HIDDEN"})
    photo: StringProperty(
        name="Photograph",
        description="Picture to show behind; when empty, it is looked for beside the result file",
        subtype="FILE_PATH",
        options=PATH_OPTIONS,
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
    pack: BoolProperty(
        name="Pack Photograph",
        description="Keep a copy of the photograph in the .blend file",
        default=True,
        options={"SKIP_SAVE"},
    )
    number: IntProperty(options={"HIDDEN", "SKIP_SAVE"})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return unless(cls, why_not_here(context))

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            result, picture, scene = self._given(context)
            collection = api.import_capture(result, picture, scene=scene, pack=self.pack, match=self.match)
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
        layout.prop(self, "match")
        row = layout.row()
        row.active = self.match
        row.prop(self, "look_through")
        layout.prop(self, "pack")
        if not self.number:
            layout.prop(self, "photo")

    def _given(self, context: bpy.types.Context) -> tuple[Capture | str, Photo | str | None, bpy.types.Scene]:
        if not self.number:
            return self.filepath, self.photo or None, context.scene
        scene = bpy.data.scenes.get(pending.scene)
        if self.number != pending.number or pending.capture is None or scene is None:
            raise DiceError("This capture or its scene is gone.", "Capture the photograph again.")
        return pending.capture, pending.photo, scene


def why_not_here(context: bpy.types.Context) -> str:
    """Why nothing can be built in the scene now; empty when something can."""
    reason = "The scene belongs to another file" if context.scene.library is not None else ""
    return reason or ("" if context.mode == "OBJECT" else "Return to Object Mode first")


def import_pending(capture: Capture, photo: Photo | None, scene: str) -> None:
    """Build a job's capture in the scene of that name, where it was started, as one step that can be undone."""
    pending.number += 1
    pending.capture, pending.photo, pending.scene, pending.perspective = capture, photo, scene, ""
    in_view(scene, lambda: bpy.ops.dice.import_result("EXEC_DEFAULT", True, number=pending.number))


def in_view(scene: str, operator: Callable[[], object]) -> None:
    """Call an operator where the redo panel appears: in the largest 3D view of a window that shows the scene.

    Raises
    ------
    DiceError
        With what the operator reported.
    """
    windows = bpy.context.window_manager.windows
    window = next((window for window in windows if window.scene.name == scene), windows[0])
    place = {"window": window}
    area = None if bpy.app.background else _largest_view(window.screen)
    if area:
        place |= {"area": area, "region": next(region for region in area.regions if region.type == "WINDOW")}
    try:
        with bpy.context.temp_override(**place):
            operator()
    except RuntimeError as error:  # how an operator's report reaches its caller
        raise DiceError(str(error).partition(": ")[2].strip()) from error


def rebuilt(owner: str, scene: str, build: Callable[[bpy.types.Collection, bpy.types.Scene], None], step: str) -> None:
    """Change a capture after a job, as one step that can be undone: the collection of that owner, the scene's name.

    Raises
    ------
    DiceError
        When one of them is gone.
    """
    place = bpy.data.scenes.get(scene)
    collection = next((one for one in bpy.data.collections if one.get(naming.OWNER) == owner), None)
    if collection is None or place is None:
        raise DiceError("The capture is gone.", "Undo what removed it, and try again.")
    build(collection, place)
    if not bpy.app.background:
        with bpy.context.temp_override(window=bpy.context.window_manager.windows[0]):
            bpy.ops.ed.undo_push(message=step)


def select(context: bpy.types.Context, items: list[bpy.types.Object]) -> None:
    layer = context.view_layer
    layer.update()
    items = [item for item in items if item.name in layer.objects]
    if context.mode != "OBJECT" or not items:
        return
    for item in layer.objects:
        item.select_set(item in items)
    layer.objects.active = items[0]


def look(context: bpy.types.Context, through: bool) -> None:
    """Turn the view to the scene's camera, or back as it was: undo does not do that when the redo panel runs."""
    if area := _largest_view(context.screen):
        view = area.spaces.active.region_3d
        if through and view.view_perspective != "CAMERA":
            pending.perspective, view.view_perspective = view.view_perspective, "CAMERA"
        elif not through and pending.perspective:
            view.view_perspective, pending.perspective = pending.perspective, ""


def _largest_view(screen: bpy.types.Screen | None) -> bpy.types.Area | None:
    areas = [area for area in screen.areas if area.type == "VIEW_3D"] if screen else []
    return max(areas, key=lambda area: area.width * area.height, default=None)


def _draw_menu(self: bpy.types.Menu, context: bpy.types.Context) -> None:
    self.layout.operator(DICE_OT_import_result.bl_idname, text="DICE Capture Result (.npz)")


_register, _unregister = bpy.utils.register_classes_factory((DICE_OT_import_result,))


def register() -> None:
    _register()
    bpy.types.TOPBAR_MT_file_import.append(_draw_menu)


def unregister() -> None:
    bpy.types.TOPBAR_MT_file_import.remove(_draw_menu)
    _unregister()
    pending.capture = pending.photo = None
