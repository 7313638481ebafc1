# SPDX-License-Identifier: GPL-3.0-or-later
"""The extension in a real window: it stays alive while it works, and tells what happened."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from PIL import Image

SCRIPT = Path(__file__).with_name("window.py")
Blender = Callable[..., subprocess.CompletedProcess]  # conftest.blender
PANEL = Path(__file__).parents[2] / "docs" / "images" / "panel.png"  # written anew when DICE_WRITE_DOCS is set
LONGEST_PART = 1 / 3  # of a job's time; drawing the window in software costs most of it


def play(blender: Blender, folder: Path, runtime: Path, *pictures: Path) -> dict:
    arguments = (folder / "report.json", folder / "window.png", *pictures)
    done = blender("gui", "-P", SCRIPT, "--", *arguments, runtime=runtime)
    assert (folder / "report.json").exists(), done.stdout + done.stderr
    report = json.loads((folder / "report.json").read_text())
    print(report)
    assert "exception" not in report, report["exception"] + done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr  # from drawing, say
    return report


def test_a_capture_a_cancel_and_a_crash(
    installed: Blender, fake_runtime: Path, picture: Callable[[str], Path], tmp_path: Path
) -> None:
    names = "long.png", "slow and stubborn.png", "crash.png", "batch 1.png", "batch 2 empty.png", "batch 3.png"
    pictures = [picture(name) for name in names]
    report = play(installed, tmp_path, fake_runtime, *pictures)
    objects = ["Camera", "Hand.R", "Head"]
    assert report["error"] == ""
    assert report["objects"] == report["after_redo"] == report["at_the_end"] == objects
    assert report["after_undo"] == []  # one step
    assert report["redo_panel"] == "DICE_OT_import_result"
    assert report["perspective"] == "CAMERA"
    assert {"Starting", "looking"} <= report["stages"].keys()
    assert report["largest_gap"] < LONGEST_PART * report["seconds"]
    assert report["cancel_seconds"] < 2.5
    assert "cancelled" in report["cancel_message"]
    assert "exit code 7" in report["crash_message"]
    assert report["batch"] == ["DICE batch 1", "DICE batch 3"] and report["batch_undone"]
    assert any(stage.startswith("3 of 3") for stage in report["batch_stages"])  # the second fails at once
    assert "1 of 3 pictures could not be captured" in report["batch_message"]
    assert Image.open(tmp_path / "window.png").size == (1600, 900)


def test_the_sample(installed: Blender, real_runtime: Path, sample: Path, tmp_path: Path) -> None:
    report = play(installed, tmp_path, real_runtime, Path(shutil.copy(sample, tmp_path)))
    assert report["error"] == ""
    assert report["objects"] == ["Camera", "Hand.R", "Head"]
    assert report["largest_gap"] < LONGEST_PART * report["seconds"]
    if os.environ.get("DICE_WRITE_DOCS"):
        PANEL.parent.mkdir(exist_ok=True)
        shutil.copy(tmp_path / "window-side-by-side.png", PANEL)
