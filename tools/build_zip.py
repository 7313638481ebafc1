# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the extension's zip into dist/ and validate it, both with the tool that Blender's Python module carries."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from dice_core.errors import DiceError, NotInstalled
from dice_core.paths import ROOT, environment_python, runtime_dir
from install_deps import guarded

os.environ.setdefault("DICE_RUNTIME", str(ROOT / ".venv"))
TOOL = "*/scripts/addons_core/bl_pkg/cli/blender_ext.py"


def main() -> None:
    environment = runtime_dir() / "blender"
    tools = sorted(environment.glob(f"lib/python*/site-packages/bpy/{TOOL}"))
    tools += sorted(environment.glob(f"Lib/site-packages/bpy/{TOOL}"))
    if not tools:
        raise NotInstalled(f"{environment} holds no Blender.", "Run install_deps.py --dev.")
    target = ROOT / "dist"
    target.mkdir(exist_ok=True)
    for old in target.glob("*.zip"):
        old.unlink()
    command = [str(environment_python(environment)), str(tools[0])]
    with tempfile.TemporaryDirectory() as folder:
        copy_tracked(Path(folder))
        subprocess.run([*command, "build", f"--source-dir={folder}", f"--output-dir={target}"], check=True)
    (built,) = target.glob("*.zip")
    subprocess.run([*command, "validate", str(built)], check=True)
    print(f"wrote {built.relative_to(ROOT)}, {built.stat().st_size / 1e6:.1f} MB")


def copy_tracked(folder: Path) -> None:
    """What git tracks, as it is now: whatever else lies in the clone, official files perhaps, is not ours to pack."""
    if not (ROOT / ".git").exists():
        raise DiceError(f"{ROOT} is no clone: what belongs to the extension is what git tracks.", "Clone it with git.")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
    for name in filter(None, listed.decode().split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


if __name__ == "__main__":
    sys.exit(guarded(main))
