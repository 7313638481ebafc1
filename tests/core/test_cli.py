# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m dice_core` as a user runs it: exit codes, what is written, what is said and where."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from dice_core import __version__
from dice_core.paths import ROOT
from dice_core.result.store import load


def said(ran, *words: str) -> None:
    """An error is told in two lines on stderr, what happened and what to do, without a traceback."""
    assert "Traceback" not in ran.err
    told = ran.err[ran.err.index("Error: ") :].splitlines()
    assert len(told) == 2 and told[0].endswith(".") and told[1].endswith("."), ran.err
    for word in words:
        assert word in ran.err
    assert ran.out == ""


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_everything_at_once(command, sample, sample_capture, tmp_path):
    """Result, preview and meshes, into folders that do not exist yet, of a picture with a difficult name."""
    photo = tmp_path / "Fotos für Zoë" / "a b.jpg"
    photo.parent.mkdir()
    photo.write_bytes(sample.read_bytes())
    ran = command("capture", photo, "-o", "out/r.npz", "--preview", "out/p.png", "--obj", "out/m", "--ply", "out/m",
                  "--glb", "out/s.glb")  # fmt: skip
    assert ran.code == 0, ran.err
    meshes = {f"out/m/a b_{mesh}.{kind}" for mesh in ("head", "hand_right") for kind in ("obj", "ply")}
    written = meshes | {"out/r.npz", "out/p.png", "out/s.glb"}
    assert names(tmp_path) == written | {"Fotos für Zoë/a b.jpg"}
    assert {line.removeprefix("wrote ") for line in ran.out.splitlines() if line.startswith("wrote")} == written

    capture = load(tmp_path / "out" / "r.npz")
    assert capture.source == "a b.jpg"
    assert np.array_equal(capture.head.vertices, sample_capture.head.vertices)
    assert np.array_equal(capture.hands[0].vertices, sample_capture.hands[0].vertices)
    assert Image.open(tmp_path / "out" / "p.png").size == (2160, 720)
    assert set(trimesh.load(tmp_path / "out" / "s.glb").geometry) == {"head", "hand_right"}
    lines = dict(line.split(": ") for line in ran.out.splitlines() if ": " in line)
    assert lines["contact"] == f"touch ({capture.contact_probability:.2f})"
    assert float(lines["face_error"]) == pytest.approx(capture.quality["face_error"], abs=0.006)
    assert 0 < float(lines["seconds"]) < 60


def test_the_result_lies_beside_the_picture_unless_told(command, sample, tmp_path):
    (tmp_path / "photo.jpg").write_bytes(sample.read_bytes())
    ran = command("capture", "photo.jpg", "--hand", "left")
    assert ran.code == 0, ran.err
    assert names(tmp_path) == {"photo.jpg", "photo.npz"}
    assert [hand.side for hand in load(tmp_path / "photo.npz").hands] == ["left"]


def test_help_and_version(command):
    for arguments in (["--help"], ["capture", "--help"], ["doctor", "--help"]):
        ran = command(*arguments)
        assert ran.code == 0 and ran.err == "" and "usage: python -m dice_core" in ran.out
    text = command("capture", "--help").out
    assert all(option in text for option in ("--output", "--hand", "--preview", "--obj", "--ply", "--glb", "--engine"))
    assert command("--version").out.strip() == __version__


@pytest.mark.parametrize(
    "arguments", [[], ["capture"], ["fly"], ["capture", "a.jpg", "--hand", "third"], ["capture", "a.jpg", "--fast"]]
)
def test_wrong_usage_is_2(command, arguments, tmp_path):
    ran = command(*arguments)
    assert ran.code == 2 and "usage:" in ran.err and "Traceback" not in ran.err
    assert names(tmp_path) == set()


def test_unreadable_pictures_are_1(command, tmp_path):
    (tmp_path / "letter.jpg").write_text("Dear Anna,")
    ran = command("capture", "letter.jpg")
    assert ran.code == 1
    said(ran, "letter.jpg is not a picture", "JPEG")
    ran = command("capture", "nowhere.png")
    assert ran.code == 1
    said(ran, "nowhere.png", "Check the path")
    assert names(tmp_path) == {"letter.jpg"}


