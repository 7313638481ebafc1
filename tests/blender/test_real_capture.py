# SPDX-License-Identifier: GPL-3.0-or-later
"""The installed runtime on the sample picture, from the operator to pixels."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from dice_capture.dice_blender import api, preferences

SAMPLE = Path(__file__).parents[1] / "data" / "sample.jpg"


@pytest.mark.slow
def test_the_sample_becomes_a_scene(registered: object) -> None:
    if not preferences.is_installed():
        pytest.skip(f"no runtime in {preferences.runtime()}")
    if not SAMPLE.exists():
        pytest.skip("no sample picture")
    scene = bpy.context.scene
    scene.dice.filepath = str(SAMPLE)
    assert bpy.ops.dice.capture() == {"FINISHED"}
    collection = scene.dice.result
    assert collection["dice_contact_state"] == "touch"
    parts = api.parts(collection)
    assert {"head", "hand_right"} <= parts.keys()
    head = parts["head"]
    assert 0.18 < head.dimensions.z < 0.32
    bpy.context.view_layer.update()
    size = tuple(parts["camera"].data.background_images[0].image.size)
    assert size == (scene.render.resolution_x, scene.render.resolution_y)
    for item in (head, parts["hand_right"]):
        seen = np.array([world_to_camera_view(scene, scene.camera, vertex.co) for vertex in item.data.vertices])
        assert ((seen[:, :2].mean(0) > 0.1) & (seen[:, :2].mean(0) < 0.9)).all()
    # upright, and looking at the camera, which is at -Y: the irises are high up and in front
    corners = [corner for polygon in head.data.polygons if polygon.material_index == 3 for corner in polygon.vertices]
    irises = np.mean([head.data.vertices[corner].co for corner in corners], axis=0)
    assert irises[1] < -0.05 and irises[2] > 0.1
