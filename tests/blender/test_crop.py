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
