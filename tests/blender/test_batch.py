# SPDX-License-Identifier: GPL-3.0-or-later
"""Many pictures in one go, around a worker that does what their names say."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import bpy
import fake_runtime
import pytest
from dice_capture.dice_blender import batch_job, capture_job, jobs
from dice_capture.dice_blender.ops import batch
from dice_capture.dice_blender.scene import naming
from dice_capture.dice_core.errors import Cancelled
from synthetic import LANDSCAPE, capture, gradient, write_picture

pytestmark = pytest.mark.usefixtures("registered")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Gives a folder with pictures of the names asked for, with the runtime in place."""
    monkeypatch.setenv("DICE_RUNTIME", str(fake_runtime.make(tmp_path / "runtime", capture())))
    pictures = tmp_path / "pictures"
    pictures.mkdir()

    def made(*names: str) -> Path:
        for name in names:
            write_picture(pictures / name, gradient(LANDSCAPE.image_size))
        return pictures

    return made


def captured() -> list[str]:
    """The names of the pictures whose collections are in the scene, in order."""
    return [Path(child[naming.FILE]).name for child in bpy.context.scene.collection.children if naming.FILE in child]


def test_a_picture_that_fails_does_not_end_the_rest(folder: Callable[..., Path]) -> None:
    pictures = folder("10.png", "2.png", "3 empty.png", "4 crash.png")
    (pictures / "notes.txt").write_text("no picture")
    (pictures / "5.png").write_text("no picture either")
    assert bpy.ops.dice.batch(directory=str(pictures)) == {"FINISHED"}
    assert captured() == ["2.png", "10.png"]
    told = bpy.data.texts[batch.REPORT].as_string()
    assert "3 empty.png: No face" in told and "exit code 7" in told and "10.png: captured" in told
    assert "notes.txt" not in told
    assert "could not be captured" in str(jobs.state.notice)


def test_one_is_shown_and_the_camera_is_its_own(folder: Callable[..., Path]) -> None:
    bpy.ops.dice.batch(directory=str(folder("a.png", "b.png")))
    first, second = bpy.context.scene.collection.children
    layers = bpy.context.view_layer.layer_collection.children
    assert not layers[first.name].exclude and layers[second.name].exclude
    assert bpy.context.scene.camera.name in first.objects


def test_what_is_there_is_not_captured_again(folder: Callable[..., Path]) -> None:
    pictures = folder("a.png", "b.png")
    bpy.ops.dice.batch(directory=str(pictures), files=[{"name": "b.png"}])
    assert captured() == ["b.png"]
    bpy.ops.dice.batch(directory=str(pictures))
    assert captured() == ["b.png", "a.png"]
    with pytest.raises(RuntimeError, match="no picture to capture"):
        bpy.ops.dice.batch(directory=str(pictures))
    bpy.ops.dice.batch(directory=str(pictures), again=True)
    assert captured() == ["b.png", "a.png", "a.png", "b.png"]


def test_a_cancelled_batch_keeps_what_it_has(folder: Callable[..., Path], tmp_path: Path) -> None:
    pictures = batch.pictures_in(folder("1.png", "2 slow.png", "3.png"))
    reports, shown = [], []
    job = batch_job.BatchJob(
        pictures, capture_job.Request(), runtime=tmp_path / "runtime",
        done=lambda photo, made: shown.append(photo.source), ended=reports.append,
    )  # fmt: skip
    deadline = time.monotonic() + 20
    with pytest.raises(Cancelled):
        while time.monotonic() < deadline:
            assert not job.advance()
            if job.stage == "2 of 3: Looking" and not job.cancelling:
                assert 1 / 3 <= job.fraction < 2 / 3
                job.cancelling = True
                job.cancel()
            time.sleep(0.01)
    assert shown == ["1.png"] and reports[0].captured == [pictures[0]] and not reports[0].failed


def test_an_empty_folder_is_a_message(folder: Callable[..., Path], tmp_path: Path) -> None:
    for place in (folder(), tmp_path / "missing"):
        with pytest.raises(RuntimeError, match="no picture to capture"):
            bpy.ops.dice.batch(directory=str(place))


def test_names_are_sorted_as_people_count() -> None:
    names = ["a10.png", "A2.png", "a1b3.png", "9.png", "a1b20.png", "b.png"]
    assert sorted(names, key=naming.natural) == ["9.png", "a1b3.png", "a1b20.png", "A2.png", "a10.png", "b.png"]
