# SPDX-License-Identifier: GPL-3.0-or-later
"""The camera against the projection that the core defines, by Blender's own projection and by a render."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from dice_capture.dice_blender import api
from dice_capture.dice_core.types import Camera
from mathutils import Vector
from synthetic import CAMERAS, LANDSCAPE, capture


@pytest.mark.parametrize("camera", CAMERAS.values(), ids=CAMERAS)
def test_projects_like_the_photograph(camera: Camera) -> None:
    made = capture(camera)
    collection = api.import_capture(made)
    bpy.context.view_layer.update()
    scene = bpy.context.scene
    assert (scene.render.resolution_x, scene.render.resolution_y) == camera.image_size
    assert scene.camera == api.parts(collection)["camera"]
    for part, mesh in (("head", made.head), ("hand_left", made.hands[0])):
        item = api.parts(collection)[part]
        points = [item.matrix_world @ vertex.co for vertex in item.data.vertices]
        seen = [world_to_camera_view(scene, scene.camera, point) for point in points]
        pixels = np.array([(view.x, 1 - view.y) for view in seen]) * camera.image_size
        assert np.abs(pixels - camera.project(mesh.vertices)).max() < 0.05
        assert min(view.z for view in seen) > scene.camera.data.clip_start


def test_two_cameras_for_one_photograph() -> None:
    """The official network sees without perspective; the camera that looks from where the photographer stood is ready
    beside it. Both must see the meshes where the core's projections do."""
    both = Camera(LANDSCAPE.image_size, matrix=LANDSCAPE.matrix, ortho=np.float32([620, 168.5, 101.0]))
    made = capture(both)
    parts = api.parts(api.import_capture(made))
    bpy.context.view_layer.update()
    scene, head = bpy.context.scene, parts["head"]
    assert scene.camera == parts["camera"] and parts["camera_perspective"].name == "Camera Perspective"
    for part, camera in (("camera", both), ("camera_perspective", LANDSCAPE)):
        seen = [world_to_camera_view(scene, parts[part], head.matrix_world @ v.co) for v in head.data.vertices]
        pixels = np.array([(view.x, 1 - view.y) for view in seen]) * both.image_size
        assert np.abs(pixels - camera.project(made.head.vertices)).max() < 0.05
        assert parts[part].data.show_background_images is False  # no photograph was given


@pytest.mark.parametrize("camera", CAMERAS.values(), ids=CAMERAS)
def test_is_level_and_looks_along_y(camera: Camera) -> None:
    api.import_capture(capture(camera))
    bpy.context.view_layer.update()
    turn = bpy.context.scene.camera.matrix_world.to_3x3()
    np.testing.assert_allclose(turn @ Vector((0, 0, -1)), (0, 1, 0), atol=1e-6)
    np.testing.assert_allclose(turn @ Vector((0, 1, 0)), (0, 0, 1), atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("camera", CAMERAS.values(), ids=CAMERAS)
def test_renders_on_the_photograph(camera: Camera, tmp_path: Path) -> None:
    made = capture(camera)
    collection = api.import_capture(made)
    for item in collection.objects:
        if item.type == "MESH":
            item.data.shape_keys.key_blocks["Deformation"].value = 0
    rendered = render(tmp_path / "render.png")
    expected = mask(camera, made.head.vertices, made.head.faces)
    expected |= mask(camera, made.hands[0].vertices, made.hands[0].faces)
    assert overlap(rendered, expected) > 0.98
    for flipped in (expected[:, ::-1], expected[::-1]):  # the shapes are lopsided enough for the test to notice
        assert overlap(rendered, flipped) < 0.9


def render(path: Path) -> np.ndarray:
    """(h, w) bool, first row on top: where Workbench drew something."""
    scene = bpy.context.scene
    scene.render.engine = "BLENDER_WORKBENCH"
    scene.render.film_transparent = True
    scene.display.render_aa = "OFF"
    scene.render.image_settings.file_format = "PNG"
    scene.render.image_settings.color_mode = "RGBA"
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(str(path))
    values = np.zeros(image.size[0] * image.size[1] * 4, np.float32)
    image.pixels.foreach_get(values)
    return values.reshape(image.size[1], image.size[0], 4)[::-1, :, 3] > 0.5


def mask(camera: Camera, vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(h, w) bool: the pixel centres that lie in a projected triangle."""
    width, height = camera.image_size
    covered = np.zeros((height, width), bool)
    for triangle in camera.project(vertices)[faces]:
        low = np.clip(np.floor(triangle.min(0)).astype(int), 0, (width, height))
        high = np.clip(np.ceil(triangle.max(0)).astype(int), 0, (width, height))
        x, y = np.meshgrid(np.arange(low[0], high[0]) + 0.5, np.arange(low[1], high[1]) + 0.5)
        sides = []
        for (ax, ay), (bx, by) in zip(triangle, np.roll(triangle, -1, 0), strict=True):
            sides.append((bx - ax) * (y - ay) - (by - ay) * (x - ax))
        inside = np.all([side >= 0 for side in sides], 0) | np.all([side <= 0 for side in sides], 0)
        covered[low[1] : high[1], low[0] : high[0]] |= inside
    return covered


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return (a & b).sum() / (a | b).sum()
