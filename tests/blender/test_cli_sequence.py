# SPDX-License-Identifier: GPL-3.0-or-later
"""`blender --command dice` with moving pictures: what is written where, and with which exit code."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import bpy
import fake_runtime
import numpy as np
import pytest
from dice_capture.dice_blender import cli, cli_sequence
from sequences import curve, expected, shown
from synthetic import LANDSCAPE, capture, gradient, write_picture

from tools.made_up_sequence import write


@pytest.fixture(scope="module", autouse=True)
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The extension, registered for all tests of this file: the worker stays for the next one."""
    finished = tmp_path_factory.mktemp("finished") / "sequence"
    write(finished, 10, rate=30.0, phase=0.4)
    runtime = fake_runtime.make(tmp_path_factory.mktemp("runtime"), capture(), sequence=finished)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DICE_RUNTIME", str(runtime))
        sys.modules["dice_capture"].register()
        yield
        sys.modules["dice_capture"].unregister()


def movie(tmp_path: Path, name: str = "clip.mp4") -> Path:
    """Nobody reads it."""
    (tmp_path / name).write_bytes(b"no movie")
    return tmp_path / name


def facts(folder: Path) -> dict:
    return json.loads((folder / "capture.json").read_text())


def run(*arguments: object) -> int:
    return cli.main([str(argument) for argument in arguments])


def test_a_movie_becomes_a_moving_scene_beside_its_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "out" / "scene.blend"
    options = "--start 2 --end 8 --smoothing 0.25 --hand left --layout caches".split()
    assert run("capture", movie(tmp_path), "-o", output, *options) == 0
    told = capsys.readouterr().out
    touches = (curve(tmp_path / "out" / "dice_cache" / "scene", "contact_state") == "touch").sum()
    assert f"{output}: 10 frames, touch in {touches}\n" in told and 0 < touches < 10
    assert "note: Made up." in told and "Looking at the frames" in told
    asked = facts(tmp_path / "out" / "dice_cache" / "scene")
    assert (asked["start"], asked["end"], asked["asked_rate"], asked["settings"]["hand"]) == (2, 8, 0, "left")
    assert asked["settings"]["smoothing"] == 0.25
    moved = tmp_path / "elsewhere"
    (tmp_path / "out").rename(moved)  # all paths are relative
    bpy.ops.wm.open_mainfile(filepath=str(moved / "scene.blend"))
    scene = bpy.context.scene
    assert scene.render.fps == 30 and (scene.frame_start, scene.frame_end) == (1, 10)
    head, collection = bpy.data.objects["Head"], scene.collection.children["DICE clip"]
    assert head.modifiers["Sequence Cache"].filepath == "//dice_cache/scene/head.pc2"
    assert Path(bpy.path.abspath(collection["dice_folder"])) == moved / "dice_cache" / "scene"
    for frame in (1, 5, 10):
        scene.frame_set(frame)
        place = expected(moved / "dice_cache" / "scene", "head", frame - 1)
        np.testing.assert_allclose(shown(head), place, atol=2e-6)


def test_folders_and_several_pictures_are_sequences(tmp_path: Path) -> None:
    folder = tmp_path / "shot"
    folder.mkdir()
    pictures = [write_picture(folder / f"{number}.png", gradient(LANDSCAPE.image_size)) for number in (1, 2)]
    for number, given in enumerate(([folder], pictures)):
        cache = tmp_path / f"cache {number}"
        assert run("capture", *given, "-o", tmp_path / "s.blend", "--cache", cache, "--rate", "12") == 0
        assert facts(cache)["source"]["paths"] == [str(path) for path in given] and facts(cache)["asked_rate"] == 12
    assert run("capture", pictures[0], "-o", tmp_path / "one.blend") == 0
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "one.blend"))
    assert not bpy.data.objects["Head"].animation_data


def test_what_was_interrupted_is_resumed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output, cache = tmp_path / "scene.blend", tmp_path / "dice_cache"
    command = ("capture", movie(tmp_path, "crash.mp4"), "-o", output)
    assert run(*command) == 1
    said = capsys.readouterr().err
    assert "exit code 7" in said and f"{cache / 'scene'} keeps what was done: --resume" in said
    assert not output.exists() and not facts(cache / "scene")["complete"]
    assert run(*command, "--resume") == 0
    assert facts(cache / "scene")["resumed"] and output.exists()
    output.unlink()  # as if it could not be written
    assert run(*command, "--resume") == 0
    assert output.exists() and not (cache / "scene 2").exists()
    assert run("capture", movie(tmp_path), "-o", output, "--resume") == 0  # another movie: nothing is there to resume
    assert not facts(cache / "scene 2")["resumed"]
    assert run("capture", movie(tmp_path), "-o", output, "--cache", cache / "scene") == 1
    assert "is not empty" in capsys.readouterr().err


def test_exit_codes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "scene.blend"
    assert run("capture", tmp_path / "gone.mp4", "-o", output) == 1
    assert "There is no movie" in capsys.readouterr().err
    assert run("capture", movie(tmp_path, "empty.mp4"), "-o", output) == 3

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_report", interrupt)
    assert run("capture", movie(tmp_path), "-o", output) == 130
    assert not output.exists()


def test_wrong_usage_is_2(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (
        "a.png -o b --start 3", "a.png -o b --resume", "a.mp4 -o b --frame 1 --smoothing 0.1",
        "a.png b.png -o c --frame 1", "a.mp4 -o b --smoothing 2", "a.mp4 -o b --rate 0", "a.mp4 -o b --start -1",
        "a.mp4 -o b --layout other", "a.mp4 -o b --timing now",
    ):  # fmt: skip
        assert cli.main(["capture", *arguments.split()]) == 2, arguments
        assert "usage: blender -b --command dice capture" in capsys.readouterr().err


def test_a_batch_of_pictures_and_movies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    write_picture(folder / "a.png", gradient(LANDSCAPE.image_size))
    movie(folder, "not named.mp4")
    output = tmp_path / "scenes"
    command = ("batch", folder, movie(tmp_path, "crash.mp4"), movie(tmp_path), "-o", output)
    assert run(*command) == 1
    assert "crash.mp4: The capture process stopped" in capsys.readouterr().err
    assert sorted(path.name for path in output.glob("*.blend")) == ["a.blend", "clip.blend"]
    assert run(*command) == 0  # it goes on with what was interrupted
    assert sorted(path.name for path in output.glob("*.blend")) == ["a.blend", "clip.blend", "crash.blend"]
    assert facts(output / "dice_cache" / "crash")["resumed"]


def test_the_defaults_are_what_the_parser_has(tmp_path: Path) -> None:
    options = cli._parser().parse_args(["capture", "a.mp4", "-o", "b"])
    assert cli_sequence.given(options) == ""
