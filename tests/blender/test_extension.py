# SPDX-License-Identifier: GPL-3.0-or-later
"""The built zip: what is in it, and its life in Blender from installation to removal."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import fake_runtime
import pytest
from packing import ROOT, TOOL
from synthetic import LANDSCAPE, capture, gradient, write_picture

LIFE = """
import sys
from pathlib import Path
import bpy

archive, runtime, picture, npz = sys.argv[1:]
name = "bl_ext.user_default.dice_capture"
bpy.ops.extensions.package_install_files(filepath=archive, repo="user_default", enable_on_install=True)


def is_on():
    return name in bpy.context.preferences.addons and hasattr(bpy.types.Scene, "dice")


def use():
    bpy.context.preferences.addons[name].preferences.runtime = runtime
    bpy.context.scene.dice.filepath = picture
    assert bpy.ops.dice.capture() == {"FINISHED"}
    collection = bpy.context.scene.dice.result
    assert len(collection.objects) == 3, list(collection.objects)
    assert bpy.ops.dice.import_result(filepath=npz) == {"FINISHED"}
    assert bpy.context.scene.dice.result != collection


assert is_on()
use()
bpy.ops.preferences.addon_disable(module=name)
assert not is_on()
bpy.ops.preferences.addon_enable(module=name)
assert is_on()
use()
repos = [repo.module for repo in bpy.context.preferences.extensions.repos]
bpy.ops.extensions.package_uninstall(repo_index=repos.index("user_default"), pkg_id="dice_capture")
assert not is_on()
left = [cls.__name__ for kind in (bpy.types.Operator, bpy.types.Panel) for cls in kind.__subclasses__()
        if cls.__name__.startswith("DICE_") and cls.is_registered]
assert not left, left
print("LIVED")
"""


def test_blender_finds_no_fault_with_it(archive: Path) -> None:
    for what in (ROOT, archive):
        subprocess.run([sys.executable, str(TOOL), "validate", str(what)], check=True, timeout=120)


def test_the_zip_holds_what_is_needed_and_no_more(archive: Path) -> None:
    names = [name for name in zipfile.ZipFile(archive).namelist() if not name.endswith("/")]
    tops = {name.split("/")[0] for name in names}
    assert {"blender_manifest.toml", "__init__.py", "dice_blender", "dice_core", "install_deps.py", "LICENSE"} <= tops
    assert tops <= {
        "blender_manifest.toml", "__init__.py", "dice_blender", "dice_core", "install_deps.py",
        "LICENSE", "README.md", "THIRD_PARTY.md", "CHANGELOG.md",
    }  # fmt: skip
    assert "dice_core/body/assets/head.npz" in names
    assert not [name for name in names if "__pycache__" in name or name.endswith((".pyc", ".blend"))]
    assert archive.stat().st_size < 20e6


@pytest.mark.slow
def test_its_life(archive: Path, tmp_path: Path, blender: Callable[..., str]) -> None:
    from dice_capture.dice_core.result import store

    runtime = fake_runtime.make(tmp_path / "runtime", capture())
    picture = write_picture(tmp_path / "portrait.png", gradient(LANDSCAPE.image_size))
    store.save(tmp_path / "result.npz", capture())
    assert "LIVED" in blender(LIFE, archive, runtime, picture, tmp_path / "result.npz")
