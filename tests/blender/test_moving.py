# SPDX-License-Identifier: GPL-3.0-or-later
"""All frames of files, clips and strips: each is the one that is captured alone at the same frame of the scene."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import bpy
import pytest
from dice_capture.dice_blender.scene import footage, moving
from dice_capture.dice_core.errors import MediaError
from movies import image_strip, movie_strip, plain, write_movie, write_pictures

COUNT, RATE = 24, 24.0
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the old names of strips, in 5.2


@dataclass(frozen=True)
class Media:
    pictures: list[Path]
    movie: Path


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Media:
    folder = tmp_path_factory.mktemp("media")
    pictures = write_pictures(folder / "plates", COUNT)
    return Media(pictures, write_movie(folder / "shot.v2.mp4", pictures, RATE))


@pytest.fixture
def scene() -> bpy.types.Scene:
    plain(bpy.context.scene)
    return bpy.context.scene


def one_by_one(source: object, scene: bpy.types.Scene, frames: range) -> dict[int, Path | int]:
    """What is captured alone at frames of the scene: the picture, or the index in the movie."""
    found = {}
    for frame in frames:
        scene.frame_set(frame)
        try:
            photo = footage.photo_of(source, scene)
        except MediaError:
            continue
        found[frame] = photo.path if photo.frame is None else photo.frame
    return found


def together(found: moving.Footage) -> dict[int, Path | int]:
    """The same of footage, as a sequence of it is placed."""
    indices = range(found.start, found.end + 1)
    at = {round(found.first_frame + found.step * (index - found.start)): index for index in indices}
    if len(found.paths) == 1:
        return at
    return {frame: Path(found.paths[index]) for frame, index in at.items()}


CUT = {"frame_offset_start": 5, "frame_offset_end": 6}
EDITS = {
    "as it is": {},
    "cut": CUT,
    "trimmed and cut": CUT | {"animation_offset_start": 3, "animation_offset_end": 2},
    "moved": {"frame_start": 3.0},
}


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("kind", ["movie", "pictures"])
def test_a_strip(kind: str, edit: str, scene: bpy.types.Scene, media: Media) -> None:
    strip = movie_strip(scene, media.movie, 10) if kind == "movie" else image_strip(scene, media.pictures, 10)
    for name, value in EDITS[edit].items():
        setattr(strip, name, value)
    found = moving.footage_of(strip, scene)
    assert together(found) == one_by_one(strip, scene, range(1, 40))
    assert found.name == ("shot.v2" if kind == "movie" else "img")
    assert found.rate == (0 if kind == "movie" else RATE)


def test_what_is_held_at_the_ends_is_left_out(scene: bpy.types.Scene, media: Media) -> None:
    strip = image_strip(scene, media.pictures[:5], 10)
    strip.frame_offset_start, strip.frame_offset_end = -4, -6
    assert together(moving.footage_of(strip, scene)) == dict(zip(range(10, 15), media.pictures[:5], strict=True))


def test_a_movie_at_another_rate_of_the_scene(media: Media) -> None:
    scene = bpy.context.scene
    plain(scene, 12.0)
    strip = movie_strip(scene, media.movie, 10)
    found = moving.footage_of(strip, scene)
    told = one_by_one(strip, scene, range(1, 40))
    assert (found.start, found.end) == (min(told.values()), max(told.values()))
    assert found.first_frame == min(told)


@pytest.mark.parametrize("start, offset", [(1, 0), (10, 7), (5, -3)])
@pytest.mark.parametrize("kind", ["movie", "pictures"])
def test_a_clip(kind: str, start: int, offset: int, scene: bpy.types.Scene, media: Media) -> None:
    clip = bpy.data.movieclips.load(str(media.movie if kind == "movie" else media.pictures[5]))
    clip.frame_start, clip.frame_offset = start, offset
    found = moving.footage_of(clip, scene)
    shown = one_by_one(clip, scene, range(start, 40))
    if kind == "pictures":  # those before the first one, which the offset brings in, belong to the clip too
        shown = {frame: path for frame, path in shown.items() if path in map(Path, found.paths)}
        shown = {frame: path for frame, path in shown.items() if frame >= start - min(offset, 0)}
    assert together(found) == shown
    assert found.name == ("shot.v2" if kind == "movie" else "img")


def test_a_part_stays_where_it_is_shown(scene: bpy.types.Scene, media: Media) -> None:
    strip = movie_strip(scene, media.movie, 10)
    part = moving.footage_of(strip, scene).cut(5, 8)
    assert together(part) == {15: 5, 16: 6, 17: 7, 18: 8}
    alone = moving.footage_of(media.movie, scene).cut(5, 8)
    assert (alone.first_frame, alone.start, alone.end) == (scene.frame_start, 5, 8)
    for start, end in ((8, 5), (-1, None)):
        with pytest.raises(MediaError, match="has no frames from"):
            alone.cut(start, end)


def test_files(scene: bpy.types.Scene, media: Media, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.frame_start = 101
    folder = media.movie.parent / "plates"
    for given, name, rate in (
        (media.movie, "shot.v2", 0), (str(folder), "plates", RATE), (media.pictures[3], "img", RATE),
    ):  # fmt: skip
        found = moving.footage_of(given, scene)
        assert (found.name, found.paths, found.rate) == (name, (str(given),), rate)
        assert (found.start, found.end, found.first_frame) == (0, None, 101)
        assert moving.known_by(given) == (name, str(given))
    chosen = [media.pictures[4], media.pictures[1], folder / "gone.png", media.pictures[2]]
    found = moving.footage_of(chosen, scene)
    assert found.paths == (str(chosen[0]), str(chosen[1]), "", str(chosen[3])) and found.end == 3
    with pytest.raises(MediaError, match="There is no movie or folder"):
        moving.footage_of(folder / "gone.mp4", scene)


def test_the_rate_of_a_movie_is_looked_up_and_nothing_stays(media: Media, tmp_path: Path) -> None:
    (tmp_path / "junk.mp4").write_bytes(b"junk" * 500)
    assert moving.probe(str(media.movie)) == (RATE, COUNT)
    for path in (media.pictures[0], media.pictures[0].parent, tmp_path / "junk.mp4", tmp_path / "gone.mp4", ""):
        assert moving.probe(str(path)) == (0, 0)
    assert not bpy.data.movieclips


def test_strips_that_show_something_else_are_refused(scene: bpy.types.Scene, media: Media) -> None:
    strip = movie_strip(scene, media.movie, 1)
    for name, value, told in (
        ("use_reverse_frames", True, "Turn Reverse Frames off"), ("strobe", 2.0, "Turn Strobe off"),
        ("mute", True, "is muted"), ("use_flip_x", True, "is mirrored"),
    ):  # fmt: skip
        before = getattr(strip, name)
        setattr(strip, name, value)
        with pytest.raises(MediaError, match=told):
            moving.footage_of(strip, scene)
        setattr(strip, name, before)
    assert moving.footage_of(strip, scene)


def test_one_picture_is_no_sequence(scene: bpy.types.Scene, media: Media) -> None:
    strip = image_strip(scene, media.pictures[:1], 1)
    strip.frame_offset_end = -20
    with pytest.raises(MediaError, match="one picture only"):
        moving.footage_of(strip, scene)


def test_what_cannot_be_read_is_refused(scene: bpy.types.Scene, tmp_path: Path) -> None:
    for name in ("a_1.exr", "a_2.exr"):
        (tmp_path / name).write_bytes(b"v/1\x01")
    with pytest.raises(MediaError, match=r"has \.exr files.*PNG or JPEG"):
        moving.footage_of([tmp_path / "a_1.exr", tmp_path / "a_2.exr"], scene)
    with pytest.raises(MediaError, match="has no file"):
        moving.footage_of([tmp_path / "gone.png"], scene)
