# SPDX-License-Identifier: GPL-3.0-or-later
"""The installed runtime on the sample picture, from the operator to pixels. The sample is a render: its truth is known.

The truth (tools/make_sample.py) was made without the engine; it lies in the space of the camera that took it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from dice_capture.dice_blender import api, capture_job, preferences
from dice_capture.dice_core.types import Capture
from numpy.typing import NDArray
from synthetic import write_picture

DATA = Path(__file__).parents[1] / "data"
SIZE = np.array([768, 768])
FOCAL = SIZE[0] * 45 / 36  # of the camera in tools/sample/scene.py


@dataclass(frozen=True)
class Made:
    """What the engine gave, and the objects it became."""

    result: Capture
    parts: dict[str, bpy.types.Object]


@pytest.fixture
def made(registered: object, monkeypatch: pytest.MonkeyPatch) -> Made:
    assert preferences.is_installed(), f"no complete runtime in {preferences.runtime()}: run `make test`"
    results, run = [], capture_job.run

    def recorded(*given: object, **chosen: object) -> Capture:
        results.append(run(*given, **chosen))
        return results[-1]

    monkeypatch.setattr(capture_job, "run", recorded)
    scene = bpy.context.scene
    scene.dice.filepath = str(DATA / "sample.jpg")
    assert bpy.ops.dice.capture() == {"FINISHED"}
    bpy.context.view_layer.update()
    return Made(results[-1], api.parts(scene.dice.result))


def seen(item: bpy.types.Object) -> NDArray:
    """(V, 2) the pixels at which the scene's camera sees the vertices."""
    scene = bpy.context.scene
    views = [world_to_camera_view(scene, scene.camera, item.matrix_world @ vertex.co) for vertex in item.data.vertices]
    return np.array([(view.x, 1 - view.y) for view in views]) * SIZE


@pytest.mark.slow
def test_the_sample_becomes_a_scene(made: Made) -> None:
    scene, parts = bpy.context.scene, made.parts
    assert scene.dice.result["dice_contact_state"] == "touch"
    assert parts.keys() == {"head", "hand_right", "camera"}
    assert scene.camera == parts["camera"]
    assert (scene.render.resolution_x, scene.render.resolution_y) == tuple(SIZE)
    assert tuple(parts["camera"].data.background_images[0].image.size) == tuple(SIZE)
    # upright, and looking at the camera, which is at -Y: the irises are high up and in front
    head = parts["head"]
    assert 0.18 < head.dimensions.z < 0.32
    corners = [corner for polygon in head.data.polygons if polygon.material_index == 3 for corner in polygon.vertices]
    irises = np.mean([head.data.vertices[corner].co for corner in corners], axis=0)
    assert irises[1] < -0.05 and irises[2] > 0.1
    # at the pixels where the engine put them
    for item, mesh in ((head, made.result.head), (parts["hand_right"], made.result.hands[0])):
        assert np.abs(seen(item) - made.result.camera.project(mesh.vertices)).max() < 0.1


@pytest.mark.slow
def test_the_scene_lies_on_the_person(made: Made) -> None:
    with np.load(DATA / "sample_truth.npz") as data:
        depth = data["head"][:, 2]
        true = {name: data[name][:, :2] / data[name][:, 2:] * FOCAL + SIZE / 2 for name in ("head", "hand", "joints")}
    front = depth < np.median(depth)  # the other half is guessed: the camera does not see it
    width = np.ptp(true["head"][:, 0])
    head, hand = seen(made.parts["head"]), seen(made.parts["hand_right"])
    assert distance(head[front], true["head"][front]) < 0.02 * width
    assert distance(hand, true["hand"]) < 0.05 * width
    assert distance(made.result.camera.project(made.result.hands[0].joints), true["joints"]) < 0.05 * width
    assert hand[:, 0].mean() < head[:, 0].mean() - 0.2 * width, "the person's right is the picture's left"


def distance(found: NDArray, true: NDArray) -> float:
    """Mean distance in pixels."""
    return float(np.linalg.norm(found - true, axis=1).mean())


def test_a_turned_photograph_comes_upright_from_the_worker(tmp_path: Path, registered: object) -> None:
    """As phones write them. To turn it in Blender would keep Blender waiting."""
    sample = bpy.data.images.load(str(DATA / "sample.jpg"))
    stored = np.zeros(sample.size[0] * sample.size[1] * 4, np.float32)
    sample.pixels.foreach_get(stored)
    upright = np.uint8(stored.reshape(*sample.size, 4)[::-1, :, :3] * 255 + 0.5)
    path = write_picture(tmp_path / "phone.jpg", np.rot90(upright))  # its top is on the left; EXIF 6 turns it back
    exif = bytes.fromhex("ffe1002245786966000049492a00080000000100120103000100000006000000000000000000")
    path.write_bytes(path.read_bytes()[:2] + exif + path.read_bytes()[2:])
    collection = api.capture(path)
    assert collection["dice_contact_state"] == "touch" and not collection["dice_notes"]
    image = api.parts(collection)["camera"].data.background_images[0].image
    assert image.packed_file and tuple(image.size) == tuple(sample.size)
    shown = np.zeros_like(stored)
    image.pixels.foreach_get(shown)
    assert np.abs(shown - stored).mean() < 0.02
