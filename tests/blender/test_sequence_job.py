# SPDX-License-Identifier: GPL-3.0-or-later
"""From the button to the animated scene and back: cancelled, crashed, resumed, smoothed. The worker needs no models."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import bpy
import fake_runtime
import numpy as np
import pytest
from dice_capture.dice_blender import api, capture_job, jobs, preview, sequence_folders, sequence_job
from dice_capture.dice_blender.ops import sequence as sequence_ops
from dice_capture.dice_blender.scene import moving
from dice_capture.dice_core.errors import Cancelled, DiceError, NothingFound, WorkerDied
from synthetic import capture

from tools.made_up_sequence import write

TIMERS = bpy.app.timers


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that every sequence becomes."""
    folder = tmp_path_factory.mktemp("finished") / "sequence"
    write(folder, 10, rate=30.0, phase=0.4)
    return folder


@pytest.fixture(scope="module", autouse=True)
def warm(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The extension, registered for all tests of this file: the worker stays for the next one."""
    runtime = fake_runtime.make(tmp_path_factory.mktemp("runtime"), capture(), sequence=finished)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DICE_RUNTIME", str(runtime))
        sys.modules["dice_capture"].register()
        yield
        sys.modules["dice_capture"].unregister()


@pytest.fixture
def footage(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Gives a folder of pictures of the name asked for, with the cache folder chosen."""
    bpy.context.scene.dice.sequence.folder = str(tmp_path / "cache")

    def made(name: str = "clip", where: str = "footage") -> Path:
        folder = tmp_path / where / name
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(3):
            (folder / f"{number}.png").write_bytes(b"nobody reads it")
        return folder

    yield made
    jobs.abandon()
    jobs.state.notice = None


def start(path: Path) -> sequence_job.SequenceJob:
    """Press Capture Sequence in a window."""
    bpy.context.scene.dice.sequence.filepath = str(path)
    assert bpy.ops.dice.capture_sequence.poll()
    jobs.start(sequence_ops._capture(bpy.context))
    return jobs.state.job


def pump(until: Callable[[], bool] = lambda: jobs.state.job is None, seconds: float = 20.0) -> None:
    """Do what Blender's timer does."""
    deadline = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline, "it takes too long"
        jobs.tick()
        time.sleep(0.01)


def facts(folder: Path) -> dict:
    return json.loads((folder / "capture.json").read_text())


def sequences() -> list[bpy.types.Collection]:
    return [collection for collection in bpy.data.collections if "dice_folder" in collection]


def test_a_job_builds_the_scene(footage: Callable[..., Path], tmp_path: Path) -> None:
    settings = bpy.context.scene.dice
    settings.hand, settings.use_crop, settings.sequence.smoothing = "left", True, 0.25
    settings.crop_left, settings.crop_top, settings.crop_side = 1, 2, 30
    settings.sequence.use_range, settings.sequence.start, settings.sequence.end = True, 3, 12
    settings.sequence.layout, settings.sequence.picture_rate = "caches", 12.5
    path = footage()
    job = start(path)
    assert not bpy.ops.dice.capture_sequence.poll() and not bpy.ops.dice.resume_sequence.poll()  # one at a time
    seen = set()
    pump(lambda: seen.add((job.frame, job.count, round(job.fps, 1))) or jobs.state.job is None)
    assert jobs.state.notice is None
    assert (10, 10, 12.5) in seen
    asked = facts(tmp_path / "cache" / "clip")
    assert asked["source"]["paths"] == [str(path)]
    assert (asked["start"], asked["end"], asked["asked_rate"], asked["resumed"]) == (3, 12, 12.5, False)
    assert asked["settings"] == {
        "hand": "left", "face": 0, "crop": [1, 2, 30], "precision": "exact", "fix_contact": False, "smoothing": 0.25
    }  # fmt: skip
    (collection,) = sequences()
    assert settings.result == collection and settings.sequence.smoothing == 0.25
    cache = api.parts(collection)["head"].modifiers["Sequence Cache"]
    assert Path(cache.filepath) == tmp_path / "cache" / "clip" / "head.pc2"


def test_the_latest_frame_is_shown_and_freed(footage: Callable[..., Path]) -> None:
    start(footage())
    pump()
    shown = preview._previews[preview.NAME]
    assert tuple(shown.image_size) == (32, 18)
    pixels = np.array(shown.image_pixels_float).reshape(18, 32, 4)
    assert np.allclose(pixels[..., :3], 225 / 255, atol=1e-6) and np.allclose(pixels[..., 3], 1)
    preview.show(np.tile(np.arange(18, dtype=np.uint8)[:, None, None], (1, 32, 3)))  # the first row is on top
    rows = np.array(preview._previews[preview.NAME].image_pixels_float).reshape(18, 32, 4)[:, 0, 0]
    assert np.allclose(rows * 255, np.arange(18)[::-1])
    sys.modules["dice_capture"].unregister()
    assert preview._previews is None
    sys.modules["dice_capture"].register()


def test_each_capture_has_a_folder_of_its_own(footage: Callable[..., Path], tmp_path: Path) -> None:
    for path in (footage(), footage(where="other"), footage()):
        start(path)
        pump()
        assert jobs.state.notice is None
    folders = [tmp_path / "cache" / name for name in ("clip", "clip 2", "clip 3")]
    assert [Path(facts(one)["source"]["paths"][0]).parent.name for one in folders] == ["footage", "other", "footage"]
    assert len(sequences()) == 3


def test_what_was_cancelled_is_resumed_as_it_was_asked_for(footage: Callable[..., Path], tmp_path: Path) -> None:
    settings = bpy.context.scene.dice
    settings.hand, settings.sequence.smoothing = "right", 0.75
    path = footage("slow clip")
    job = start(path)
    pump(lambda: job.frame == 1)
    bpy.ops.dice.cancel()
    pump(seconds=9)
    notice, folder = jobs.state.notice, tmp_path / "cache" / "slow clip"
    assert isinstance(notice, sequence_job.Interrupted) and notice.folder == folder
    assert not bpy.data.objects and not facts(folder)["complete"]
    settings.hand, settings.sequence.smoothing = "both", 0.0
    assert sequence_ops.resumable(bpy.context) == folder
    settings.sequence.filepath = str(footage("another"))
    assert sequence_ops.resumable(bpy.context) is None
    assert bpy.ops.dice.resume_sequence() == {"FINISHED"}  # what the notice speaks of
    done = facts(folder)
    assert done["complete"] and done["resumed"]
    assert (done["settings"]["hand"], done["settings"]["smoothing"]) == ("right", 0.75)
    assert settings.result is not None and settings.sequence.smoothing == 0.75
    settings.sequence.filepath = str(path)
    assert sequence_ops.resumable(bpy.context) is None
    jobs.state.notice = None
    with pytest.raises(RuntimeError, match="No capture of this footage was interrupted"):
        bpy.ops.dice.resume_sequence()


def test_after_a_crash_it_goes_on(footage: Callable[..., Path], tmp_path: Path) -> None:
    start(footage("crash clip"))
    pump()
    assert isinstance(jobs.state.notice, WorkerDied) and "the ceiling came down" in str(jobs.state.notice)
    folder = sequence_ops.resumable(bpy.context)
    assert folder == tmp_path / "cache" / "crash clip"
    assert bpy.ops.dice.resume_sequence(directory=str(folder)) == {"FINISHED"}
    assert len(sequences()) == 1


def test_nothing_found_is_a_message(footage: Callable[..., Path]) -> None:
    start(footage("empty clip"))
    pump()
    assert isinstance(jobs.state.notice, NothingFound) and not bpy.data.objects


def test_another_file_ends_the_job_and_it_can_be_resumed(footage: Callable[..., Path], tmp_path: Path) -> None:
    path = footage("slow clip")
    job = start(path)
    pump(lambda: job.frame == 1)
    bpy.ops.wm.read_homefile(use_empty=True)
    assert jobs.state.job is None and isinstance(jobs.state.notice, Cancelled)
    settings = bpy.context.scene.dice.sequence
    settings.folder, settings.filepath = str(tmp_path / "cache"), str(path)
    assert sequence_ops.resumable(bpy.context) == tmp_path / "cache" / "slow clip"


def test_smoothing_is_changed_without_capturing(footage: Callable[..., Path], tmp_path: Path) -> None:
    assert not bpy.ops.dice.smooth_sequence.poll()
    start(footage())
    pump()
    before = sorted(bpy.data.objects.keys())
    bpy.context.scene.dice.sequence.smoothing = 0.9
    assert bpy.ops.dice.smooth_sequence() == {"FINISHED"}
    assert facts(tmp_path / "cache" / "clip")["settings"]["smoothing"] == pytest.approx(0.9)
    assert sorted(bpy.data.objects.keys()) == before and len(sequences()) == 1
    (collection,) = sequences()
    api.remove(collection)
    api.import_capture(capture())
    assert not bpy.ops.dice.smooth_sequence.poll()


def test_an_interrupted_smoothing_is_resumed_in_place(footage: Callable[..., Path], tmp_path: Path) -> None:
    start(footage())
    pump()
    folder = tmp_path / "cache" / "clip"
    (folder / "capture.json").write_text(json.dumps(facts(folder) | {"complete": False}))
    sequence_folders.forget()
    assert sequence_ops.resumable(bpy.context) == folder
    assert bpy.ops.dice.resume_sequence() == {"FINISHED"}
    assert len(sequences()) == 1 and facts(folder)["complete"]


def test_where_nothing_can_be_written_it_says_so_before_the_work(footage: Callable[..., Path], tmp_path: Path) -> None:
    settings = bpy.context.scene.dice.sequence
    settings.filepath, settings.folder = str(footage()), "//dice_cache"
    with pytest.raises(RuntimeError, match="not saved yet. Save it first"):
        bpy.ops.dice.capture_sequence()
    (tmp_path / "file").write_text("in the way")
    settings.folder = str(tmp_path / "file")
    with pytest.raises(RuntimeError, match="Cannot make the folder"):
        bpy.ops.dice.capture_sequence()
    assert jobs.state.job is None and not list((tmp_path / "footage").glob("**/capture.json"))
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "saved.blend"))
    settings.folder = "//dice_cache"
    assert bpy.ops.dice.capture_sequence() == {"FINISHED"}
    (collection,) = sequences()
    assert collection["dice_folder"] == "//dice_cache/clip"


