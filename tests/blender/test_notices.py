# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told of the last job: its error with the buttons that help, and the log that can be copied."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import bpy
import drawing
import fake_runtime
import pytest
from dice_capture.dice_blender import capture_job, jobs, log, preferences, program_job
from dice_capture.dice_blender.install_job import InstallJob
from dice_capture.dice_blender.panels import runtime as runtime_panel
from dice_capture.dice_blender.panels import widgets
from dice_capture.dice_core import errors, protocol
from synthetic import LANDSCAPE, capture, gradient, write_picture

pytestmark = pytest.mark.usefixtures("registered")
SCRIPT = """
import sys
print("[40%] Fetching torch (888.0 MB)", flush=True)
for done in range(100, 900, 100):
    print(f"[{40 + done // 20}%] Fetching torch, {done} of 888 MB", flush=True)
for number in range(int(sys.argv[-1])):
    print(f"line {number}", flush=True)
sys.stderr.write("pip said this\\nError: The network cannot be reached. Check the proxy.\\n")
sys.exit(1)
"""


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    jobs.state.notice = None
    log.lines.clear()
    yield
    jobs.abandon()
    jobs.state.notice = None


def pump(seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while jobs.state.job is not None:
        assert time.monotonic() < deadline
        jobs.tick()
        time.sleep(0.01)


def drawn(where: str = "VIEW_3D") -> drawing.Layout:
    layout = drawing.Layout()
    widgets.draw_notice(layout, drawing.context(where))
    return layout


@pytest.mark.parametrize(
    ("kind", "buttons"),
    [
        ("NotInstalled", ["dice.install"]),
        ("ModelsMissing", ["dice.models"]),
        ("MediaError", ["dice.capture_file"]),
        ("NothingFound", ["dice.draw_crop", "dice.capture_file"]),
        ("WorkerDied", ["dice.copy_log", "dice.install"]),
        ("Unexpected", ["dice.copy_log"]),
        ("Cancelled", []),
        ("DiceError", []),
    ],
)
def test_an_error_from_the_other_process_draws_what_helps(kind: str, buttons: list[str]) -> None:
    sent = errors.KINDS[kind]("It broke.", "Mend it.")
    jobs.state.notice = protocol.Failure.of(1, sent).error()
    layout = drawn()
    assert layout.names == ["dice.dismiss", *buttons]
    assert layout.text == "It broke. Mend it."
    for name, options in layout.buttons:
        known = getattr(bpy.ops.dice, name.removeprefix("dice.")).get_rna_type().properties.keys()
        assert set(vars(options)) <= set(known)
    assert all(options.repair for name, options in layout.buttons if name == "dice.install")


def test_every_kind_of_error_was_thought_of() -> None:
    seen = {mark.args[1][place][0] for mark in test_an_error_from_the_other_process_draws_what_helps.pytestmark
            if mark.name == "parametrize" for place in range(len(mark.args[1]))}  # fmt: skip
    assert seen == errors.KINDS.keys()


def test_news_have_no_remedy_and_are_put_away() -> None:
    jobs.state.notice = "The self-test found no fault."
    layout = drawn()
    assert layout.names == ["dice.dismiss"] and layout.text == "The self-test found no fault."
    assert bpy.ops.dice.dismiss() == {"FINISHED"}
    assert not drawn().texts


def test_what_an_operator_reports_stays_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DICE_RUNTIME", str(fake_runtime.make(tmp_path / "runtime", capture())))
    bpy.context.scene.dice.filepath = str(tmp_path / "gone.jpg")
    with pytest.raises(RuntimeError, match="There is no picture"):
        bpy.ops.dice.capture()
    assert drawn().names == ["dice.dismiss", "dice.capture_file"]


@pytest.fixture
def failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation that failed, after the script in place of install_deps.py said how."""
    (tmp_path / "install_deps.py").write_text(SCRIPT)
    monkeypatch.setattr("dice_capture.dice_blender.install_job.ROOT", tmp_path)
    monkeypatch.setenv("DICE_RUNTIME", str(tmp_path / "runtime"))
    jobs.start(InstallJob(tmp_path / "runtime", "10", stage="Installing"))
    pump()
    return tmp_path / "runtime"


def test_a_failed_installation_shows_its_last_words(failed: Path) -> None:
    assert type(jobs.state.notice) is program_job.ProgramFailed
    layout = drawing.Layout()
    runtime_panel.draw_runtime(layout, drawing.context())
    assert "The network cannot be reached. Check the proxy." in layout.text
    last = "Error: The network cannot be reached. Check the proxy."
    assert layout.texts[-5:] == ["line 7", "line 8", "line 9", "pip said this", last]
    assert layout.names[0] == "dice.install" and layout.names[-1] == "dice.copy_log"


def test_the_log_is_whole_but_for_counted_bytes_and_names_no_home(
    failed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "home", lambda: failed.parent)
    text = log.text(failed, "")
    assert [line for line in text.splitlines() if "torch" in line] == ["[40%] Fetching torch (888.0 MB)"]
    assert "pip said this" in text and text.count("line ") == 10
    assert bpy.app.version_string in text and "DICE Capture" in text and "installed: no" in text
    assert str(failed.parent) not in text and "runtime: ~" in text


def test_the_log_is_bounded(failed: Path) -> None:
    jobs.start(InstallJob(failed, "2000", stage="Installing"))
    pump()
    assert len(log.lines) == log.LONGEST and "line 1999" in log.lines


def test_a_running_installation_shows_megabytes_and_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "install_deps.py").write_text(SCRIPT.partition("for number")[0] + "\nimport time; time.sleep(60)")
    monkeypatch.setattr("dice_capture.dice_blender.install_job.ROOT", tmp_path)
    job = InstallJob(tmp_path / "runtime", stage="Installing")
    jobs.start(job)
    deadline = time.monotonic() + 20
    while "800 of" not in job.stage:
        assert time.monotonic() < deadline
        jobs.tick()
    layout = drawing.Layout()
    runtime_panel.draw_runtime(layout, drawing.context("PREFERENCES"))
    assert any(text.startswith("Fetching torch, 800 of 888 MB") for text in layout.texts)
    assert "[40%] Fetching torch (888.0 MB)" in layout.texts
    assert layout.names == ["dice.cancel", "dice.copy_log"]


def test_a_crash_of_the_worker_is_in_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DICE_RUNTIME", str(fake_runtime.make(tmp_path / "runtime", capture())))
    picture = write_picture(tmp_path / "crash.png", gradient(LANDSCAPE.image_size))
    bpy.context.scene.dice.filepath = str(picture)
    with pytest.raises(RuntimeError, match="the ceiling came down"):
        bpy.ops.dice.capture()
    assert drawn().names == ["dice.dismiss", "dice.copy_log", "dice.install"]
    capture_job.release(wait=True)  # as the next installation does: the words stay
    text = log.text(preferences.runtime(), capture_job.log())
    assert "the ceiling came down" in text.partition("-- capture process")[2]


def test_a_runtime_of_another_version_offers_an_update(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = fake_runtime.make(tmp_path / "runtime", capture())
    monkeypatch.setenv("DICE_RUNTIME", str(runtime))
    for marker, reason in (('{"program": "0.0.1"}', "Version 0.0.1 installed it"), ("broken", "is damaged")):
        (runtime / "complete.json").write_text(marker)
        layout = drawing.Layout()
        runtime_panel.draw_runtime(layout, drawing.context())
        assert reason in layout.text
        assert layout.buttons[0][0] == "dice.install" and not layout.buttons[0][1].repair


def test_the_installed_runtime_needs_no_update() -> None:
    assert preferences.is_installed() and preferences.outdated() == ""
