# SPDX-License-Identifier: GPL-3.0-or-later
"""`blender --command dice`: exit codes and the file that it writes."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import bpy
import fake_runtime
import pytest
from dice_capture.dice_blender import capture_job, cli
from synthetic import LANDSCAPE, capture, gradient, write_picture

pytestmark = pytest.mark.usefixtures("registered")


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DICE_RUNTIME", str(fake_runtime.make(tmp_path / "runtime", capture())))


def picture(tmp_path: Path, name: str = "Ein Bild.png") -> str:
    return str(write_picture(tmp_path / name, gradient(LANDSCAPE.image_size)))


def test_writes_a_scene(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "new folder" / "scene.blend"
    assert cli.main(["capture", picture(tmp_path), "-o", str(output)]) == 0
    assert "contact probability 0.88" in capsys.readouterr().out
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.wm.open_mainfile(filepath=str(output))
    assert {"Head", "Hand.L", "Camera"} <= set(bpy.data.objects.keys())
    assert bpy.context.scene.camera.name == "Camera"


def test_notes_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    noted = replace(capture(), notes=("The first.", "The second."))
    monkeypatch.setenv("DICE_RUNTIME", str(fake_runtime.make(tmp_path / "another", noted)))
    assert cli.main(["capture", picture(tmp_path), "-o", str(tmp_path / "scene.blend")]) == 0
    assert "note: The first.\nnote: The second.\n" in capsys.readouterr().out


def test_choices_reach_the_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[capture_job.Request] = []
    asking = capture_job.asking

    def recorded(photo: object, request: capture_job.Request) -> capture_job.Ask:
        asked.append(request)
        return asking(photo, request)

    monkeypatch.setattr(capture_job, "asking", recorded)
    options = "--engine dice --precision fast --fix-contact --crop 1,2,30 --hand left"
    assert cli.main(["capture", picture(tmp_path), "-o", str(tmp_path / "scene.blend"), *options.split()]) == 0
    assert asked == [capture_job.Request("dice", "left", (1, 2, 30), "fast", True)]


@pytest.mark.parametrize(
    ("given", "written"), [("shot", "shot.blend"), ("shot.v2", "shot.v2.blend"), ("Shot.BLEND", "Shot.BLEND")]
)
def test_the_name_of_the_scene(given: str, written: str, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    assert cli.main(["capture", picture(tmp_path), "-o", str(folder / given)]) == 0
    assert [file.name for file in folder.iterdir()] == [written]


def test_an_error_is_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["capture", str(tmp_path / "gone.png"), "-o", str(tmp_path / "scene.blend")]) == 1
    assert "no picture" in capsys.readouterr().err
    assert not (tmp_path / "scene.blend").exists()


@pytest.mark.parametrize(
    "arguments",
    ["", "capture", "capture a.png", "render a.png"]
    + [f"capture a.png -o b {option}" for option in (
        "--hand no", "--engine x", "--precision fast", "--fix-contact", "--crop 1,2"
    )],  # fmt: skip
)
def test_wrong_usage_is_2(arguments: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments.split()) == 2
    assert "usage: blender -b --command dice" in capsys.readouterr().err


def test_help_is_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    assert "capture" in capsys.readouterr().out


def test_nothing_found_is_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["capture", picture(tmp_path, "empty.png"), "-o", str(tmp_path / "scene.blend")]) == 3
    assert not (tmp_path / "scene.blend").exists()


def test_ctrl_c_is_130(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_report", interrupt)
    assert cli.main(["capture", picture(tmp_path), "-o", str(tmp_path / "scene.blend")]) == 130


def test_a_folder_that_cannot_be_made_is_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("in the way")
    assert cli.main(["capture", picture(tmp_path), "-o", str(tmp_path / "file" / "scene.blend")]) == 1
    assert "Cannot make the folder" in capsys.readouterr().err


def test_a_batch_writes_a_scene_for_each_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("a.png", "a.jpg", "b empty.png"):
        picture(folder, name)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    output = tmp_path / "scenes"
    command = ["batch", str(folder), picture(elsewhere, "a.png"), "-o", str(output)]
    assert cli.main(command) == 1
    said = capsys.readouterr()
    assert "b empty.png: No face" in said.err and "1 of 4 pictures could not be captured" in said.err
    assert sorted(path.name for path in output.iterdir()) == ["a.blend", "a.png.2.blend", "a.png.blend"]
    before = {path: path.stat().st_mtime_ns for path in output.iterdir()}
    assert cli.main(command) == 1
    assert "a.blend: is there already" in capsys.readouterr().out
    assert before == {path: path.stat().st_mtime_ns for path in output.iterdir()}
    bpy.ops.wm.open_mainfile(filepath=str(output / "a.blend"))
    assert "DICE a" in bpy.data.collections


def test_a_batch_of_nothing_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["batch", str(tmp_path), "-o", str(tmp_path / "scenes")]) == 1
    assert "There is no picture to capture" in capsys.readouterr().err


def test_the_doctor_says_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor"]) == 1  # the runtime of these tests is a stub
    said = capsys.readouterr().out
    assert "ok    python" in said and "FAIL  models" in said


@pytest.mark.skipif(sys.platform == "win32", reason="no limits to the size of files there")
def test_a_full_disk_is_1_and_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import resource

    given, output = picture(tmp_path), tmp_path / "scenes" / "scene.blend"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, before[1]))  # as a full disk: in the middle
    try:
        assert cli.main(["capture", given, "-o", str(output)]) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert f"Cannot write {output}" in capsys.readouterr().err
    assert not list(output.parent.iterdir())
