# SPDX-License-Identifier: GPL-3.0-or-later
"""The extension's zip, built by the tool that Blender's Python module carries."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import bpy

ROOT = Path(__file__).parents[2]
TOOL = Path(bpy.utils.system_resource("SCRIPTS")) / "addons_core" / "bl_pkg" / "cli" / "blender_ext.py"


def build(folder: Path) -> Path:
    """The zip of this repository, in a folder."""
    command = [sys.executable, str(TOOL), "build", f"--source-dir={ROOT}", f"--output-dir={folder}"]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    (built,) = folder.glob("*.zip")
    return built


def older(archive: Path, version: str, target: Path) -> Path:
    """The same extension as if it were of another version."""
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as made:
        for info in source.infolist():
            data = source.read(info)
            if info.filename in ("blender_manifest.toml", "dice_core/__init__.py"):
                lines = data.decode().splitlines()
                known = [line.startswith(("version = ", "__version__ = ")) for line in lines]
                assert sum(known) == 1
                data = "\n".join(f'{line.split(" = ")[0]} = "{version}"' if yes else line
                                 for line, yes in zip(lines, known, strict=True)).encode()  # fmt: skip
            made.writestr(info, data)
    return target
