# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel's way (a job and a timer) and the script's way (wait) to a capture, with a worker that needs no models."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import bpy
import fake_runtime
import pytest
from dice_capture.dice_blender import api, capture_job, jobs, preferences
from dice_capture.dice_blender.ops import capture as capture_ops
from dice_capture.dice_blender.panels import widgets
from dice_capture.dice_blender.scene.obstacles import InTheWay
from dice_capture.dice_core.errors import Cancelled, DiceError, NothingFound, NotInstalled, WorkerDied
from dice_capture.dice_core.paths import runtime_python
from synthetic import LANDSCAPE, capture, gradient, write_picture

pytestmark = pytest.mark.usefixtures("registered")
TIMERS = bpy.app.timers


@pytest.fixture
def picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Gives a photograph of the name asked for, with the runtime in place."""
    monkeypatch.setenv("DICE_RUNTIME", str(fake_runtime.make(tmp_path / "run time", capture())))
    return lambda name: write_picture(tmp_path / name, gradient(LANDSCAPE.image_size))


def start(path: Path) -> jobs.Job:
    """Press Capture in a window."""
    settings = bpy.context.scene.dice
    settings.filepath = str(path)
    assert bpy.ops.dice.capture.poll()
    capture_ops._start(settings.filepath, capture_ops.request_of(settings), bpy.context.scene.name)
    return jobs.state.job


def pump(until: Callable[[], bool] = lambda: jobs.state.job is None, seconds: float = 20.0) -> float:
    """Do what Blender's timer does; gives how long it took."""
    began = time.monotonic()
    while not until():
        assert time.monotonic() - began < seconds, "it takes too long"
        jobs.tick()
        time.sleep(0.01)
    return time.monotonic() - began


