# SPDX-License-Identifier: GPL-3.0-or-later
"""The user's official files, from a folder to the list in the preferences, by the runtime's Python. All are made up."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import bpy
import drawing
import fake_runtime
import pytest
from dice_capture.dice_blender import jobs, log, official, preferences, self_test
from dice_capture.dice_blender.panels import official as official_panel
from dice_capture.dice_core.body.kinds import KINDS, converted
from dice_capture.dice_core.errors import Cancelled, DiceError, ModelsMissing, NotInstalled
from dice_capture.dice_core.paths import ROOT, runtime_python
from synthetic import capture

pytestmark = pytest.mark.usefixtures("registered")
MAKE = """
import sys
from pathlib import Path
from tests.core.bodies import official_files as made
made.write_all(Path(sys.argv[1]), made.mano_data(), made.flame_data())
"""


@pytest.fixture(scope="session")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every official file but the network's, made up; and one that nobody needs."""
    folder = tmp_path_factory.mktemp("ann") / "official files"
    folder.mkdir()
    python = runtime_python(preferences.runtime())
    subprocess.run([str(python), "-c", MAKE, str(folder)], cwd=ROOT, check=True, timeout=120)
    (folder / "model.bin").write_bytes(b"<!DOCTYPE html><html><body>This link has expired.</body></html>")
    return folder


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty models folder, and nothing told or known yet."""
    monkeypatch.setenv("DICE_MODELS", str(tmp_path / "models"))
    for name in ("report", "verdicts"):
        monkeypatch.setattr(official.state, name, type(getattr(official.state, name))())
    log.lines.clear()
    jobs.state.notice = None
    yield tmp_path / "models"
    jobs.abandon()
    jobs.state.notice = None


def drawn(engine: str = "dice", opened: bool = False) -> drawing.Layout:
    layout = drawing.Layout()
    own = SimpleNamespace(show_official=opened)
    official_panel.draw_official(layout, drawing.context("PREFERENCES", 900), own)
    return layout


def conditions() -> dict[str, str]:
    return {key: official.condition(key) for key in KINDS}


def choose(folder: Path, *names: str) -> set[str]:
    return bpy.ops.dice.convert_models(directory=str(folder), files=[{"name": name} for name in names])


def test_nothing_there_says_where_to_get_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preferences, "facts", lambda: {"engine": "dice"})
    assert set(conditions().values()) == {"missing"}
    layout = drawn()
    for kind in KINDS.values():
        assert kind.file in layout.texts and kind.source.licence in layout.text
        assert not kind.needed or f"missing: {kind.where}" in layout.texts
    pages = [options.url for name, options in layout.buttons if name == "wm.url_open"]
    assert pages == ["https://mano.is.tue.mpg.de", "https://flame.is.tue.mpg.de", "https://github.com/Qingxuan-Wu/DICE"]
    assert layout.names[-2:] == ["dice.convert_models", "dice.doctor"]


def test_without_the_engine_it_is_folded_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preferences, "facts", lambda: {"engine": "open"})
    assert not drawn().buttons
    assert "dice.convert_models" in drawn(opened=True).names


@pytest.mark.slow
def test_a_folder_becomes_the_models(made_up: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose(made_up) == {"FINISHED"}
    assert conditions() == {key: "missing" if key == "network" else "found" for key in KINDS}
    assert jobs.state.notice == "Official files still missing: 1. Passed over: 1."
    report = official.state.report
    assert "MANO_RIGHT.pkl is the right hand of MANO" in report
    assert any(line.startswith("passed over model.bin: model.bin is a web page") for line in report)
    assert str(made_up) not in log.text(preferences.runtime(), "") + "".join(report)
    with monkeypatch.context() as guard:
        guard.setattr(zipfile, "ZipFile", lambda *given: pytest.fail("drawing reads files"))
        layout = drawn()
    assert layout.texts.count("found") == len(KINDS) - 1
    assert "generic_model.pkl is the head of FLAME 2020" in layout.texts
    damaged = converted(models, "flame")
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2] ^= 1
    damaged.write_bytes(data)
    assert conditions()["flame"] == "found"  # nobody looked
    official.check()
    assert conditions()["flame"] == "damaged" and "damaged" in drawn().texts
    assert choose(made_up, "generic_model.pkl") == {"FINISHED"}
    assert conditions()["flame"] == "found"


@pytest.mark.slow
def test_single_files_and_what_they_were_taken_for(made_up: Path, tmp_path: Path) -> None:
    shutil.copy(made_up / "generic_model.pkl", tmp_path / "flame2023.pkl")
    shutil.copy(made_up / "MANO_RIGHT.pkl", tmp_path / "hand (1).pkl")
    assert choose(tmp_path, "flame2023.pkl", "hand (1).pkl") == {"FINISHED"}
    assert official.condition("mano_right") == "found" and official.condition("flame") == "missing"
    assert official.state.report[0] == "hand (1).pkl is the right hand of MANO"
    assert "FLAME 2023" in official.state.report[1] and "Choose generic_model.pkl" in official.state.report[1]
    with pytest.raises(RuntimeError, match="needs none of the chosen files"):
        choose(tmp_path, "flame2023.pkl")
    assert isinstance(jobs.state.notice, ModelsMissing) and len(official.state.report) == 1


@pytest.mark.slow
def test_a_folder_that_cannot_be_written(made_up: Path, models: Path) -> None:
    models.write_text("a file is in the way")
    with pytest.raises(RuntimeError, match="Cannot write to the folder"):
        choose(made_up, "MANO_RIGHT.pkl")
    assert jobs.state.notice.remedy == "Choose a folder you may write to."


@pytest.mark.slow
def test_cancel_leaves_no_half_file(made_up: Path, models: Path) -> None:
    job = official.convert(preferences.runtime(), [made_up], made_up)
    jobs.start(job)
    deadline = time.monotonic() + 60
    while not job.stage.startswith("Converting"):
        assert time.monotonic() < deadline
        jobs.tick()
    jobs.cancel()
    while jobs.state.job is not None:
        jobs.tick()
        time.sleep(0.01)
    assert isinstance(jobs.state.notice, Cancelled)
    assert any("Reading MANO_RIGHT.pkl" in line for line in log.lines) and 0 < job.fraction < 1
    assert {path.name for path in models.glob("*")} <= {converted(models, key).name for key in KINDS}


@pytest.mark.slow
def test_the_self_test_becomes_a_text() -> None:
    assert preferences.facts()["engine"] == "dice" or pytest.skip("the runtime has no dice engine")
    with pytest.raises(RuntimeError, match=r"faults: MANO_RIGHT.pkl, generic_model.pkl, landmark_embedding.npy and 6"):
        bpy.ops.dice.doctor()
    assert isinstance(jobs.state.notice, ModelsMissing)
    text = bpy.data.texts[self_test.REPORT].as_string()
    assert "\nok    packages" in text and "\nFAIL  MANO_RIGHT.pkl" in text


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (["ok    runtime  fine", "ok    disk     4000 MB free"], None),
        (["FAIL  runtime  out of date", "FAIL  model.bin  missing"], NotInstalled),
        (["FAIL  model.bin  the network's weights: missing"], ModelsMissing),
        (["FAIL  disk     3 MB free"], DiceError),
    ],
)
def test_faults_bring_their_remedy(said: list[str], error: type[DiceError] | None) -> None:
    if error is None:
        self_test._ended(0, said)
        assert jobs.state.notice.startswith("The self-test found no fault")
        return
    with pytest.raises(DiceError) as caught:
        self_test._ended(1, said)
    assert type(caught.value) is error


def test_without_a_runtime_the_doctor_still_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In Blender's own Python."""
    monkeypatch.setenv("DICE_RUNTIME", str(tmp_path / "nothing"))
    with pytest.raises(RuntimeError, match="The self-test found faults: runtime, models, packages"):
        bpy.ops.dice.doctor()
    assert isinstance(jobs.state.notice, DiceError)
    lines = bpy.data.texts[self_test.REPORT].as_string().splitlines()
    assert any(line.startswith("FAIL  runtime") and str(tmp_path / "nothing") in line for line in lines)
    assert not bpy.ops.dice.convert_models.poll()


def test_a_runtime_that_answers_nonsense_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = fake_runtime.make(tmp_path / "runtime", capture())
    runtime_python(runtime).write_text("#!/bin/sh\necho Segmentation fault\nexit 139\n")
    monkeypatch.setenv("DICE_RUNTIME", str(runtime))
    for act in (bpy.ops.dice.doctor, lambda: choose(tmp_path)):
        with pytest.raises(RuntimeError, match="Segmentation fault"):
            act()
    assert os.listdir(tmp_path) == ["runtime"]
