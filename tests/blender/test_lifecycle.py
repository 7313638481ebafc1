# SPDX-License-Identifier: GPL-3.0-or-later
"""Enabled and disabled, upgraded, shared, read-only, in folders with odd names, without a network."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import bpy
import drawing
import fake_runtime
import packing
import pytest
from dice_capture.dice_blender import install_job, jobs, log, preferences
from dice_capture.dice_blender.panels import runtime as runtime_panel
from dice_capture.dice_core import __version__, paths
from dice_capture.dice_core.installer import environment
from synthetic import LANDSCAPE, capture, gradient, write_picture

pytestmark = pytest.mark.slow
Blender = Callable[..., str]  # conftest.blender
ODD = "Ünï cödé ユーザー folder"
NAME = "bl_ext.user_default.dice_capture"
PARTS = "PARTS ['camera', 'hand_left', 'head']"
INSTALL = f"""
import sys
import bpy
NAME = {NAME!r}
archive, *rest = sys.argv[1:]
bpy.ops.extensions.package_install_files(filepath=archive, repo="user_default", enable_on_install=True)
"""
USE = f"""
import sys
import bpy
NAME = {NAME!r}
runtime, picture, blend = sys.argv[1:]
bpy.ops.preferences.addon_enable(module=NAME)
bpy.context.preferences.addons[NAME].preferences.runtime = runtime
bpy.context.scene.dice.filepath = picture
assert not bpy.app.online_access
assert bpy.ops.dice.capture() == {{"FINISHED"}}
bpy.ops.wm.save_as_mainfile(filepath=blend)
print("PARTS", sorted(item["dice_part"] for item in bpy.context.scene.dice.result.objects))
"""


@pytest.fixture
def world(tmp_path: Path) -> tuple[Path, Path]:
    """A runtime that needs no models, and a picture."""
    picture = write_picture(tmp_path / "portrait.png", gradient(LANDSCAPE.image_size))
    return fake_runtime.make(tmp_path / "runtime", capture()), picture


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    """Bytes and time of change of every file below, but for what Python writes to start faster."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if "__pycache__" not in path.parts and path.is_file() and not path.is_symlink():
            stat = path.stat()
            found[str(path.relative_to(folder))] = (stat.st_size, stat.st_mtime_ns)
    return found


# ------------------------------------------------------------------------------------------- enabled, disabled, enabled

TRACES = (
    """
import sys
import bpy


def everything():
    kinds = [bpy.types.Operator, bpy.types.Panel, bpy.types.Menu, bpy.types.UIList, bpy.types.Header,
             bpy.types.PropertyGroup, bpy.types.AddonPreferences, bpy.types.FileHandler]
    classes = [cls for kind in kinds for cls in kind.__subclasses__() if cls.is_registered]
    found = {f"class {cls.__module__}.{cls.__name__}" for cls in classes}
    for cls in classes:
        drawn = getattr(getattr(cls, "draw", None), "_draw_funcs", ())
        found |= {f"in {cls.__name__}: {draw.__module__}.{draw.__name__}" for draw in drawn}
    for kind in dir(bpy.app.handlers):
        handlers = getattr(bpy.app.handlers, kind)
        if isinstance(handlers, list):
            found |= {f"{kind} {handler.__module__}.{handler.__name__}" for handler in handlers}
    found |= {f"property {cls.__name__}.{name}" for cls in (bpy.types.Scene, bpy.types.Object, bpy.types.Collection,
              bpy.types.WindowManager, bpy.types.Image) for name in cls.bl_rna.properties.keys()}
    for keymap in bpy.context.window_manager.keyconfigs.addon.keymaps:
        found |= {f"key {keymap.name} {item.idname}" for item in keymap.keymap_items}
    for module in [module for name, module in sys.modules.items() if NAME and name.startswith(NAME)]:
        found |= {f"timer {module.__name__}.{name}" for name, thing in vars(module).items()
                  if callable(thing) and not isinstance(thing, type) and bpy.app.timers.is_registered(thing)}
    return found


def use():
    bpy.context.preferences.addons[NAME].preferences.runtime = runtime
    bpy.context.scene.dice.filepath = picture
    assert bpy.ops.dice.capture() == {"FINISHED"}
    worker = sys.modules[f"{NAME}.dice_blender.capture_job"].warm.client
    assert worker.alive
    return worker


NAME = ""
before = everything()
"""
    + INSTALL
    + """
runtime, picture = rest
bpy.ops.preferences.addon_disable(module=NAME)
for _ in range(2):
    bpy.ops.preferences.addon_enable(module=NAME)
    worker = use()
    added = everything() - before
    assert any("timer" in one for one in added) and any("in TOPBAR_MT_file_import" in one for one in added), added
    bpy.ops.preferences.addon_disable(module=NAME)
    assert everything() == before, everything() ^ before
    assert not worker.alive
print("NOTHING LEFT", len(added))
"""
)


