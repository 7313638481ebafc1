# SPDX-License-Identifier: GPL-3.0-or-later
"""A person's way through the panel in a real window: mouse, keyboard, and a screenshot of each step."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image

SCRIPT = Path(__file__).with_name("clicks.py")
PICTURES = os.environ.get("DICE_WINDOW_PICTURES")  # a folder to keep the screenshots in
Blender = Callable[..., subprocess.CompletedProcess]  # conftest.blender


def processes(word: str) -> list[str]:
    """The command lines that hold a word, and those of processes that ended and were not waited for."""
    listed = subprocess.run(["ps", "-eo", "stat,args"], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if word in line or (line.startswith("Z") and "python" in line)]


def test_a_way_through_the_panel(
    installed: Blender, fake_runtime: Path, picture: Callable[[str], Path], tmp_path: Path
) -> None:
    pictures = [picture(name) for name in ("photo.png", "slow.png", "slow and stubborn.png")]
    done = installed("gui", "-P", SCRIPT, "--", tmp_path, *pictures, runtime=fake_runtime)
    assert (tmp_path / "report.json").exists(), done.stdout + done.stderr
    facts = json.loads((tmp_path / "report.json").read_text())
    shots = sorted(path.name for path in tmp_path.glob("[0-9]*.png"))
    if PICTURES:
        for name in shots:
            shutil.copy(tmp_path / name, PICTURES)
    assert "exception" not in facts, facts["exception"] + done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    for name in ("ticks", "draws"):
        spent = facts.pop(name)
        print(f"{name}: {len(spent)}, {statistics.median(spent)} ms (median), {max(spent)} ms at most")
    print(facts)
    captured = ["Camera", "Hand.R", "Head"]
    assert facts["captured"] == facts["undone"] == captured and facts["notice"] == ""
    assert facts["again"] == facts["redone"] and len(facts["again"]) == 6
    assert facts["cancel_seconds"] < 2.5 and "cancelled" in facts["cancelled"]
    assert facts["deformation"] == 3.0
    assert facts["quit_during"] == "looking" and done.returncode == 0
    assert len(shots) == 9 and all(Image.open(tmp_path / name).size == (1600, 900) for name in shots)
    deadline = time.monotonic() + 5
    while (left := processes(str(fake_runtime))) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not left