def test_nothing_found_is_3(command, tmp_path):
    Image.new("RGB", (320, 240), "grey").save(tmp_path / "wall.png")
    ran = command("capture", "wall.png", "--preview", "p.png")
    assert ran.code == 3
    said(ran, "No face and no hand were found in wall.png", "well lit")
    assert names(tmp_path) == {"wall.png"}


def test_an_unwritable_place_is_1_and_nothing_is_half_written(command, sample, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    (tmp_path / "taken.npz").mkdir()
    for target in ("file/r.npz", "taken.npz"):
        ran = command("capture", sample, "-o", target)
        assert ran.code == 1
        said(ran, "Cannot write")
        assert names(tmp_path) == {"file"}


@pytest.mark.parametrize("option, value", [("--preview", "p.xyz"), ("--glb", "s.fbx")])
def test_an_ending_that_nobody_can_write_is_wrong_usage(command, sample, option, value, tmp_path):
    ran = command("capture", sample, "-o", "r.npz", option, value)
    assert ran.code == 2
    assert f"{value} must end with" in ran.err
    assert names(tmp_path) == set()


def test_a_console_that_lacks_letters_is_no_reason_to_fail(command, sample, tmp_path):
    name = "\u7528\u6237.npz"
    ran = command("capture", sample, "-o", name, PYTHONIOENCODING="ascii")
    assert ran.code == 0
    assert names(tmp_path) == {name}


def test_no_runtime_is_1_and_says_how_to_install(command, sample, tmp_path):
    ran = command("capture", sample, "-o", "r.npz", DICE_RUNTIME=str(tmp_path / "none"))
    assert ran.code == 1
    said(ran, "landmark model", "install_deps.py")
    assert names(tmp_path) == set()


def test_a_python_without_the_packages_is_1_and_says_which_to_use(sample, runtime, tmp_path):
    """`python3 -m dice_core` with the system's Python, say."""
    (tmp_path / "numpy.py").write_text("raise ModuleNotFoundError(\"No module named 'numpy'\", name='numpy')")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)]), "DICE_RUNTIME": str(runtime)}
    done = subprocess.run(
        [sys.executable, "-m", "dice_core", "capture", str(sample), "-o", str(tmp_path / "r.npz")],
        capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "numpy" in done.stderr and str(runtime / "python") in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="signals and pipes with names")
def test_ctrl_c_is_130(runtime, tmp_path):
    """The picture is a pipe that nobody fills, so the program surely waits in the middle of its work."""
    os.mkfifo(tmp_path / "slow.jpg")
    environment = os.environ | {"DICE_RUNTIME": str(runtime), "PYTHONPATH": str(ROOT)}
    program = subprocess.Popen(
        [sys.executable, "-m", "dice_core", "capture", "slow.jpg", "-o", "r.npz"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=environment,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # tests in the background ignore it
    )  # fmt: skip
    with open(tmp_path / "slow.jpg", "wb"):  # opens when the program does
        program.send_signal(signal.SIGINT)
        out, err = program.communicate(timeout=20)
    assert program.returncode == 130
    assert err.strip() == "Cancelled." and out == ""
    assert not (tmp_path / "r.npz").exists()


def test_the_doctor_tells_what_is_missing(command, tmp_path):
    ran = command("doctor", DICE_RUNTIME=str(tmp_path / "none"))
    assert ran.code == 1 and "Traceback" not in ran.err
    assert "FAIL" in ran.out and "install_deps.py" in ran.out
    assert not (tmp_path / "none").exists()


def test_the_doctor_finds_the_models_of_this_runtime(command):
    ran = command("doctor")
    assert ran.code in (0, 1) and ran.err == ""
    assert [line for line in ran.out.splitlines() if line.startswith("ok") and "models" in line]