def test_enabled_twice_it_leaves_nothing(archive: Path, world: tuple[Path, Path], blender: Blender) -> None:
    assert "NOTHING LEFT" in blender(TRACES, archive, *world)


# --------------------------------------------------------------------------------------------------------- upgraded

OLD = (
    INSTALL
    + """
runtime, picture, blend, newer = rest
own = bpy.context.preferences.addons[NAME].preferences
own.runtime, own.show_official = runtime, True
settings = bpy.context.scene.dice
settings.filepath, settings.hand, settings.use_crop, settings.crop_left = picture, "left", True, 7
assert bpy.ops.dice.capture() == {"FINISHED"}
bpy.ops.wm.save_as_mainfile(filepath=blend)
bpy.ops.wm.save_userpref()
core = f"{NAME}.dice_core"
print("VERSION", sys.modules[core].__version__)
bpy.ops.extensions.package_install_files(filepath=newer, repo="user_default", enable_on_install=True)
print("VERSION", sys.modules[core].__version__)
own = bpy.context.preferences.addons[NAME].preferences
assert own.runtime == runtime and own.show_official and bpy.context.scene.dice.hand == "left"
assert bpy.ops.dice.capture() == {"FINISHED"}
assert len([one for one in bpy.data.collections if one.name.startswith("DICE")]) == 2
bpy.ops.wm.save_userpref()
"""
)
NEW = f"""
import sys
import bpy
NAME, runtime, blend = {NAME!r}, *sys.argv[1:]
if bpy.app.version >= (4, 5):
    bpy.ops.wm.read_userpref()
else:  # the Python module of 4.2 crashes there, with no extension too
    bpy.ops.preferences.addon_enable(module=NAME)
    own = bpy.context.preferences.addons[NAME].preferences
    own.runtime, own.show_official = runtime, True
bpy.ops.wm.open_mainfile(filepath=blend)
own, settings = bpy.context.preferences.addons[NAME].preferences, bpy.context.scene.dice
print("KEPT", [own.show_official, own.runtime, settings.hand, settings.use_crop, settings.crop_left])
print("VERSION", sys.modules[f"{{NAME}}.dice_core"].__version__)
assert settings.result is not None
assert bpy.ops.dice.capture() == {{"FINISHED"}}
"""


def test_an_upgrade_keeps_settings_and_takes_over_at_once(
    archive: Path, world: tuple[Path, Path], blender: Blender, tmp_path: Path
) -> None:
    runtime, picture = world
    old = packing.older(archive, "0.0.1", tmp_path / "old.zip")
    blend = tmp_path / "scene.blend"
    said = blender(OLD, old, runtime, picture, blend, archive)
    versions = [line.split()[1] for line in said.splitlines() if line.startswith("VERSION")]
    assert versions == ["0.0.1", __version__]
    said = blender(NEW, runtime, blend)
    assert f"KEPT {[True, str(runtime), 'left', True, 7]}" in said and f"VERSION {__version__}" in said


# ----------------------------------------------------------------------------------------------------------- shared

SHARED = """
import json, sys
from pathlib import Path
sys.path.append(sys.argv[1])
import bpy
import numpy as np
from tools.demo_scene import load_extension
load_extension()
sys.modules["dice_capture"].register()
from dice_capture.dice_blender import api
collection = api.capture(sys.argv[2])
head = api.kept(collection).head.vertices
print("HEAD", json.dumps([bpy.app.version_string, [round(float(x), 4) for x in head[::500].ravel()]]))
"""


def others() -> list[Path]:
    """The Pythons of other Blender versions in this runtime; the note is written when an environment is whole."""
    notes = sorted(preferences.runtime().glob(f"blender*/{environment.NOTE}"))
    return [paths.environment_python(note.parent) for note in notes if note.parent != Path(sys.prefix)]


def state(runtime: Path) -> dict[str, object]:
    """What is in a runtime folder, but for other Blenders."""
    parts = {part: listing(runtime / part) for part in ("python", "models")}
    return parts | {"marker": (runtime / paths.MARKER).read_text()}


def test_two_blender_versions_share_a_runtime_and_change_nothing_in_it(blender: Blender) -> None:
    runtime = preferences.runtime()
    if not others():
        pytest.skip(f"only one Blender version is in {runtime}: `make test-matrix` makes the others")
    sample = packing.ROOT / "tests" / "data" / "sample.jpg"
    before = state(runtime)
    said = [blender(SHARED, packing.ROOT, sample, python=python) for python in (sys.executable, others()[-1])]
    (one, head), (two, same) = (json.loads(text.partition("HEAD ")[2]) for text in said)
    assert one != two and head == same
    assert state(runtime) == before


# -------------------------------------------------------------------------------------------------- where it lies


