# SPDX-License-Identifier: GPL-3.0-or-later
"""Build a .blend from a result: `python tools/demo_scene.py RESULT.npz PHOTO SCENE.blend`.

Runs in Blender's Python (the bpy wheel), or in Blender: `blender -b -P tools/demo_scene.py -- RESULT.npz ...`.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import bpy

ROOT = Path(__file__).resolve().parent.parent


def load_extension() -> ModuleType:
    """The repository as the package `dice_capture`, as Blender would import the installed extension; its commands."""
    spec = importlib.util.spec_from_file_location(
        "dice_capture", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["dice_capture"] = module
    spec.loader.exec_module(module)
    return importlib.import_module("dice_capture.dice_blender.cli")


def main(result: str, photo: str, output: str) -> None:
    """A new file with the capture and a lamp, saved."""
    cli = load_extension()
    cli.fresh_scene()
    cli.api.import_capture(result, photo)
    bpy.ops.wm.save_as_mainfile(filepath=os.path.abspath(output), compress=True)


if __name__ == "__main__":
    arguments = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:]
    main(*arguments)
    sys.stdout.flush()
    os._exit(0)  # the wheel may hang in its own clean-up at interpreter exit
