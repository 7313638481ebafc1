# SPDX-License-Identifier: GPL-3.0-or-later
"""A movie's frame, from the button in its editor to the scene, where the frame is what the camera sees."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np
import pytest
from dice_capture.dice_blender import api, compat, preferences
from dice_capture.dice_blender.ops import capture as capture_ops
from dice_capture.dice_blender.scene import footage
from dice_capture.dice_core.errors import DiceError, MediaError
from movies import image_strip, movie_strip, plain, write_movie, write_pictures
from synthetic import LANDSCAPE, capture, gradient, write_picture

SAMPLE = Path(__file__).parents[1] / "data" / "sample.jpg"


def test_the_frame_that_came_with_the_result_is_shown(tmp_path: Path) -> None:
    """Packed, whatever becomes of the movie; also of a result file, and after reopening."""
    pixels = gradient((320, 240))
    jpeg = write_picture(tmp_path / "a.jpg", pixels).read_bytes()
    result = replace(capture(LANDSCAPE, source="clip.mp4"), frame=12, picture=jpeg)
    api.save(api.import_capture(result, footage.Photo("clip.mp4", tmp_path / "clip.mp4", frame=12)), tmp_path / "r.npz")
    (tmp_path / "clip.mp4").write_bytes(b"no movie any more")
    api.import_capture(tmp_path / "r.npz")
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "a.blend"))
    images = [image for image in bpy.data.images if image.users]
    assert len(images) == 2 and all(image.packed_file for image in images)
    for image in images:
        assert tuple(image.size) == (320, 240)
        values = np.zeros(320 * 240 * 4, np.float32)
        image.pixels.foreach_get(values)
        seen = values.reshape(240, 320, 4)[::-1, :, :3] * 255
        assert np.abs(seen - pixels).mean() < 3
    other = write_picture(tmp_path / "b.png", pixels[::-1])  # who names a picture gets that one
    collection = api.import_capture(result, other)
    assert api.parts(collection)["camera"].data.background_images[0].image.name.startswith("b.png")


def test_a_frame_of_another_size_changes_nothing(tmp_path: Path) -> None:
    jpeg = write_picture(tmp_path / "a.jpg", gradient((64, 64))).read_bytes()
    for wrong in (jpeg, b"no picture"):
        with pytest.raises(DiceError, match="but the capture was made from 320 x 240"):
            api.import_capture(replace(capture(LANDSCAPE), picture=wrong))
    assert not bpy.data.images and not bpy.data.collections


def in_editor(kind: str, act: str, clip: bpy.types.MovieClip | None = None) -> object:
    """Run something of the capture operator in an editor of that type."""
    window = bpy.context.window_manager.windows[0]
    area = window.screen.areas[0]
    area.type = kind
    if clip is not None:
        area.spaces.active.clip = clip
    with bpy.context.temp_override(window=window, area=area):
        return bpy.ops.dice.capture() if act == "run" else capture_ops._why_not(bpy.context)


@pytest.fixture
def sequencer(registered: object) -> bpy.types.Scene:
    """The scene whose strips sequencers show; since 5.0 it is not the window's."""
    scene = bpy.context.scene
    window = bpy.context.window_manager.windows[0]
    if hasattr(window.workspace, "sequencer_scene"):
        scene = window.workspace.sequencer_scene = bpy.data.scenes.new("edit")
    plain(scene)
    return scene


def test_a_greyed_button_says_why(sequencer: bpy.types.Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = write_pictures(tmp_path, 3)
    monkeypatch.setattr(capture_ops, "not_ready", lambda settings: "")
    assert in_editor("CLIP_EDITOR", "ask") == "Open a movie clip first"
    assert in_editor("SEQUENCE_EDITOR", "ask") == "Select a movie or image strip first"
    strip = image_strip(sequencer, pictures)
    sequencer.sequence_editor.active_strip = strip
    assert in_editor("SEQUENCE_EDITOR", "ask") == ""
    strip.mute = True
    assert in_editor("SEQUENCE_EDITOR", "ask") == "pictures is muted"
    assert in_editor("CLIP_EDITOR", "ask", bpy.data.movieclips.load(str(pictures[0]))) == ""
    if hasattr(bpy.context, "sequencer_scene"):
        bpy.context.window_manager.windows[0].workspace.sequencer_scene = None
        assert in_editor("SEQUENCE_EDITOR", "ask") == "Select a movie or image strip first"


@pytest.mark.slow
@pytest.mark.parametrize("editor", ["SEQUENCE_EDITOR", "CLIP_EDITOR"])
def test_a_person_in_a_movie(editor: str, sequencer: bpy.types.Scene, tmp_path: Path) -> None:
    """From the button to the scene, with the installed runtime: the only frame that shows somebody is the right one."""
    assert preferences.is_installed(), f"no complete runtime in {preferences.runtime()}: run `make test`"
    name = sequencer.name
    nobody = write_picture(tmp_path / "nobody.png", np.full((768, 768, 3), 100, np.uint8))
    picture = bpy.data.images.load(str(SAMPLE))
    picture.file_format = "PNG"
    picture.save(filepath=str(tmp_path / "somebody.png"))
    movie = write_movie(tmp_path / "m.mp4", [nobody] * 6 + [tmp_path / "somebody.png"] + [nobody] * 3, size=(768, 768))
    scene = bpy.context.scene
    window = bpy.context.window_manager.windows[0]
    if hasattr(window.workspace, "sequencer_scene"):
        window.workspace.sequencer_scene = bpy.data.scenes.new(name)
    edited = scene if editor == "CLIP_EDITOR" else compat.sequencer_scene(bpy.context) or scene
    edited.frame_set(16)
    if editor == "SEQUENCE_EDITOR":
        strip = movie_strip(edited, movie, 10)
        edited.sequence_editor.active_strip = strip
        assert in_editor(editor, "run") == {"FINISHED"}
    else:
        clip = bpy.data.movieclips.load(str(movie))
        clip.frame_start = 10
        assert in_editor(editor, "run", clip) == {"FINISHED"}
    result = scene.dice.result
    assert (result["dice_source"], result["dice_frame"], result["dice_contact_state"]) == ("m.mp4", 6, "touch")
    assert result.name == "DICE m 6" and result.name in scene.collection.children
    image = api.parts(result)["camera"].data.background_images[0].image
    assert tuple(image.size) == (768, 768) and image.packed_file
    told, true = (np.zeros(768 * 768 * 4, np.float32) for _ in range(2))
    image.pixels.foreach_get(told)
    bpy.data.images.load(str(SAMPLE)).pixels.foreach_get(true)
    assert np.abs(told - true).mean() < 0.03
    with pytest.raises(DiceError, match="No face and no hand"):
        api.capture((movie, 5))
    with pytest.raises(MediaError, match="has no frame 10"):
        api.capture((movie, 10))
