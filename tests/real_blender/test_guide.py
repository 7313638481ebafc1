# SPDX-License-Identifier: GPL-3.0-or-later
"""The guide's way through the extension, in a real window; with DICE_WRITE_DOCS=1 its pictures are written anew."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from tools import bench_sequence

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tools" / "window" / "guide.py"
IMAGES = ROOT / "docs" / "images"
SHOWN = {  # the part of the screen that the guide shows: left, top, right, bottom
    "choose": (1000, 30, 1320, 390), "contact": (0, 30, 1320, 830), "texture": (0, 30, 1320, 830),
    "rig": (0, 30, 1320, 830), "crop": (0, 30, 1320, 830), "official": (170, 480, 1310, 815),
    "install": (170, 280, 1310, 480), "sequence": (1000, 30, 1320, 560),
}  # fmt: skip
COLORS = 128  # of a palette: a third of the bytes, and nobody sees it
Blender = Callable[..., subprocess.CompletedProcess]  # conftest.blender


def test_the_guides_way(installed: Blender, real_runtime: Path, sample: Path, tmp_path: Path) -> None:
    picture = Path(shutil.copy(sample, tmp_path / "portrait.jpg"))
    movie = tmp_path / "portrait.mp4"
    bench_sequence.write(movie, 72)
    done = installed("gui", "-P", SCRIPT, "--", tmp_path, picture, movie, runtime=real_runtime)
    assert (tmp_path / "report.json").exists(), done.stdout + done.stderr
    facts = json.loads((tmp_path / "report.json").read_text())
    assert "exception" not in facts, facts["exception"] + done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert facts["objects"] == ["Camera", "Hand.R", "Head"]
    assert {"Head", "Hand.R", "Camera"} <= {name.removesuffix(".001") for name in facts["moving"]}
    used, left, top, side = facts["crop"]
    assert used and side > 100 and 0 < left < 768 and 0 < top < 768
    assert {path.stem for path in tmp_path.glob("*.png")} == {*SHOWN, "captured"}
    for name, box in SHOWN.items() if os.environ.get("DICE_WRITE_DOCS") else ():
        cut = Image.open(tmp_path / f"{name}.png").convert("RGB").crop(box)
        cut.quantize(COLORS).save(IMAGES / f"guide-{name}.png", optimize=True)