def ended(client: object, seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while client.alive and time.monotonic() < deadline:
        time.sleep(0.01)
    return not client.alive


def test_a_job_builds_the_scene(picture: Callable[[str], Path]) -> None:
    job = start(picture("Fotö von mir.png"))
    assert not bpy.ops.dice.capture.poll()  # one at a time
    stages = set()
    pump(lambda: stages.add(job.stage) or jobs.state.job is None)
    assert {"looking"} <= stages
    assert jobs.state.notice is None
    collection = bpy.context.scene.dice.result
    assert collection.name == "DICE Fotö von mir"
    assert api.parts(collection)["camera"].data.background_images[0].image.name == "Fotö von mir.png"


def test_the_worker_stays_warm_and_ends_when_idle(picture: Callable[[str], Path]) -> None:
    client = start(picture("a.png")).client
    pump()
    assert start(picture("b.png")).client is client
    pump()
    assert client.alive
    assert bpy.app.timers.is_registered(capture_job._retire)
    capture_job._retire()
    assert ended(client)


def test_the_worker_ends_when_idle_however_the_job_ended(
    picture: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture_job, "PATIENCE", 20.0)
    client = start(picture("slow.png")).client
    bpy.ops.dice.cancel()  # before the worker has said anything
    pump()
    assert isinstance(jobs.state.notice, Cancelled)
    assert client.alive and bpy.app.timers.is_registered(capture_job._retire)
    start(picture("empty.png"))
    pump()
    assert client.alive and bpy.app.timers.is_registered(capture_job._retire)
    start(picture("a.png"))
    bpy.context.scene.name = "renamed"  # the result cannot be built
    pump()
    assert "gone" in str(jobs.state.notice)
    assert client.alive and bpy.app.timers.is_registered(capture_job._retire)
    api.capture(picture("b.png"))
    assert capture_job.warm.client is client
    assert bpy.app.timers.is_registered(capture_job._retire)
    capture_job._retire()
    assert ended(client)
    with pytest.raises(WorkerDied):
        api.capture(picture("crash.png"))
    assert not bpy.app.timers.is_registered(capture_job._retire)


def test_a_script_does_not_disturb_a_running_job(picture: Callable[[str], Path]) -> None:
    job = start(picture("long.png"))
    pump(lambda: job.stage == "looking")
    with pytest.raises(DiceError, match="is running"):
        api.capture(picture("b.png"))
    pump()
    assert jobs.state.notice is None
    assert bpy.context.scene.dice.result.name == "DICE long"


def test_an_image_in_blender_is_sent_as_pixels(picture: Callable[[str], Path]) -> None:
    settings = bpy.context.scene.dice
    settings.source = "IMAGE"
    assert not bpy.ops.dice.capture.poll()
    settings.image = bpy.data.images.new("painted", *LANDSCAPE.image_size)
    capture_ops._start(settings.image, capture_ops.request_of(settings), bpy.context.scene.name)
    pump()
    assert jobs.state.notice is None
    assert bpy.context.scene.dice.result.name == "DICE painted"


def test_cancel_is_obeyed_and_the_worker_kept(picture: Callable[[str], Path]) -> None:
    job = start(picture("slow.png"))
    pump(lambda: job.stage == "looking")
    bpy.ops.dice.cancel()
    assert job.cancelling
    assert pump() < 1.0
    assert isinstance(jobs.state.notice, Cancelled)
    assert not bpy.data.objects
    start(picture("next.png"))
    assert jobs.state.job.client is job.client
    pump()
    assert jobs.state.notice is None
    assert bpy.context.scene.dice.result is not None


def test_a_worker_that_ignores_a_cancel_is_ended(picture: Callable[[str], Path]) -> None:
    job = start(picture("stubborn.png"))
    pump(lambda: job.fraction > 0)
    time.sleep(0.5)
    bpy.ops.dice.cancel()
    assert pump() < 2.5
    assert isinstance(jobs.state.notice, Cancelled)
    assert ended(job.client)
    start(picture("next.png"))
    pump()
    assert bpy.context.scene.dice.result is not None


def test_cancel_while_the_worker_starts(picture: Callable[[str], Path]) -> None:
    start(picture("slow.png"))
    bpy.ops.dice.cancel()
    assert pump() < 2.5
    assert isinstance(jobs.state.notice, Cancelled)


def test_a_dead_worker_is_a_message_and_the_next_capture_works(picture: Callable[[str], Path]) -> None:
    start(picture("crash.png"))
    pump()
    assert isinstance(jobs.state.notice, WorkerDied)
    assert "exit code 7" in str(jobs.state.notice) and "the ceiling came down" in str(jobs.state.notice)
    assert not bpy.data.objects
    start(picture("next.png"))
    pump()
    assert jobs.state.notice is None


def test_nothing_found_is_a_message(picture: Callable[[str], Path]) -> None:
    start(picture("empty.png"))
    pump()
    assert isinstance(jobs.state.notice, NothingFound)


def test_another_file_ends_the_job(picture: Callable[[str], Path]) -> None:
    job = start(picture("slow.png"))
    pump(lambda: job.stage == "looking")
    bpy.ops.wm.read_homefile(use_empty=True)
    assert jobs.state.job is None
    assert isinstance(jobs.state.notice, Cancelled)
    assert ended(job.client)
    assert jobs.tick() is None


def test_a_scene_that_vanished_is_a_message(picture: Callable[[str], Path]) -> None:
    start(picture("a.png"))
    bpy.context.scene.name = "renamed"
    pump()
    assert "gone" in str(jobs.state.notice)
    assert not bpy.data.objects


def test_the_scene_is_the_one_that_asked(picture: Callable[[str], Path]) -> None:
    start(picture("a.png"))
    first, other = bpy.context.scene, bpy.data.scenes.new("other")
    bpy.context.window.scene = other
    pump()
    assert jobs.state.notice is None
    assert first.dice.result is not None and other.dice.result is None
    assert len(first.collection.children) == 1 and not other.collection.children


@pytest.mark.parametrize(
    ("place", "told"),
    [((0, 0, 0), True), ((0.4, -0.1, 0.1), False), ((0, 3, 0), False)],
    ids=["around", "beside", "behind"],
)
def test_what_hides_the_capture_is_named(picture: Callable[[str], Path], place: tuple[float, ...], told: bool) -> None:
    bpy.ops.mesh.primitive_cube_add(size=2.0 if place == (0, 0, 0) else 0.3, location=place)
    start(picture("a.png"))
    pump()
    assert bpy.context.scene.dice.result is not None
    assert ("Cube" in str(jobs.state.notice)) == told


def test_unregistering_ends_everything(picture: Callable[[str], Path], registered: object) -> None:
    job = start(picture("slow.png"))
    pump(lambda: job.stage == "looking")
    registered.unregister()
    assert not job.client.alive
    assert not bpy.app.timers.is_registered(jobs.tick)
    assert jobs.state.job is None
    registered.register()


def test_the_operator_waits_without_a_window(picture: Callable[[str], Path]) -> None:
    bpy.context.scene.dice.filepath = str(picture("a.png"))
    assert bpy.ops.dice.capture() == {"FINISHED"}
    assert "Head" in bpy.data.objects


def test_a_script_waits_and_hears_the_progress(picture: Callable[[str], Path]) -> None:
    heard = []
    collection = api.capture(picture("a.png"), hand="left", report=lambda *news: heard.append(news))
    assert collection["dice_contact_state"] == "touch"
    assert ("loading", 0.0) in heard
    for name, kind in (("empty.png", NothingFound), ("crash.png", WorkerDied)):
        with pytest.raises(kind):
            api.capture(picture(name))
    assert api.capture(picture("again.png"))


def test_without_a_runtime_the_button_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DICE_RUNTIME", str(tmp_path / "nothing"))
    path = write_picture(tmp_path / "a.png", gradient((8, 8)))
    bpy.context.scene.dice.filepath = str(path)
    assert not bpy.ops.dice.capture.poll()
    with pytest.raises(NotInstalled, match="not installed"):
        api.capture(path)


def test_in_the_image_editor_its_own_image_is_captured(picture: Callable[[str], Path]) -> None:
    image = bpy.data.images.load(str(picture("a.png")))
    area = bpy.context.window_manager.windows[0].screen.areas[0]
    before, area.type = area.type, "IMAGE_EDITOR"
    try:
        with bpy.context.temp_override(window=bpy.context.window_manager.windows[0], area=area):
            assert not bpy.ops.dice.capture.poll()
            area.spaces.active.image = image
            assert bpy.ops.dice.capture() == {"FINISHED"}
    finally:
        area.type = before
    assert bpy.context.scene.dice.result["dice_source"] == "a.png"


def test_a_file_that_is_chosen_or_dropped_is_captured(picture: Callable[[str], Path]) -> None:
    path = picture("dropped.png")
    assert bpy.ops.dice.capture_file(filepath=str(path)) == {"FINISHED"}
    settings = bpy.context.scene.dice
    assert (settings.source, settings.filepath) == ("FILE", str(path))
    assert settings.result["dice_source"] == "dropped.png"
    handler = capture_ops.DICE_FH_photograph
    assert handler.is_registered and ".png" in handler.bl_file_extensions.split(";")
    for kind, wanted in (("VIEW_3D", True), ("IMAGE_EDITOR", False)):
        assert handler.poll_drop(SimpleNamespace(area=SimpleNamespace(type=kind))) == wanted


def test_the_settings_reach_the_worker(picture: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def record(photo: object, request: capture_job.Request, **_: object) -> None:
        asked.append(request)
        raise DiceError("Recorded.")

    monkeypatch.setattr(capture_job, "asking", record)
    monkeypatch.setattr(preferences, "facts", lambda: {"engine": "dice"})
    settings = bpy.context.scene.dice
    settings.filepath, settings.hand = str(picture("a.png")), "left"
    settings.crop_left, settings.crop_top, settings.crop_side, settings.fix_contact = 1, 2, 30, True
    settings.face = 3
    for settings.engine, settings.use_crop in (("open", False), ("dice", True)):
        with pytest.raises(RuntimeError, match="Recorded"):
            bpy.ops.dice.capture()
    assert asked == [
        capture_job.Request("open", "left", None, fix_contact=False, face=3),
        capture_job.Request("dice", "left", (1, 2, 30), fix_contact=True, face=3),
    ]


def test_the_official_engine_is_greyed_until_it_is_there(picture: Callable[[str], Path]) -> None:
    settings = bpy.context.scene.dice
    settings.filepath = str(picture("a.png"))
    assert bpy.ops.dice.capture.poll()
    settings.engine = "dice"
    assert not bpy.ops.dice.capture.poll()
    with pytest.raises(RuntimeError, match="Add the DICE engine"):
        bpy.ops.dice.capture()


def test_an_unexpected_error_does_not_hang_the_panel(
    picture: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture_job, "from_arrays", lambda arrays: 1 / 0)
    start(picture("a.png"))
    pump()
    assert isinstance(jobs.state.notice, DiceError)
    assert "ZeroDivisionError" in str(jobs.state.notice)


def test_the_time_that_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    job = SimpleNamespace(fraction=0.25, cancelling=False)
    monkeypatch.setattr(jobs.state, "job", job)
    monkeypatch.setattr(jobs.state, "done_before", None)
    monkeypatch.setattr(jobs.state, "began", time.monotonic() - 60)
    assert jobs.seconds_left() == pytest.approx(180, abs=1)
    job.fraction = 0.01
    assert jobs.seconds_left() is None  # too early to tell
    job.fraction = 0.25
    monkeypatch.setattr(jobs.state, "began", time.monotonic() - 1)
    assert jobs.seconds_left() is None  # soon done


def test_what_was_resumed_takes_as_long_as_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """It begins at 60 %; after a minute it is at 70 %: three more to go, not half a one."""
    job = SimpleNamespace(fraction=0.0, cancelling=False, stage="", advance=lambda: False)
    monkeypatch.setattr(jobs.state, "job", job)
    monkeypatch.setattr(jobs.state, "done_before", None)
    jobs.tick()
    assert jobs.state.done_before is None
    job.fraction = 0.6
    jobs.tick()
    job.fraction = 0.7
    jobs.tick()
    monkeypatch.setattr(jobs.state, "began", jobs.state.began - 60)
    assert jobs.seconds_left() == pytest.approx(180, abs=2)


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "1 s"), (59, "59 s"), (61, "1 min"), (4830, "1 h 20 min")])
def test_durations_in_words(seconds: float, text: str) -> None:
    assert widgets.duration(seconds) == text


