# SPDX-License-Identifier: GPL-3.0-or-later
"""Every example of docs/scripting.md runs, with the real worker, one after the other as they stand there."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import bpy
import pytest
from dice_capture.dice_blender import api, cli, preferences
from dice_capture.dice_core.paths import ROOT
from movies import write_movie

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("registered")]
PAGE = (ROOT / "docs" / "scripting.md").read_text(encoding="utf-8")
PACKAGE = "bl_ext.user_default.dice_capture"  # as which Blender imports the installed extension; here it is a clone


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the pictures that the page speaks of, and a .blend beside them."""
    if not preferences.is_installed():
        pytest.fail("no runtime: run `make test`, or set DICE_RUNTIME")
    sample = ROOT / "tests" / "data" / "sample.jpg"
    (tmp_path / "pictures").mkdir()
    shutil.copy(sample, tmp_path / "portrait.jpg")
    shutil.copy(sample, tmp_path / "pictures" / "1.jpg")
    (tmp_path / "pictures" / "2.jpg").write_text("no picture")
    write_movie(tmp_path / "clip.mp4", [sample] * 6, size=(768, 768))
    (tmp_path / "shot").mkdir()
    for number in (1, 2):
        shutil.copy(sample, tmp_path / "shot" / f"{number}.jpg")
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "studio.blend"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_python_examples(studio: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict = {}
    for block in blocks("python"):
        code = block.replace(PACKAGE, "dice_capture")
        exec(compile(code, "docs/scripting.md", "exec"), names)
    told = capsys.readouterr().out
    assert "DICE portrait touch" in told and "vertices of the head touch the hand" in told
    assert "2.jpg" in told and len(names["report"].captured) == 1
    assert {path.suffix for path in studio.iterdir()} >= {".glb", ".fbx", ".npz", ".abc"}
    assert api.parts(names["capture"]).keys() == {"head", "hand_right", "camera"}


def test_the_commands(studio: Path, capsys: pytest.CaptureFixture[str]) -> None:
    codes = {"capture": 0}
    for line in "".join(blocks("sh")).splitlines():
        start, _, command = line.partition("--command dice ")
        assert start == "blender -b "
        name = command.split()[0]
        codes[name] = max(cli.main(shlex.split(command)), codes.get(name, 0))
    told = capsys.readouterr()
    assert "ok    landmarks" in told.out and codes.pop("doctor") in (0, 1)  # the official files may be missing
    assert codes == {"capture": 0, "batch": 1}, told.out + told.err  # one of the pictures is none
    assert {path.name for path in studio.glob("**/*.blend")} >= {
        "scene.blend", "left.blend", "1.blend", "moving.blend", "shot.blend"
    }  # fmt: skip