def test_it_is_said_where_it_went_and_what_hides_it(footage: Callable[..., Path]) -> None:
    clip = SimpleNamespace(type="CLIP_EDITOR")
    place = SimpleNamespace(scene=bpy.context.scene, space_data=clip)
    found = moving.footage_of(footage(), bpy.context.scene)
    folder = Path(bpy.context.scene.dice.sequence.folder)
    for name, expected in (("a", "DICE clip is in the 3D view."), ("b", "Cube")):
        jobs.start(sequence_ops._job(place, found, folder / name, capture_job.Request(), smoothing=0.5))
        pump()
        assert expected in str(jobs.state.notice)
        bpy.ops.mesh.primitive_cube_add(size=2)


def test_nothing_is_built_while_the_user_edits(footage: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture_job, "bpy", SimpleNamespace(app=SimpleNamespace(background=False, timers=TIMERS)))
    busy = ["Busy"]
    monkeypatch.setattr(capture_job, "occupied", lambda: busy[0])
    job = start(footage())
    pump(lambda: job.stage == "Busy")
    assert not sequences()
    busy[0] = ""
    pump()
    assert len(sequences()) == 1


def test_scripts(footage: Callable[..., Path], tmp_path: Path) -> None:
    heard = []
    collection = api.capture_sequence(
        footage(), tmp_path / "job", hand="left", start=2, end=5, rate=10, smoothing=0.1, layout="shape_keys",
        report=lambda *news: heard.append(news),
    )  # fmt: skip
    asked = facts(tmp_path / "job")
    assert (asked["start"], asked["end"], asked["asked_rate"]) == (2, 5, 10)
    assert asked["settings"]["hand"] == "left" and any(stage == "Looking at the frames" for stage, _ in heard)
    assert api.parts(collection)["head"].data.shape_keys
    api.smooth_sequence(collection, 0.6)
    assert facts(tmp_path / "job")["settings"]["smoothing"] == 0.6
    with pytest.raises(DiceError, match="not empty"):
        api.capture_sequence(footage(), tmp_path / "job")
    with pytest.raises(WorkerDied):
        api.capture_sequence(footage("crash clip"), tmp_path / "crash")
    assert api.capture_sequence(footage("crash clip"), tmp_path / "crash", resume=True)
    again = api.import_sequence(tmp_path / "job", timing="source", first_frame=50)
    assert bpy.context.scene.render.fps == 30 and bpy.context.scene.frame_start == 50
    assert again["dice_source"] == "clip"


def test_a_script_does_not_disturb_a_running_job(footage: Callable[..., Path], tmp_path: Path) -> None:
    job = start(footage("slow clip"))
    pump(lambda: job.frame == 1)
    with pytest.raises(DiceError, match="is running"):
        api.capture_sequence(footage("b"), tmp_path / "b")
    assert not (tmp_path / "b" / "capture.json").exists() and jobs.state.job is job


def test_a_folder_is_opened(finished: Path) -> None:
    assert bpy.ops.dice.import_sequence(directory=str(finished), mesh_layout="caches") == {"FINISHED"}
    assert bpy.context.scene.dice.result["dice_source"] == "clip.mp4"
    with pytest.raises(RuntimeError, match="holds no captured sequence"):
        bpy.ops.dice.import_sequence(directory=str(finished.parent))