def test_nothing_is_built_while_the_user_edits(
    picture: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture_job, "bpy", SimpleNamespace(app=SimpleNamespace(background=False, timers=TIMERS)))
    own = bpy.data.objects.new("Own", bpy.data.meshes.new("Own"))
    bpy.context.scene.collection.objects.link(own)
    bpy.context.view_layer.objects.active = own
    bpy.ops.object.mode_set(mode="EDIT")
    job = start(picture("a.png"))
    pump(lambda: "Object Mode" in job.stage)
    assert bpy.data.objects.keys() == ["Own"] and jobs.state.job is job
    bpy.ops.object.mode_set(mode="OBJECT")
    pump()
    assert {"Head", "Own"} <= set(bpy.data.objects.keys()) and jobs.state.notice is None


def test_what_waits_for_the_user_can_be_cancelled(
    picture: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture_job, "bpy", SimpleNamespace(app=SimpleNamespace(background=False, timers=TIMERS)))
    monkeypatch.setattr(capture_job, "occupied", lambda: "Busy")
    job = start(picture("a.png"))
    pump(lambda: job.stage == "Busy")
    jobs.cancel()
    pump()
    assert isinstance(jobs.state.notice, Cancelled) and not bpy.data.objects


def test_a_script_does_not_wait_for_the_user(picture: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture_job, "occupied", lambda: "Busy")
    report = api.batch([picture("a.png")])
    assert len(report.captured) == 1 and "Head" in bpy.data.objects


def test_a_runtime_that_cannot_start_is_a_message(
    picture: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = picture("a.png")
    python = runtime_python(tmp_path / "run time")
    python.unlink()
    python.write_bytes(b"\x7fELF of another machine")
    python.chmod(0o755)
    with pytest.raises(RuntimeError, match="cannot be started.*Repair the runtime"):
        bpy.context.scene.dice.filepath = str(path)
        bpy.ops.dice.capture()
    with pytest.raises(RuntimeError, match="cannot be started.*Repair the runtime"):
        bpy.ops.dice.doctor()


def test_what_hides_the_capture_can_be_hidden(picture: Callable[[str], Path]) -> None:
    bpy.ops.mesh.primitive_cube_add(size=2)
    start(picture("a.png"))
    pump()
    assert isinstance(jobs.state.notice, InTheWay)
    assert bpy.ops.dice.hide_obstacles() == {"FINISHED"}
    assert bpy.data.objects["Cube"].hide_get() and not bpy.data.objects["Head"].hide_get()
    assert jobs.state.notice is None