@pytest.fixture
def read_only() -> Iterator[Callable[[Path], tuple[str, ...]]]:
    """Forbids writing below a folder; gives the words to put before a command to which that applies."""
    changed: list[Path] = []

    def forbid(folder: Path) -> tuple[str, ...]:
        if not hasattr(os, "geteuid"):
            pytest.skip("Windows has other ways to forbid writing")
        if os.geteuid():
            changed.extend([folder, *folder.rglob("*")])
            for path in changed:
                path.chmod(path.stat().st_mode & ~0o222)
            return ()
        # root, whom modes do not bind
        mounted = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && ! touch "$0/x" 2>/dev/null && exec "$@"'
        words = ("unshare", "--mount", "sh", "-c", mounted, str(folder))
        if not shutil.which("unshare") or subprocess.run([*words, "true"], capture_output=True).returncode:
            pytest.skip("root may not mount here")
        return words

    yield forbid
    for path in changed:
        path.chmod(path.stat().st_mode | 0o200)


def test_nothing_is_written_where_nothing_may_be(
    archive: Path, world: tuple[Path, Path], blender: Blender, tmp_path: Path, read_only: Callable
) -> None:
    """Blender's user folder with the extension in it: on a network share, or set up by somebody else."""
    user, out = tmp_path / "user", tmp_path / "out.blend"
    blender(INSTALL, archive)
    before = listing(user)
    assert PARTS in blender(USE, *world, out, before=read_only(user)) and out.exists()
    assert listing(user) == before


def test_captures_write_beside_no_program(
    archive: Path, world: tuple[Path, Path], blender: Blender, tmp_path: Path
) -> None:
    """Even where they may: neither into Blender's own folder, nor into the extension or the runtime."""
    blender(INSTALL, archive)
    folders = [tmp_path / "user", Path(bpy.utils.resource_path("LOCAL")), world[0]]
    before = [listing(folder) for folder in folders]
    assert PARTS in blender(USE, *world, tmp_path / "out.blend")
    assert [listing(folder) for folder in folders] == before


def test_folders_with_spaces_and_letters_of_all_kinds(
    archive: Path, world: tuple[Path, Path], blender: Blender, tmp_path: Path
) -> None:
    odd = tmp_path / ODD
    runtime = odd / "rün time"
    shutil.copytree(world[0], runtime)
    picture = shutil.copy(world[1], odd / "Fotö 顔.png")
    user = {"BLENDER_USER_RESOURCES": str(odd / "user")}
    blender(INSTALL, archive, **user)
    said = blender(USE, runtime, picture, odd / "szene ü.blend", **user)
    assert PARTS in said and (odd / "szene ü.blend").exists()
    assert (odd / "user" / "extensions" / "user_default" / "dice_capture").is_dir() and not (tmp_path / "user").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows makes no symbolic links for everybody")
def test_the_real_runtime_in_such_a_folder(registered: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, odd = preferences.runtime(), tmp_path / ODD / "runtime"
    script = paths.runtime_python(odd)
    script.parent.mkdir(parents=True)
    script.write_text(f"#!/bin/sh\nexec '{paths.runtime_python(real)}' \"$@\"\n")
    script.chmod(0o755)
    shutil.copytree(real / "models", odd / "models")
    shutil.copy(real / paths.MARKER, odd)
    picture = shutil.copy(packing.ROOT / "tests" / "data" / "sample.jpg", tmp_path / ODD / "Fotö 顔.jpg")
    monkeypatch.setenv("DICE_RUNTIME", str(odd))
    bpy.context.scene.dice.filepath = str(picture)
    assert bpy.ops.dice.capture() == {"FINISHED"}
    assert sorted(bpy.data.objects.keys()) == ["Camera", "Hand.R", "Head"]


# ---------------------------------------------------------------------------------------------------- no network


def test_offline_the_panel_says_why_nothing_can_be_installed(
    registered: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not bpy.app.online_access  # as Blender starts; captures in all these tests work so
    monkeypatch.setenv("DICE_RUNTIME", str(tmp_path / "nothing"))
    with pytest.raises(RuntimeError, match="Allow online access first"):
        bpy.ops.dice.install()
    layout = drawing.Layout()
    runtime_panel.draw_runtime(layout, drawing.context())
    assert "Blender may not go online yet." in layout.text


def test_a_network_that_leads_nowhere_is_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.upper().startswith("PIP_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # where nobody listens
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "https://pypi.org/simple")
    monkeypatch.setattr(jobs.state, "notice", None)
    log.lines.clear()
    jobs.start(install_job.InstallJob(tmp_path / "runtime", stage="Installing"))
    deadline = time.monotonic() + 120
    while jobs.state.job is not None:
        assert time.monotonic() < deadline
        jobs.tick()
        time.sleep(0.05)
    assert str(jobs.state.notice).startswith("The network cannot be reached. Check the connection or the proxy")
    assert any("127.0.0.1" in line or "proxy" in line.lower() for line in log.lines)
    assert not (tmp_path / "runtime" / paths.MARKER).exists()
