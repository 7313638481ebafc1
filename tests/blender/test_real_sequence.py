# SPDX-License-Identifier: GPL-3.0-or-later
"""The installed runtime on a short movie of the sample's person, from the command to meshes; and Blender killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from dice_capture.dice_blender import cli, preferences
from mathutils import Vector
from sequences import cached, curve, expected, shown

from dice_core.paths import ROOT, environment_python

COUNT = 10
COMMAND = """
import sys
sys.path.append({tests!r})
import bpy
from tools.demo_scene import load_extension
load_extension()
sys.modules["dice_capture"].register()
from dice_capture.dice_blender import cli
import os
code = cli.main(sys.argv[1:])
sys.stdout.flush()
os._exit(code)
"""


@pytest.fixture(scope="module")
def movie(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Written by the runtime: Blender's Python has no OpenCV."""
    assert preferences.is_installed(), f"no complete runtime in {preferences.runtime()}: run `make test`"
    path = tmp_path_factory.mktemp("movie") / "clip.mp4"
    script = f"from tests.core.clips import *; write_clip(Path({str(path)!r}), [True] * {COUNT})"
    subprocess.run([str(environment_python(preferences.runtime() / "python")), "-c", script], cwd=ROOT, check=True)
    return path


@pytest.fixture(scope="module")
def whole(movie: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The .blend of the movie, captured in one go."""
    output = tmp_path_factory.mktemp("whole") / "scene.blend"
    extension = sys.modules["dice_capture"]
    extension.register()
    try:
        assert cli.main(["capture", str(movie), "-o", str(output), "--layout", "caches"]) == 0
    finally:
        extension.unregister()
    return output


@pytest.mark.slow
def test_a_movie_becomes_a_moving_scene(whole: Path) -> None:
    bpy.ops.wm.open_mainfile(filepath=str(whole))
    folder, scene = whole.parent / "dice_cache" / "scene", bpy.context.scene
    assert (scene.frame_start, scene.frame_end, scene.render.fps) == (1, COUNT, 24)
    assert set(curve(folder, "contact_state")) == {"touch"}
    for frame in (1, COUNT // 2, COUNT):
        scene.frame_set(frame)
        for name, part in (("Head", "head"), ("Hand.R", "hand_right")):
            points = shown(bpy.data.objects[name])
            assert np.abs(points - expected(folder, part, frame - 1)).max() < 2e-6
            views = [world_to_camera_view(scene, scene.camera, Vector(point)) for point in points[::50]]
            assert all(0 < view.x < 1 and 0 < view.y < 1 for view in views) or part == "head"
            assert np.mean([0 < view.x < 1 and 0 < view.y < 1 for view in views]) > 0.9
    dent = np.linalg.norm(cached(folder, "head_deformation", COUNT // 2), axis=1)
    assert dent.max() > 0.0005


@pytest.mark.slow
def test_blender_killed_and_asked_again(movie: Path, whole: Path, tmp_path: Path) -> None:
    """Three times, in different steps; the worker goes with it, and what is resumed equals what was never killed."""
    script = tmp_path / "command.py"
    script.write_text(COMMAND.format(tests=str(Path(__file__).parent)))
    output = tmp_path / "scene.blend"
    command = [sys.executable, str(script), "capture", str(movie), "-o", str(output), "--resume", "--layout", "caches"]
    environment = os.environ | {"BLENDER_USER_RESOURCES": str(tmp_path / "user"), "PYTHONPATH": str(ROOT)}
    environment["DICE_RUNTIME"] = str(preferences.runtime())
    silent = {"env": environment, "cwd": ROOT, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    folder = tmp_path / "dice_cache" / "scene"
    for step in ("capture.json", "fitted", "frames"):
        process = subprocess.Popen(command, **silent)
        deadline = time.monotonic() + 120
        while not (folder / step).exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert not output.exists()
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert output.is_file() and len(list(folder.parent.iterdir())) == 1
    caches = sorted((whole.parent / "dice_cache" / "scene").glob("*.pc2"))
    assert [file.name for file in caches] == sorted(file.name for file in folder.glob("*.pc2"))
    for file in caches:
        assert file.read_bytes() == (folder / file.name).read_bytes(), file.name
