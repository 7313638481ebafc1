# SPDX-License-Identifier: GPL-3.0-or-later
"""A Blender camera that sees what the photograph's camera saw."""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import numpy as np
from numpy.typing import NDArray

from ...dice_core.types import Camera
from . import axes, naming

SENSOR_WIDTH = 36.0  # mm; only the ratio to the focal length matters
CLIP_START = 0.01
SIZES = {"PERSP": "lens", "ORTHO": "ortho_scale"}
ORTHO_DISTANCE = 1.0  # metres in front of the nearest vertex; any distance gives the same picture


@dataclass(frozen=True)
class View:
    """What a Blender camera must be to see what the photograph's camera saw.

    Attributes
    ----------
    kind
        `PERSP` or `ORTHO`.
    size
        Millimetres of the lens, or metres of the view's width.
    shift
        In sensor widths.
    place
        (3,) metres in camera space.
    """

    kind: str
    size: float
    shift: tuple[float, float]
    place: NDArray


def add_camera(
    camera: Camera, nearest: float, farthest: float, origin: NDArray, name: str = naming.CAMERA
) -> bpy.types.Object:
    """A camera object, not yet in any collection.

    Parameters
    ----------
    camera
        The photograph's camera; its `model` is what the object becomes.
    nearest, farthest
        Range of z of everything that it must see, metres in camera space.
    origin
        The camera-space point at the world's origin.
    """
    data, view = bpy.data.cameras.new(name), view_of(camera, nearest)
    data.sensor_fit = "HORIZONTAL"
    data.sensor_width = SENSOR_WIDTH
    data.display_size = 0.1
    data.clip_start = CLIP_START
    data.clip_end = max(100.0, 2 * (farthest - view.place[2]))
    data.type = view.kind
    setattr(data, SIZES[view.kind], view.size)
    data.shift_x, data.shift_y = view.shift
    item = bpy.data.objects.new(name, data)
    item.location = axes.to_world(view.place, origin)
    item.rotation_euler = axes.CAMERA_ROTATION
    return item


def view_of(camera: Camera, nearest: float) -> View:
    """Of a camera, as its `model` says; `nearest` is the least z that it must see."""
    width, height = camera.image_size
    if camera.model == "orthographic":
        scale, shift_x, shift_y = camera.ortho.tolist()
        place = [(width / 2 - shift_x) / scale, (height / 2 - shift_y) / scale, nearest - ORTHO_DISTANCE]
        return View("ORTHO", width / scale, (0.0, 0.0), np.array(place))
    (focal, _, centre_x), (_, _, centre_y), _ = camera.matrix.tolist()
    shift = (width / 2 - centre_x) / width, (centre_y - height / 2) / width
    return View("PERSP", focal / width * SENSOR_WIDTH, shift, np.zeros(3))


def show_photo(camera: bpy.types.Object, image: bpy.types.Image) -> None:
    """Put the photograph behind everything that the camera sees."""
    data = camera.data
    background = data.background_images.new()
    background.image = image
    _put_behind(data, background)


def show_clip(camera: bpy.types.Object, clip: bpy.types.MovieClip) -> None:
    """Put moving pictures there."""
    data = camera.data
    background = data.background_images.new()
    background.source = "MOVIE_CLIP"
    background.clip = clip
    _put_behind(data, background)


def _put_behind(data: bpy.types.Camera, background: bpy.types.CameraBackgroundImage) -> None:
    background.alpha = 1.0
    background.display_depth = "BACK"
    background.frame_method = "STRETCH"
    data.show_background_images = True


def match_scene(scene: bpy.types.Scene, camera: bpy.types.Object, size: tuple[int, int]) -> None:
    """Make it the scene's camera, and the render as large as the photograph."""
    scene.camera = camera
    scene.render.resolution_x, scene.render.resolution_y = size
    scene.render.resolution_percentage = 100
    scene.render.pixel_aspect_x = scene.render.pixel_aspect_y = 1.0
