# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's own extension tool, and our command in it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
Blender = Callable[..., subprocess.CompletedProcess]  # conftest.blender
CAPTURE = ("run", "-b", "--command", "dice", "capture")
CONTENTS = "import bpy; print('CONTENTS', sorted(bpy.data.objects.keys()), hasattr(bpy.types.Scene, 'dice'))"
GERMAN = """
import bpy

view = bpy.context.preferences.view
view.language = "de_DE"
view.use_translate_interface = view.use_translate_tooltips = view.use_translate_reports = True
words = bpy.app.translations
operator = bpy.ops.dice.capture.get_rna_type()
print("LABEL", words.pgettext_iface(operator.name, operator.translation_context))
print("TOOLTIP", words.pgettext_tip(operator.description))
for name in ("face", "engine"):
    prop = bpy.context.scene.dice.bl_rna.properties[name]
    print("NAME", words.pgettext_iface(prop.name, prop.translation_context))
print("ITEM", words.pgettext_iface(prop.enum_items["open"].name, prop.translation_context))
bpy.context.scene.dice.filepath = "/nothing.png"
for run in (bpy.ops.dice.reset, bpy.ops.dice.capture):
    try:
        run()
    except RuntimeError as error:
        print("REASON", error)
"""


def test_the_manifest_and_the_zip_are_valid(blender: Blender, archive: Path) -> None:
    for what in (ROOT, archive):
        done = blender("run", "--command", "extension", "validate", what)
        assert done.returncode == 0, done.stdout + done.stderr


def test_it_is_listed_when_installed(installed: Blender) -> None:
    done = installed("run", "--command", "extension", "list")
    assert done.returncode == 0
    assert "dice_capture" in done.stdout


def test_captures_without_a_window(
    installed: Blender, fake_runtime: Path, picture: Callable[[str], Path], tmp_path: Path
) -> None:
    output = tmp_path / "eine Szene.blend"
    done = installed(*CAPTURE, picture("ein Bild.png"), "-o", output, runtime=fake_runtime)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "touch" in done.stdout
    # --factory-startup: a Blender that does not load the extension
    seen = installed("run", "-b", "--factory-startup", output, "--python-expr", CONTENTS)
    assert "CONTENTS ['Camera', 'Hand.R', 'Head', 'Key'] False" in seen.stdout


def test_captures_offline(
    installed: Blender, fake_runtime: Path, picture: Callable[[str], Path], tmp_path: Path
) -> None:
    output = tmp_path / "scene.blend"
    done = installed("run", "--offline-mode", *CAPTURE[1:], picture("a.png"), "-o", output, runtime=fake_runtime)
    assert done.returncode == 0 and output.exists(), done.stdout + done.stderr
    ask = "import bpy; print('ONLINE', bpy.app.online_access, bpy.ops.dice.install.poll())"
    assert "ONLINE False False" in installed("run", "--offline-mode", "-b", "--python-expr", ask).stdout


def test_speaks_german(installed: Blender, fake_runtime: Path) -> None:
    said = installed("run", "-b", "--python-expr", GERMAN, runtime=fake_runtime).stdout
    assert "LABEL Foto erfassen\n" in said
    assert "TOOLTIP Das Gesicht und die Hand im Foto finden" in said
    assert "NAME Gesicht\nNAME Engine\nITEM Offen\n" in said  # to Blender, faces are of meshes and opening is an act
    assert "Zuerst ein Foto erfassen\n" in said
    assert "Eine vorhandene Datei wählen." in said


@pytest.mark.parametrize(("name", "code", "words"), [("empty.png", 3, "No face"), ("crash.png", 1, "exit code 7")])
def test_exit_codes(
    installed: Blender,
    fake_runtime: Path,
    picture: Callable[[str], Path],
    tmp_path: Path,
    name: str,
    code: int,
    words: str,
) -> None:
    done = installed(*CAPTURE, picture(name), "-o", tmp_path / "scene.blend", runtime=fake_runtime)
    assert done.returncode == code, done.stdout + done.stderr
    assert words in done.stderr
    assert not (tmp_path / "scene.blend").exists()


def test_ctrl_c_cancels(
    installed: Blender, fake_runtime: Path, picture: Callable[[str], Path], tmp_path: Path
) -> None:
    """Blender keeps it to itself unless it is asked for; the capture process must not get it."""
    output = tmp_path / "scene.blend"
    done = installed(*CAPTURE, picture("slow.png"), "-o", output, runtime=fake_runtime, interrupt=8)
    assert done.returncode == 130, done.stdout + done.stderr
    assert "Cancelled." in done.stderr and "stopped" not in done.stderr and not output.exists()


def test_wrong_usage_is_2(installed: Blender) -> None:
    done = installed(*CAPTURE)
    assert done.returncode == 2
    assert "usage:" in done.stderr


def test_without_a_runtime_it_says_so(installed: Blender, picture: Callable[[str], Path], tmp_path: Path) -> None:
    done = installed(*CAPTURE, picture("a.png"), "-o", tmp_path / "scene.blend")
    assert done.returncode == 1
    assert "not installed" in done.stderr


def test_the_sample_becomes_a_scene(installed: Blender, real_runtime: Path, sample: Path, tmp_path: Path) -> None:
    output = tmp_path / "scene.blend"
    done = installed(*CAPTURE, sample, "-o", output, runtime=real_runtime)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "touch" in done.stdout
    seen = installed("run", "-b", "--factory-startup", output, "--python-expr", CONTENTS)
    assert "CONTENTS ['Camera', 'Hand.R', 'Head', 'Key'] False" in seen.stdout
