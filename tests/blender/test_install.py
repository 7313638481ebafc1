# SPDX-License-Identifier: GPL-3.0-or-later
"""The Install button's job, around a script that takes install_deps.py's place."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import bpy
import pytest
from dice_capture.dice_blender import install_job, jobs, program_job
from dice_capture.dice_blender.ops import runtime as runtime_ops
from dice_capture.dice_core.errors import Cancelled, DiceError

SCRIPT = """
import signal, sys, time
from pathlib import Path
target = Path(sys.argv[sys.argv.index("--target") + 1])
def interrupt(*_):
    sys.stderr.write("Interrupted.\\n"); (target / "tidied").touch(); sys.exit(130)
signal.signal(signal.SIGTERM, interrupt)
print("Folder   somewhere", flush=True)
print("[40%] Fetching numpy (16.5 MB)", flush=True)
if "--repair" in sys.argv:
    sys.stderr.write("Error: The disk is full. Free some space.\\n"); sys.exit(1)
time.sleep(60 if "--slow" in sys.argv else 0.3)
print("[100%] Complete", flush=True)
(target / "done").touch()
"""


@pytest.fixture(autouse=True)
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "install_deps.py").write_text(SCRIPT)
    monkeypatch.setattr(install_job, "ROOT", tmp_path)
    jobs.state.notice = None


def wait(job: install_job.InstallJob) -> list[tuple[str, float]]:
    seen = []
    jobs.start(job)
    deadline = time.monotonic() + 20
    while jobs.state.job is not None:
        assert time.monotonic() < deadline
        jobs.tick()
        seen.append((job.stage, job.fraction))
        time.sleep(0.01)
    return seen


def test_shows_the_progress(tmp_path: Path) -> None:
    seen = wait(install_job.InstallJob(tmp_path, stage="Installing"))
    assert seen[0] == ("Installing", 0.0)
    assert ("Fetching numpy (16.5 MB)", 0.4) in seen
    assert jobs.state.notice is None
    assert (tmp_path / "done").exists()


def test_an_error_is_shown(tmp_path: Path) -> None:
    wait(install_job.InstallJob(tmp_path, "--repair", stage="Repairing"))
    assert isinstance(jobs.state.notice, DiceError)
    assert str(jobs.state.notice) == "The disk is full. Free some space."


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no polite way to end a program")
def test_cancel_lets_it_tidy_up(tmp_path: Path) -> None:
    job = install_job.InstallJob(tmp_path, "--slow", stage="Installing")
    jobs.start(job)
    while job.fraction == 0:
        jobs.tick()
    jobs.cancel()
    while jobs.state.job is not None:
        jobs.tick()
        time.sleep(0.01)
    assert isinstance(jobs.state.notice, Cancelled)
    assert (tmp_path / "tidied").exists() and not (tmp_path / "done").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no polite way to end a program")
def test_a_cancelled_removal_is_called_so(tmp_path: Path) -> None:
    job = install_job.InstallJob(tmp_path, "--remove", "--slow", stage="Removing")
    jobs.start(job)
    while job.fraction == 0:
        jobs.tick()
    jobs.cancel()
    while jobs.state.job is not None:
        jobs.tick()
        time.sleep(0.01)
    assert isinstance(jobs.state.notice, Cancelled)
    assert "removal" in jobs.state.notice.message and "go on" not in jobs.state.notice.remedy


def test_no_console_appears_on_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = install_job.InstallJob(tmp_path, stage="Installing")
    ran = []
    with monkeypatch.context() as windows:
        windows.setattr(program_job, "NO_WINDOW", 0x08000000)
        windows.setattr(sys, "platform", "win32")
        windows.setattr(subprocess, "run", lambda command, **options: ran.append((command[0], options)))
        job.abandon()
    assert [(name, options["creationflags"]) for name, options in ran] == [("taskkill", 0x08000000)]
    job.abandon()


def test_opening_a_file_does_not_end_it(tmp_path: Path, registered: object) -> None:
    jobs.start(install_job.InstallJob(tmp_path, stage="Installing"))
    bpy.ops.wm.read_homefile(use_empty=True)
    assert jobs.state.job is not None
    jobs.abandon()


@pytest.mark.parametrize(("chosen", "options"), [((False, False), []), ((True, False), ["--repair"]),
                                                 ((False, True), ["--engine", "dice"])])  # fmt: skip
def test_the_buttons_ask_for_what_they_say(
    chosen: tuple[bool, bool], options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(runtime_ops, "_run", lambda operator, stage, *options: asked.append(options))
    runtime_ops.DICE_OT_install.execute(SimpleNamespace(repair=chosen[0], official=chosen[1]), None)
    assert asked == [tuple(options)]


def test_without_network_the_button_says_so(registered: object) -> None:
    assert not bpy.app.online_access  # as Blender starts
    assert not bpy.ops.dice.install.poll()
    assert bpy.ops.dice.remove_runtime.poll()
