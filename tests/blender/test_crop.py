# SPDX-License-Identifier: GPL-3.0-or-later
"""The crop that is drawn: the same square of the picture, however its file is turned."""

from __future__ import annotations

from types import SimpleNamespace

import bpy
import numpy as np
import pytest
from dice_capture.dice_blender.ops import crop
from dice_capture.dice_blender.scene import exif


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_point_lies_where_its_pixel_does(turn: int) -> None:
    width, height = 7, 4
    stored = np.arange(width * height).reshape(height, width)
    seen = exif.upright(stored, turn)
    for y, x in np.ndindex(height, width):
        right, down = exif.placed(x + 0.5, y + 0.5, (width, height), turn)
        assert seen[int(down), int(right)] == stored[y, x]
        assert exif.placed(right, down, (width, height), turn, back=True) == (x + 0.5, y + 0.5)


def test_a_square_around_where_the_mouse_went_down(registered: object) -> None:
    scene = bpy.context.scene
    crop.set_crop(scene, (200.4, 100.0), (150.0, 120.0))
    settings = scene.dice
    assert settings.use_crop and settings.crop_side == 101
    assert (settings.crop_left, settings.crop_top) == (150, 50)
    crop.set_crop(scene, (5.0, 5.0), (5.0, 5.0))  # a click without a drag
    assert settings.crop_side == crop.LEAST


def test_the_mouse_is_above_this_pixel() -> None:
    image = bpy.data.images.new("picture", 200, 100)
    view = SimpleNamespace(region_to_view=lambda x, y: (x / 1000, y / 1000))
    pixel = crop.pixel_of(image, SimpleNamespace(view2d=view), (250, 1000))
    assert pixel == (50.0, 0.0)  # a quarter from the left, at the top


def test_only_where_an_image_is_shown(registered: object) -> None:
    assert not bpy.ops.dice.draw_crop.poll()


def modal(settings: object, *events: tuple[str, str, int, int], image: bpy.types.Image | None) -> set[str]:
    """What the operator says of the last of the events, in an Image Editor that shows the image at a pixel a unit."""
    view = SimpleNamespace(region_to_view=lambda x, y: (x / 200, y / 100))
    region = SimpleNamespace(type="WINDOW", x=0, y=0, view2d=view)
    context = SimpleNamespace(
        area=SimpleNamespace(regions=[region], tag_redraw=lambda: None), scene=SimpleNamespace(dice=settings),
        space_data=SimpleNamespace(type="IMAGE_EDITOR", image=image),
        workspace=SimpleNamespace(status_text_set=lambda text: None),
        window_manager=SimpleNamespace(modal_handler_add=lambda operator: None),
    )  # fmt: skip
    operator = SimpleNamespace()
    operator.cancel = lambda context: crop.DICE_OT_draw_crop.cancel(operator, context)
    crop.DICE_OT_draw_crop.invoke(operator, context, None)
    for kind, value, x, y in events:
        said = crop.DICE_OT_draw_crop.modal(
            operator, context, SimpleNamespace(type=kind, value=value, mouse_x=x, mouse_y=y)
        )
    return said


DRAG = [("LEFTMOUSE", "PRESS", 100, 50), ("MOUSEMOVE", "NOTHING", 130, 50)]


def test_the_mouse_draws_it(registered: object) -> None:
    settings, image = bpy.context.scene.dice, bpy.data.images.new("picture", 200, 100)
    assert modal(settings, *DRAG, ("LEFTMOUSE", "RELEASE", 130, 50), image=image) == {"FINISHED"}
    assert (settings.use_crop, settings.crop_left, settings.crop_top, settings.crop_side) == (True, 70, 20, 60)


@pytest.mark.parametrize("gone", [False, True], ids=["escape", "the image is gone"])
def test_what_is_broken_off_changes_nothing(gone: bool, registered: object) -> None:
    settings, image = bpy.context.scene.dice, bpy.data.images.new("picture", 200, 100)
    settings.crop_left = 7
    assert modal(settings, *DRAG, ("ESC", "PRESS", 0, 0), image=image) == {"CANCELLED"}
    if gone:
        assert modal(settings, ("MOUSEMOVE", "NOTHING", 0, 0), image=None) == {"CANCELLED"}
    assert (settings.use_crop, settings.crop_left) == (False, 7)
