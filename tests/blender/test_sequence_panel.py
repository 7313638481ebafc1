# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Sequence panel and the result of a sequence show, and their buttons."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import bpy
import drawing
import pytest
from dice_capture.dice_blender import api, jobs, preferences, preview, sequence_folders
from dice_capture.dice_blender.ops import capture as capture_ops
from dice_capture.dice_blender.ops import sequence as sequence_ops
from dice_capture.dice_blender.panels import result as result_panel
from dice_capture.dice_blender.panels import sequence as panel
from dice_capture.dice_blender.panels import widgets
from dice_capture.dice_blender.scene import naming
from dice_capture.dice_blender.sequence_job import Interrupted, SequenceJob
from movies import movie_strip, plain, write_movie, write_pictures
from sequences import curve
from synthetic import capture

from tools.made_up_sequence import write

pytestmark = pytest.mark.usefixtures("registered")
RUN = {"dice.capture_sequence", "dice.import_sequence"}


@pytest.fixture(scope="module")
def movie(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """8 frames, 24 a second."""
    folder = tmp_path_factory.mktemp("movie")
    return write_movie(folder / "clip.mp4", write_pictures(folder, 8), 24.0)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "sequence"
    write(folder, 10, rate=30.0, phase=0.4)
    return folder


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preferences, "is_installed", lambda: True)
    monkeypatch.setattr(capture_ops, "not_ready", lambda settings: "")
    monkeypatch.setattr(sequence_ops, "not_ready", lambda settings: "")


def drawn(cls: type = panel.DICE_PT_sequence, space: object = None) -> drawing.Layout:
    layout, place = drawing.Layout(), drawing.context()
    place.space_data = space
    cls.draw(SimpleNamespace(layout=layout), place)
    return layout


def test_of_a_movie_the_rate_and_the_frames(movie: Path) -> None:
    settings, scene = bpy.context.scene.dice.sequence, bpy.context.scene
    layout = drawn()
    assert set(layout.names) == RUN and layout.texts == [] and "picture_rate" not in layout.props
    settings.filepath = str(movie)
    assert (settings.start, settings.end) == (0, 7)
    scene.render.fps = 24
    layout = drawn()
    assert layout.texts == ["24 frames a second, 8 frames"]
    assert not {"timing", "start", "end"} & set(layout.props)
    scene.render.fps, settings.use_range = 25, True
    layout = drawn()
    assert "The scene has 25 frames a second." in layout.text
    assert {"timing", "start", "end"} <= set(layout.props)


def test_pictures_have_the_rate_that_is_chosen(movie: Path) -> None:
    settings, scene = bpy.context.scene.dice.sequence, bpy.context.scene
    settings.filepath = str(movie.parent)
    layout = drawn()
    assert layout.texts == [] and "picture_rate" in layout.props and "timing" not in layout.props
    settings.picture_rate = 2 * scene.render.fps
    assert "timing" in drawn().props


def test_in_other_editors_it_follows_what_they_show(movie: Path) -> None:
    scene = bpy.context.scene
    plain(scene)
    clip = bpy.data.movieclips.load(str(movie))
    for space, expected in ((SimpleNamespace(type="CLIP_EDITOR", clip=clip), True),
                            (SimpleNamespace(type="CLIP_EDITOR", clip=None), False)):  # fmt: skip
        layout = drawn(panel.DICE_PT_sequence_clip, space)
        assert ("24 frames a second, 8 frames" in layout.texts) == expected and "filepath" not in layout.props
    strip = movie_strip(scene, movie, 5)
    with mock.patch.object(panel, "chosen_sequence", lambda context: strip):
        layout = drawn(panel.DICE_PT_sequence_strip, SimpleNamespace(type="SEQUENCE_EDITOR"))
    assert "24 frames a second, 8 frames" in layout.texts


def test_what_is_missing_is_said_on_the_button(movie: Path) -> None:
    assert sequence_ops.why_not(bpy.context) == "Choose a movie or a folder of pictures first"
    bpy.context.scene.dice.sequence.filepath = str(movie)
    assert sequence_ops.why_not(bpy.context) == ""
    strip = movie_strip(bpy.context.scene, movie, 5)
    strip.mute = True
    with mock.patch.object(sequence_ops, "chosen_sequence", lambda context: strip):
        assert sequence_ops.why_not(bpy.context) == "movie is muted"
        assert sequence_ops.resumable(bpy.context) is None


