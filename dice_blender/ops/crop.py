# SPDX-License-Identifier: GPL-3.0-or-later
"""The square to look at, drawn with the mouse in the Image Editor and shown there."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import bpy
import gpu
from gpu_extras.batch import batch_for_shader

from ..languages.words import iface
from ..scene import exif, photo
from .poll import unless

Point = tuple[float, float]
COLOR = (1.0, 0.55, 0.1, 0.9)
CROP = ("use_crop", "crop_left", "crop_top", "crop_side")
LEAST = 16  # pixels of a side
_handle: object = None


class DICE_OT_draw_crop(bpy.types.Operator):
    """Draw the square to look at: press the mouse button in its middle and drag outward"""

    bl_idname = "dice.draw_crop"
    bl_label = "Draw Crop"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return unless(cls, "" if _image(context) else "Open an image in the Image Editor first")

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        settings = context.scene.dice
        self.middle: Point | None = None
        self.before = {name: getattr(settings, name) for name in CROP}
        context.window_manager.modal_handler_add(self)
        help_text = iface("Crop: drag from the middle of the face outward. Esc: leave it as it was")
        context.workspace.status_text_set(help_text)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        image = _image(context)
        if image is None or event.type in {"ESC", "RIGHTMOUSE"}:
            self.cancel(context)
            return {"CANCELLED"}
        window = next(region for region in context.area.regions if region.type == "WINDOW")
        at = pixel_of(image, window, (event.mouse_x - window.x, event.mouse_y - window.y))
        if event.type == "LEFTMOUSE" and event.value == "PRESS":
            self.middle = at
        elif event.type == "LEFTMOUSE" and event.value == "RELEASE" and self.middle:
            context.workspace.status_text_set(None)
            return {"FINISHED"}
        elif event.type == "MOUSEMOVE" and self.middle:
            set_crop(context.scene, self.middle, at)
            context.area.tag_redraw()
        elif event.type not in {"MOUSEMOVE", "INBETWEEN_MOUSEMOVE", "LEFTMOUSE"}:
            return {"PASS_THROUGH"}  # the view may be moved meanwhile
        return {"RUNNING_MODAL"}

    def cancel(self, context: bpy.types.Context) -> None:
        """Blender calls it too, when it ends what runs."""
        for name, value in self.before.items():
            setattr(context.scene.dice, name, value)
        context.workspace.status_text_set(None)


def set_crop(scene: bpy.types.Scene, middle: Point, corner: Point) -> None:
    """Make the settings' crop the square around a point that reaches as far as another; pixels of the picture."""
    reach = max(abs(corner[0] - middle[0]), abs(corner[1] - middle[1]), LEAST / 2)
    settings = scene.dice
    settings.use_crop = True
    settings.crop_left, settings.crop_top = round(middle[0] - reach), round(middle[1] - reach)
    settings.crop_side = round(2 * reach)


def pixel_of(image: bpy.types.Image, region: bpy.types.Region, at: Point) -> Point:
    """The pixel of the upright picture, from its top-left corner, that lies at a point of the region."""
    width, height = image.size
    right, up = region.view2d.region_to_view(*at)
    return exif.placed(right * width, (1 - up) * height, (width, height), _turn(image))


def _turn(image: bpy.types.Image) -> int:
    path = photo.file_of(image)
    return 1 if path is None else _orientation(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _orientation(path: Path, changed: int) -> int:  # for drawing
    return exif.orientation(path)


def _image(context: bpy.types.Context) -> bpy.types.Image | None:
    space = context.space_data
    image = space.image if space is not None and space.type == "IMAGE_EDITOR" else None
    return image if image is not None and all(image.size) else None


def _draw() -> None:
    """The square, over the image that an Image Editor shows."""
    context = bpy.context
    settings, image = context.scene.dice, _image(context)
    if not settings.use_crop or image is None:
        return
    left, top, side = settings.crop_left, settings.crop_top, settings.crop_side
    width, height = image.size
    turn, corners = _turn(image), []
    for x, y in ((left, top), (left + side, top), (left + side, top + side), (left, top + side)):
        right, down = exif.placed(x, y, (width, height), turn, back=True)
        corners.append(context.region.view2d.view_to_region(right / width, 1 - down / height, clip=False))
    shader = gpu.shader.from_builtin("POLYLINE_UNIFORM_COLOR")
    shader.uniform_float("viewportSize", gpu.state.viewport_get()[2:])
    shader.uniform_float("lineWidth", 2 * context.preferences.system.ui_scale)
    shader.uniform_float("color", COLOR)
    points = [(float(x), float(y), 0.0) for x, y in (*corners, corners[0])]
    batch_for_shader(shader, "LINE_STRIP", {"pos": points}).draw(shader)


_register, _unregister = bpy.utils.register_classes_factory((DICE_OT_draw_crop,))


def register() -> None:
    global _handle
    _register()
    _handle = bpy.types.SpaceImageEditor.draw_handler_add(_draw, (), "WINDOW", "POST_PIXEL")


def unregister() -> None:
    bpy.types.SpaceImageEditor.draw_handler_remove(_handle, "WINDOW")
    _unregister()
