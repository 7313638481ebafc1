# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Blender executable. REAL_BLENDER names a command with the verbs `run ARGS` and `gui ARGS` (a window on some
screen); REAL_BLENDER_BIND tells it which further folders Blender must see."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dice_core import paths
from dice_core.result import store
from dice_core.types import Camera, Capture, Hand, Head

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SIZE = (320, 240)

Blender = Callable[..., subprocess.CompletedProcess]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.real_blender)
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def user(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Blender's user folder for all these tests."""
    return tmp_path_factory.mktemp("user")


@pytest.fixture(scope="session")
def blender(user: Path) -> Blender:
    """Runs Blender: `blender("run", "-b", ...)`, `blender("gui", ...)`."""
    command = os.environ.get("REAL_BLENDER")
    if not command:
        pytest.skip("REAL_BLENDER names no Blender")

    def run(
        *arguments: object, runtime: Path | None = None, seconds: int = 300, interrupt: float | None = None
    ) -> subprocess.CompletedProcess:
        runtime = runtime or user / "no runtime"
        environment = os.environ | {"BLENDER_USER_RESOURCES": str(user), "DICE_RUNTIME": str(runtime)}
        environment["REAL_BLENDER_BIND"] = " ".join([environment.get("REAL_BLENDER_BIND", ""), *_needed(runtime)])
        words = [*shlex.split(command), *map(str, arguments)]
        if interrupt:  # Ctrl-C, after so many seconds
            words = ["timeout", "--preserve-status", "-s", "INT", str(interrupt), *words]
        return subprocess.run(words, capture_output=True, text=True, timeout=seconds, env=environment, cwd=ROOT)

    return run


def _needed(runtime: Path) -> list[str]:
    """The folders that a runtime lives in: its own, and that of the Python it was made from."""
    configuration = runtime / "python" / "pyvenv.cfg"
    if not configuration.is_file():
        return []
    settings = dict(line.split(" = ", 1) for line in configuration.read_text().splitlines() if " = " in line)
    return [str(runtime), str(Path(settings["home"]).parent)]


@pytest.fixture(scope="session")
def archive(blender: Blender, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The extension's zip, built by Blender."""
    folder = tmp_path_factory.mktemp("dist")
    done = blender("run", "--command", "extension", "build", "--source-dir", ROOT, "--output-dir", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("*.zip")
    return built


@pytest.fixture(scope="session")
def installed(blender: Blender, archive: Path) -> Blender:
    """Blender with the extension installed and switched on, and without a splash screen."""
    done = blender("run", "--command", "extension", "install-file", "-r", "user_default", "-e", archive)
    assert done.returncode == 0, done.stdout + done.stderr
    quiet = "import bpy; bpy.context.preferences.view.show_splash = False; bpy.ops.wm.save_userpref()"
    done = blender("run", "-b", "--python-expr", quiet)
    assert done.returncode == 0, done.stdout + done.stderr
    return blender


@pytest.fixture(scope="session")
def fake_runtime(blender: Blender, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A runtime that gives a tetrahedron and a triangle for every picture, in the Python that Blender runs on."""
    asked = blender("run", "-b", "--python-expr", "import sys; print('PYTHON', sys.executable)").stdout
    python = next(line.split(" ", 1)[1] for line in asked.splitlines() if line.startswith("PYTHON "))
    folder = tmp_path_factory.mktemp("runtime")
    store.save(folder / "capture.npz", _capture())
    (folder / paths.MARKER).write_text(json.dumps({"engine": "open", "megabytes": 1, "python": "3"}))
    script = paths.runtime_python(folder)
    script.parent.mkdir(parents=True)
    command = [python, str(ROOT / "tests" / "blender" / "fake_worker.py"), str(folder / "capture.npz")]
    script.write_text(f"#!/bin/sh\nexec {shlex.join(command)}\n")
    script.chmod(0o755)
    return folder


def _capture() -> Capture:
    corners = np.float32([[0, -0.1, 0.5], [-0.1, 0.1, 0.5], [0.1, 0.1, 0.5], [0, 0, 0.4]])
    faces = np.int32([[0, 1, 2], [0, 3, 1], [1, 3, 2], [2, 3, 0]])
    contact = np.float32([0, 0.5, 0, 1])
    beside = corners + np.float32([-0.05, 0.03, -0.05])
    return Capture(
        engine="open",
        source="picture.png",
        camera=Camera(SIZE, matrix=np.float32([[400, 0, 160], [0, 400, 120], [0, 0, 1]])),
        head=Head(corners, faces, -0.01 * contact[:, None] * corners, contact, np.zeros((68, 3), np.float32)),
        hands=(Hand("right", beside, faces, contact, np.zeros((21, 3), np.float32)),),
        contact_state="touch",
        contact_probability=0.9,
        quality={"face_error": 0.5},
    )


@pytest.fixture(scope="session")
def real_runtime() -> Path:
    """The installed runtime."""
    runtime = paths.runtime_dir()
    if not (runtime / paths.MARKER).is_file():
        pytest.fail(f"no complete runtime in {runtime}: run `make test`, or set DICE_RUNTIME")
    return runtime


@pytest.fixture(scope="session")
def sample() -> Path:
    """The sample picture."""
    return ROOT / "tests" / "data" / "sample.jpg"


@pytest.fixture
def picture(tmp_path: Path) -> Callable[[str], Path]:
    """Makes a picture of the name asked for: the fake runtime acts on names."""

    def make(name: str) -> Path:
        Image.new("RGB", SIZE, (40, 90, 160)).save(tmp_path / name)
        return tmp_path / name

    return make


