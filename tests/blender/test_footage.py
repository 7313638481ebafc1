# SPDX-License-Identifier: GPL-3.0-or-later
"""Movie clips and strips: the frame that is captured is the one that Blender's own render shows."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np
import pytest
from dice_capture.dice_blender import compat, preferences
from dice_capture.dice_blender.scene import footage
from dice_capture.dice_core import paths
from dice_capture.dice_core.errors import MediaError
from movies import SIZE, image_strip, movie_strip, plain, shown, strips, write_movie, write_pictures
from synthetic import gradient, write_picture

COUNT, RATE = 100, 24.0


@dataclass(frozen=True)
class Media:
    """The numbers from 0 to COUNT - 1."""

    pictures: list[Path]
    movie: Path


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Media:
    folder = tmp_path_factory.mktemp("media")
    pictures = write_pictures(folder / "pictures", COUNT)
    return Media(pictures, write_movie(folder / "m.mp4", pictures, RATE))


@pytest.fixture
def scene(media: Media) -> bpy.types.Scene:
    plain(bpy.context.scene)
    return bpy.context.scene


def frames_of(strip: compat.Strip, frames: list[int]) -> list[int | None]:
    """What would be captured at frames of the scene; None where nothing can be."""

    def one(frame: int) -> int | None:
        strip.id_data.frame_set(frame)
        if footage.trouble(strip):
            return None
        photo = footage.from_strip(strip)
        return photo.frame if strip.type == "MOVIE" else int(photo.path.stem.rpartition("_")[2])

    return [one(frame) for frame in frames]


EDITS = {
    "as it is": {},
    "cut at both ends": {"frame_offset_start": 7, "frame_offset_end": 20},
    "held at both ends": {"frame_offset_start": -5, "frame_offset_end": -9},
    "trimmed": {"animation_offset_start": 5, "animation_offset_end": 6},
    "backwards": {"use_reverse_frames": True, "frame_offset_start": 7},
    "backwards and trimmed": {"use_reverse_frames": True, "animation_offset_start": 5},
    "every third": {"strobe": 3.0, "frame_offset_start": 7},
    "strobe 2.5, backwards": {"strobe": 2.5, "use_reverse_frames": True},
    "moved": {"frame_start": 3.0},
}
AT = [4, 5, 9, 10, 11, 20, 31, 32, 33, 88, 89, 90, 104, 109, 110, 118, 119]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the old names, in 5.2
@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("kind", ["movie", "pictures"])
def test_a_strip_is_what_a_render_shows(
    kind: str, edit: str, scene: bpy.types.Scene, media: Media, tmp_path: Path
) -> None:
    strip = movie_strip(scene, media.movie, 10) if kind == "movie" else image_strip(scene, media.pictures, 10)
    for name, value in EDITS[edit].items():
        setattr(strip, name, value)
    expected = [shown(scene, frame, tmp_path) for frame in AT]
    assert len(set(expected)) >= 6
    assert frames_of(strip, AT) == expected


@pytest.mark.parametrize("rate", [12.0, 24.0, 25.0, 24 / 1.001, 48.0])
def test_another_rate_of_the_scene(rate: float, media: Media, tmp_path: Path) -> None:
    """Strips that a script made go on frame by frame."""
    scene = bpy.context.scene
    plain(scene, rate)
    strip = movie_strip(scene, media.movie, 10)
    at = [10, 11, 12, 13, 57, 108, 109]
    assert frames_of(strip, at) == [shown(scene, frame, tmp_path) for frame in at] == [frame - 10 for frame in at]


def add_movie(path: Path, start: int) -> compat.Strip:
    """By the operator, as users do: it adjusts the playback rate."""
    window = bpy.context.window_manager.windows[0]
    area = window.screen.areas[0]
    area.type = "SEQUENCE_EDITOR"
    region = next(region for region in area.regions if region.type == "WINDOW")
    with bpy.context.temp_override(window=window, area=area, region=region):
        bpy.ops.sequencer.movie_strip_add(
            filepath=str(path), frame_start=start, channel=1, use_framerate=False, sound=False, fit_method="STRETCH"
        )
    return bpy.context.scene.sequence_editor.active_strip


needs_operator = pytest.mark.skipif(bpy.app.version >= (5, 0), reason="without a window, Blender 5 crashes in it")


@needs_operator
@pytest.mark.parametrize("edit", ["as it is", "cut at both ends", "trimmed", "backwards", "every third"])
@pytest.mark.parametrize("rate", [12.0, 24.17, 25.0, 30.0, 48.0, 30 / 1.001])
def test_an_adjusted_playback_rate(rate: float, edit: str, media: Media, tmp_path: Path) -> None:
    scene = bpy.context.scene
    plain(scene, rate)
    strip = add_movie(media.movie, 10)
    for name, value in EDITS[edit].items():
        setattr(strip, name, value)
    at = [10, 11, 12, 13, 14, 15, 20, 21, 38, 39, 40, 107, 108, 109]
    assert frames_of(strip, at) == [shown(scene, frame, tmp_path) for frame in at]


@needs_operator
@pytest.mark.parametrize("how", ["all of it", "one part faster, another one slower"])
def test_a_changed_speed_is_refused(how: str, scene: bpy.types.Scene, media: Media) -> None:
    strip = add_movie(media.movie, 1)
    area = bpy.context.window_manager.windows[0].screen.areas[0]
    region = next(region for region in area.regions if region.type == "WINDOW")
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[0], area=area, region=region):
        if how == "all of it":
            bpy.ops.sequencer.retiming_segment_speed_set(speed=200)
        else:
            bpy.ops.sequencer.retiming_key_add(timeline_frame=50)
            strip.retiming_keys[1].timeline_frame = 70
            assert strip.frame_final_duration == COUNT
    with pytest.raises(MediaError, match="speed of m.mp4 was changed.*Movie Clip Editor"):
        footage.from_strip(strip)


def compositing(scene: bpy.types.Scene, clip: bpy.types.MovieClip) -> None:
    """Let renders show the clip."""
    if hasattr(scene, "compositing_node_group"):  # since 5.0
        tree = scene.compositing_node_group = bpy.data.node_groups.new("clip", "CompositorNodeTree")
        tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
        output = tree.nodes.new("NodeGroupOutput")
    else:
        scene.use_nodes = True
        tree = scene.node_tree
        tree.nodes.clear()
        output = tree.nodes.new("CompositorNodeComposite")
    node = tree.nodes.new("CompositorNodeMovieClip")
    node.clip = clip
    tree.links.new(node.outputs[0], output.inputs[0])
    scene.render.engine = "BLENDER_WORKBENCH"
    scene.camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    scene.collection.objects.link(scene.camera)


@pytest.mark.parametrize("start, offset", [(1, 0), (10, 7), (5, -3)])
@pytest.mark.parametrize("kind", ["movie", "pictures"])
def test_a_clip_is_what_a_render_shows(
    kind: str, start: int, offset: int, scene: bpy.types.Scene, media: Media, tmp_path: Path
) -> None:
    clip = bpy.data.movieclips.load(str(media.movie if kind == "movie" else media.pictures[20]))
    clip.frame_start, clip.frame_offset = start, offset
    compositing(scene, clip)
    for frame in (1, 2, 3, 8, 9, 20, 75, 98, 103, 108):
        seen = shown(scene, frame, tmp_path)
        if seen is None:
            with pytest.raises(MediaError):
                footage.from_clip(clip, frame)
            continue
        photo = footage.from_clip(clip, frame)
        assert photo.path == (media.movie if kind == "movie" else media.pictures[seen])
        assert photo.frame == (seen if kind == "movie" else None)


def test_the_runtime_sees_the_same_frames(media: Media) -> None:
    """OpenCV decodes what Blender wrote, B-frames and all, to the frame."""
    script = """if True:
        import sys
        from pathlib import Path
        from dice_core.media.video import read_frame
        for index in map(int, sys.argv[2:]):
            row = read_frame(Path(sys.argv[1]), index).pixels[32].mean(1)
            print(sum(1 << bit for bit in range(7) if row[16 + 16 * bit] > 128))
    """
    asked = [0, 1, 2, 3, 38, 39, 40, 41, 64, 65, 66, 79, 80, 81, 98, 99]
    python = paths.runtime_python(preferences.runtime())
    command = [str(python), "-c", script, str(media.movie), *map(str, asked)]
    told = subprocess.run(command, cwd=paths.ROOT, capture_output=True, text=True, check=True).stdout
    assert [int(line) for line in told.split()] == asked


def set_up_color(scene: bpy.types.Scene, media: Media) -> compat.Strip:
    kind = {"length" if bpy.app.version >= (5, 0) else "frame_end": 50}
    return strips(scene).new_effect("colour", "COLOR", 1, 1, **kind)


def set_up_text(scene: bpy.types.Scene, media: Media) -> compat.Strip:
    kind = {"length" if bpy.app.version >= (5, 0) else "frame_end": 50}
    return strips(scene).new_effect("title", "TEXT", 1, 1, **kind)


def set_up_scene(scene: bpy.types.Scene, media: Media) -> compat.Strip:
    return strips(scene).new_scene("set", bpy.data.scenes.new("other"), 1, 1)


def set_up(scene: bpy.types.Scene, media: Media, **values: object) -> compat.Strip:
    strip = movie_strip(scene, media.movie, 1)
    for name, value in values.items():
        setattr(strip, name, value)
    return strip


def set_up_muted_channel(scene: bpy.types.Scene, media: Media) -> compat.Strip:
    strip = set_up(scene, media)
    next(one for one in scene.sequence_editor.channels if one.name == f"Channel {strip.channel}").mute = True
    return strip


CANNOT = {
    "colour": (set_up_color, "colour is not a movie or image strip"),
    "text": (set_up_text, "title is not a movie or image strip"),
    "scene": (set_up_scene, "set is not a movie or image strip"),
    "muted": (lambda scene, media: set_up(scene, media, mute=True), "movie is muted"),
    "muted channel": (set_up_muted_channel, "movie is muted"),
    "mirrored": (lambda scene, media: set_up(scene, media, use_flip_x=True), "movie is mirrored"),
    "before": (lambda scene, media: movie_strip(scene, media.movie, 2), "The playhead is not on movie.*from 2 to 101"),
    "after": (lambda scene, media: movie_strip(scene, media.movie, -COUNT + 1), "not on movie.*from -99 to 0"),
}


@pytest.mark.parametrize("case", CANNOT)
def test_what_cannot_be_captured_says_so(case: str, scene: bpy.types.Scene, media: Media) -> None:
    make, said = CANNOT[case]
    strip = make(scene, media)
    before = len(bpy.data.images)
    with pytest.raises(MediaError, match=said):
        footage.from_strip(strip)
    assert len(bpy.data.images) == before


@pytest.mark.parametrize("kind", ["movie", "pictures"])
def test_a_strip_whose_file_is_missing(kind: str, scene: bpy.types.Scene, media: Media, tmp_path: Path) -> None:
    if kind == "movie":
        gone = tmp_path / "gone.mp4"
        gone.write_bytes(media.movie.read_bytes())
        strip = movie_strip(scene, gone)
    else:
        gone = write_picture(tmp_path / "gone.png", gradient(SIZE))
        strip = image_strip(scene, [gone])
    gone.unlink()
    with pytest.raises(MediaError, match=f"has no file .*{gone.name}.*Find Missing Files"):
        footage.from_strip(strip)


def test_clips_that_show_nothing(media: Media, tmp_path: Path) -> None:
    (tmp_path / "junk.mp4").write_bytes(b"junk" * 500)
    junk = bpy.data.movieclips.load(str(tmp_path / "junk.mp4"))
    with pytest.raises(MediaError, match="junk.mp4 of junk.mp4 cannot be read"):
        footage.from_clip(junk, 1)
    clip = bpy.data.movieclips.load(str(media.movie))
    with pytest.raises(MediaError, match="m.mp4 shows nothing at frame 0"):
        footage.from_clip(clip, 0)
    clip.filepath = str(tmp_path / "gone.mp4")
    with pytest.raises(MediaError, match="m.mp4 has no file .*gone.mp4"):
        footage.from_clip(clip, 1)
    sequence = bpy.data.movieclips.load(str(media.pictures[20]))
    with pytest.raises(MediaError, match="img_020.png has no file .*img_100.png"):
        footage.from_clip(sequence, 81)


def test_each_scene_has_its_own_playhead(scene: bpy.types.Scene, media: Media) -> None:
    other = bpy.data.scenes.new("other")
    plain(other, 30.0)
    for one, frame in ((scene, 5), (other, 41)):
        movie_strip(one, media.movie, 1)
        one.frame_set(frame)
    told = [footage.photo_of(strips(one)[0], scene).frame for one in (scene, other)]
    assert told == [4, 40]
    clip = bpy.data.movieclips.load(str(media.movie))
    assert [footage.photo_of(clip, one).frame for one in (scene, other)] == [4, 40]


def test_paths_of_a_library_are_relative_to_it(media: Media, tmp_path: Path) -> None:
    """A scene with strips and clips that was linked from a file elsewhere."""
    pictures = write_pictures(tmp_path / "shot" / "plates", 3)
    movie = tmp_path / "shot" / "m.mp4"
    movie.write_bytes(media.movie.read_bytes())
    scene = bpy.context.scene
    scene.name = "shot"
    movie_strip(scene, movie).filepath = "//m.mp4"
    image_strip(scene, pictures, channel=2).directory = "//plates/"
    bpy.data.movieclips.load(str(movie)).filepath = "//m.mp4"
    bpy.data.movieclips[0].use_fake_user = True
    scene.frame_set(3)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot" / "shot.blend"))
    bpy.ops.wm.read_factory_settings(use_empty=True)
    with bpy.data.libraries.load(str(tmp_path / "shot" / "shot.blend"), link=True) as (there, here):
        here.scenes, here.movieclips = ["shot"], there.movieclips
    linked = bpy.data.scenes["shot"]
    assert linked.library is not None
    told = [footage.photo_of(source, linked) for source in (*strips(linked), bpy.data.movieclips[0])]
    assert sorted((photo.path, photo.frame) for photo in told if photo.frame) == [(movie, 2), (movie, 2)]
    assert [photo.path for photo in told if photo.frame is None] == [pictures[2]]


def test_pictures_that_the_runtime_cannot_read_go_as_pixels(scene: bpy.types.Scene, tmp_path: Path) -> None:
    image = bpy.data.images.new("plate", *SIZE, float_buffer=True)
    image.pixels.foreach_set(np.tile(np.float32([0.2, 0.2, 0.2, 1]), SIZE[0] * SIZE[1]))
    image.file_format = "OPEN_EXR"
    image.filepath_raw = str(tmp_path / "plate_001.exr")
    image.save()
    bpy.data.images.remove(image)
    image = bpy.data.images.load(str(tmp_path / "plate_001.exr"))
    expected = 255 * (1.055 * image.pixels[0] ** (1 / 2.4) - 0.055)  # what the file holds is light
    before = len(bpy.data.images)
    photo = footage.from_strip(image_strip(scene, [tmp_path / "plate_001.exr"]))
    assert photo.path is None and np.abs(photo.pixels - expected).max() < 1
    assert len(bpy.data.images) == before
