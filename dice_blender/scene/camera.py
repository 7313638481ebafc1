# SPDX-License-Identifier: GPL-3.0-or-later
"""A Blender camera that sees what the photograph's camera saw."""

from __future__ import annotations

import bpy
import numpy as np
from numpy.typing import NDArray

from ...dice_core.types import Camera
from . import axes, naming

SENSOR_WIDTH = 36.0  # mm; only the ratio to the focal length matters
CLIP_START = 0.01
ORTHO_DISTANCE = 1.0  # metres in front of the nearest vertex; any distance gives the same picture


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
    data = bpy.data.cameras.new(name)
    data.sensor_fit = "HORIZONTAL"
    data.sensor_width = SENSOR_WIDTH
    data.display_size = 0.1
    data.clip_start = CLIP_START
    place = _perspective(data, camera) if camera.model == "perspective" else _orthographic(data, camera, nearest)
    data.clip_end = max(100.0, 2 * (farthest - place[2]))
    item = bpy.data.objects.new(name, data)
    item.location = axes.to_world(place, origin)
    item.rotation_euler = axes.CAMERA_ROTATION
    return item


def _perspective(data: bpy.types.Camera, camera: Camera) -> NDArray:
    width, height = camera.image_size
    (focal, _, centre_x), (_, _, centre_y), _ = camera.matrix.tolist()
    data.type = "PERSP"
    data.lens = focal / width * SENSOR_WIDTH
    data.shift_x = (width / 2 - centre_x) / width  # both shifts are in sensor widths, as the fit is horizontal
    data.shift_y = (centre_y - height / 2) / width
    return np.zeros(3)


def _orthographic(data: bpy.types.Camera, camera: Camera, nearest: float) -> NDArray:
    width, height = camera.image_size
    scale, shift_x, shift_y = camera.ortho.tolist()
    data.type = "ORTHO"
    data.ortho_scale = width / scale
    return np.array([(width / 2 - shift_x) / scale, (height / 2 - shift_y) / scale, nearest - ORTHO_DISTANCE])


def show_photo(camera: bpy.types.Object, image: bpy.types.Image) -> None:
    """Put the photograph behind everything that the camera sees."""
    data = camera.data
    background = data.background_images.new()
    background.image = image
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
