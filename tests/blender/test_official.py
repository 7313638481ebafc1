# SPDX-License-Identifier: GPL-3.0-or-later
"""The dice engine from official files to a scene. The weights and bodies are made up, so what is built looks absurd.

That everything is there, and stands where the engine put it, does not depend on what the network says.
"""

from __future__ import annotations

import lzma
import os
import subprocess
from pathlib import Path

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from dice_capture.dice_blender import api, capture_job, preferences
from dice_capture.dice_core.paths import ROOT, runtime_python
from dice_capture.dice_core.types import Capture

pytestmark = pytest.mark.slow
PHOTOS = ["1.png", "2.png", "no-touch/1.jpg"]


def folder_of(variable: str) -> Path:
    if not os.environ.get(variable):
        pytest.skip(f"{variable} names no folder")
    return Path(os.environ[variable])


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recorded files in the official formats, made ready by the command that a user runs."""
    goldens = folder_of("DICE_GOLDENS")
    files, target = tmp_path_factory.mktemp("official"), tmp_path_factory.mktemp("models")
    packed = [*(goldens / "body-models").glob("*.xz"), goldens / "dice-network" / "official_tiny_model.bin.xz"]
    for path in packed:
        (files / path.stem).write_bytes(lzma.decompress(path.read_bytes()))
    given = [files, *(goldens / "body-models").glob("*.pt"), *(goldens / "body-models").glob("*.npy")]
    python = runtime_python(preferences.runtime())
    command = [str(python), "-m", "dice_core", "convert", *map(str, given), "-o", str(target)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    if "needs torch" in done.stdout:
        pytest.skip("the runtime has no torch (install_deps.py --engine dice)")
    assert done.returncode == 0 and "missing" not in done.stdout, done.stdout + done.stderr
    return target


@pytest.mark.parametrize("name", PHOTOS)
def test_a_photograph_becomes_a_complete_scene(
    name: str, models: Path, registered: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DICE_MODELS", str(models))
    results, run = [], capture_job.run

    def recorded(*given: object, **chosen: object) -> Capture:
        results.append(run(*given, **chosen))
        return results[-1]

    monkeypatch.setattr(capture_job, "run", recorded)
    photo = folder_of("DICE_PHOTOS") / name
    collection = api.capture(photo, engine="dice")
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    (capture,), scene = results, bpy.context.scene
    parts = api.parts(collection)
    hands = {f"hand_{hand.side}" for hand in capture.hands}
    assert hands and parts.keys() == {"head", "camera", "camera_perspective"} | hands
    assert collection["dice_contact_state"] == capture.contact_state
    assert scene.camera == parts["camera"] and scene.camera.data.type == "ORTHO"
    assert parts["camera_perspective"].data.type == "PERSP"
    for camera in (parts["camera"], parts["camera_perspective"]):
        assert tuple(camera.data.background_images[0].image.size) == capture.camera.image_size
    assert len(parts["head"].data.vertices) == 5023
    assert {len(parts[hand].data.vertices) for hand in hands} == {778}
    head = parts["head"]
    assert "Contact" in head.vertex_groups
    key = head.data.shape_keys.key_blocks["Deformation"]
    turn = np.array(head.matrix_world.to_3x3())
    moved = np.array([key.data[i].co - vertex.co for i, vertex in enumerate(head.data.vertices)]) @ turn.T
    expected = capture.head.deformation[:, [0, 2, 1]] * [1, 1, -1]  # Blender: y into the picture, z up
    assert np.allclose(moved, expected, atol=1e-3) and np.linalg.norm(moved, axis=1).max() > 0
    seen = [world_to_camera_view(scene, scene.camera, head.matrix_world @ vertex.co) for vertex in head.data.vertices]
    pixels = np.array([(view.x, 1 - view.y) for view in seen]) * capture.camera.image_size
    expected = capture.camera.project(capture.head.vertices)
    assert np.abs(pixels - expected).max() < 1e-3 * np.ptp(expected)


def test_contact_is_fixed_afterwards(models: Path, registered: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DICE_MODELS", str(models))
    collection = api.capture(folder_of("DICE_PHOTOS") / "1.png", engine="dice", crop=(200, 100, 600))
    before = api.kept(collection)
    api.parts(collection)["head"].name = "Aunt"
    assert bpy.ops.dice.fix_contact() == {"FINISHED"}
    after = api.kept(collection)
    assert "ontact was fixed" in after.notes[-1] or "no contact to fix" in after.notes[-1]
    assert collection["dice_notes"].endswith(after.notes[-1])
    parts = api.parts(collection)
    assert parts["head"].name == "Aunt" and parts["camera"].data.background_images[0].image
    if "ontact was fixed" in after.notes[-1]:
        assert not np.array_equal(before.hands[0].vertices, after.hands[0].vertices)
    collection["dice_engine"] = "open"
    assert not bpy.ops.dice.fix_contact.poll()