def test_an_unfinished_capture_is_offered_and_the_folder_is_looked_into_once(movie: Path, tmp_path: Path) -> None:
    settings = bpy.context.scene.dice.sequence
    settings.filepath, settings.folder = str(movie), str(tmp_path)
    assert set(drawn().names) == RUN
    for name, complete, path in (("clip", False, movie), ("clip 2", False, movie), ("clip 3", True, movie),
                                 ("clip 4", False, "/another/clip.mp4"), ("clipped", False, movie)):  # fmt: skip
        (tmp_path / name).mkdir()
        facts = {"complete": complete, "source": {"paths": [str(path)]}}
        (tmp_path / name / "capture.json").write_text(json.dumps(facts))
    (tmp_path / "clip 5").mkdir()
    (tmp_path / "clip 5" / "capture.json").write_text("broken")
    assert set(drawn().names) == RUN  # drawing looks no second time
    sequence_folders.forget()
    layout = drawn()
    (directory,) = (vars(options)["directory"] for name, options in layout.buttons if name == "dice.resume_sequence")
    assert directory == str(tmp_path / "clip 2")
    with mock.patch.object(Path, "read_text", side_effect=AssertionError("drawing reads")):
        drawn()
    settings.folder = "//"  # the .blend was not saved
    assert set(drawn().names) == RUN


def test_while_it_runs_the_panel_shows_what_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    job = SequenceJob.__new__(SequenceJob)
    job.stage, job.fraction, job.cancelling, job.frame, job.count, job.fps = "Looking", 0.4, False, 0, 0, 0.0
    monkeypatch.setattr(jobs.state, "job", job)
    monkeypatch.setattr(jobs, "seconds_left", lambda: 15.2)
    assert drawn().texts == []  # the panel above says it
    job.frame, job.count, job.fps = 120, 300, 12.34
    monkeypatch.setattr(preview, "icon", lambda: 17)
    layout = drawn()
    assert layout.texts == ["Frame 120 of 300, 12.3 frames a second"]
    assert layout.icons[-1] == "17" and layout.names == []


def test_a_cancelled_one_can_be_resumed_from_its_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs.state, "notice", Interrupted("The capture was cancelled.", tmp_path))
    layout = drawing.Layout()
    widgets.draw_notice(layout, drawing.context())
    assert layout.names == ["dice.dismiss", "dice.resume_sequence"]
    assert layout.text == "The capture was cancelled. Press Resume to go on with it."


@pytest.mark.parametrize("layout", ["caches", "shape_keys"])
def test_the_result_of_a_sequence(layout: str, finished: Path, registered: object) -> None:
    collection = api.import_sequence(finished, layout=layout)
    told = drawn(result_panel.DICE_PT_result)
    states = curve(finished, "contact_state").tolist()
    shares = [f"{name}: {states.count(state) / 10:.0%}" for state, name in (("touch", "Touch"), ("unsure", "Unsure"))]
    assert {*shares, "30 frames a second, 10 frames", "Made up."} <= set(told.texts)
    now = curve(finished, "contact_probability")[0]
    assert f"At this frame: probability {now:.0%}" in told.texts
    assert {"Deformation", "smoothing"} <= set(told.props)
    assert {"dice.smooth_sequence", "dice.bake_frame", "dice.bake_range"} <= set(told.names)
    assert not result_panel.DICE_PT_quality.poll(drawing.context())
    assert drawn(result_panel.DICE_PT_tools).names == [
        "dice.contact_threshold", "dice.export_copy", "dice.delete"
    ]  # fmt: skip
    assert collection[naming.FOLDER] in told.text.replace(" ", "")


def test_frames_become_shape_keys(finished: Path) -> None:
    scene = bpy.context.scene
    collection = api.import_sequence(finished, layout="caches")
    scene.frame_set(3)
    assert bpy.ops.dice.bake_frame() == {"FINISHED"}
    assert scene.dice.result == collection
    (baked,) = (one for one in bpy.data.collections if naming.RESULT in one)
    assert baked["dice_frame"] == 3  # 2.5 of its own after the first one: it has 30 frames a second, the scene 24
    assert bpy.ops.dice.bake_range(start=1, end=4) == {"FINISHED"}
    keys = api.parts(collection)["head"].data.shape_keys.key_blocks.keys()
    assert "f0001" in keys
    with pytest.raises(RuntimeError, match="has no frame from 200 to 300"):
        bpy.ops.dice.bake_range(start=200, end=300)
    api.remove(collection)
    scene.dice.result = baked
    for operator in (bpy.ops.dice.bake_frame, bpy.ops.dice.bake_range, bpy.ops.dice.smooth_sequence):
        assert not operator.poll()


def test_deleting_a_sequence_leaves_the_panel_another_one(finished: Path) -> None:
    first = api.import_sequence(finished)
    api.import_capture(capture())
    assert bpy.ops.dice.delete() == {"FINISHED"}
    assert bpy.context.scene.dice.result == first
    assert bpy.ops.dice.delete() == {"FINISHED"}
    assert bpy.context.scene.dice.result is None and not bpy.data.objects
