# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes into the extension: nothing that merely lies in the clone."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from dice_core.errors import DiceError
from tools import build_zip


def test_only_what_git_tracks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    clone, copy = tmp_path / "clone", tmp_path / "copy"
    for name in ("dice_core/a b.py", "dice_core/gone.py", "official/model.bin", "models/flame.npz", "dice_core/new.py"):
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        (clone / name).write_text("before")
    monkeypatch.setattr(build_zip, "ROOT", clone)
    with pytest.raises(DiceError, match="no clone"):
        build_zip.copy_tracked(copy)
    subprocess.run(["git", "init", "-q"], cwd=clone, check=True)
    subprocess.run(["git", "add", "dice_core/a b.py", "dice_core/gone.py"], cwd=clone, check=True)
    (clone / "dice_core" / "a b.py").write_text("after")
    (clone / "dice_core" / "gone.py").unlink()
    build_zip.copy_tracked(copy)
    assert [path.relative_to(copy).as_posix() for path in copy.rglob("*") if path.is_file()] == ["dice_core/a b.py"]
    assert (copy / "dice_core" / "a b.py").read_text() == "after"
