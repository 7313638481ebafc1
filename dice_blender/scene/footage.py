# SPDX-License-Identifier: GPL-3.0-or-later
"""Moving pictures: which file, and which frame of it, a movie clip or a strip of the Video Sequencer shows. All of its
frames: moving.py."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import bpy

from ...dice_core.errors import MediaError
from ...dice_core.media import KINDS
from .. import compat
from . import photo
from .photo import Photo
from .timing import rate_of

Source = str | Path | tuple[str | Path, int] | bpy.types.Image | bpy.types.MovieClip | compat.Strip | Photo
FIND = "Find it with File > External Data > Find Missing Files."


def photo_of(source: Source, scene: bpy.types.Scene) -> Photo:
    """The photograph in anything that can be captured: a picture file, a movie file and the index of a frame, an
    image, a movie clip at the scene's current frame, a strip at the playhead of its own scene.

    Raises
    ------
    MediaError
        When there is none: see `from_path`, `from_image`, `from_clip`, `from_strip`.
    """
    if isinstance(source, Photo):
        return source
    if isinstance(source, bpy.types.Image):
        return photo.from_image(source)
    if isinstance(source, bpy.types.MovieClip):
        return from_clip(source, scene.frame_current)
    if isinstance(source, compat.Strip):
        return from_strip(source)
    path, index = source if isinstance(source, tuple) else (source, None)
    picture = photo.from_path(path)
    return picture if Path(path).suffix.lower() in KINDS else replace(picture, frame=index)


def from_clip(clip: bpy.types.MovieClip, scene_frame: int) -> Photo:
    """What a movie clip shows at a frame of the scene, from the full file, whatever proxy is used.

    Raises
    ------
    MediaError
        When its file is missing or broken, or the clip shows nothing there.
    """
    path = Path(bpy.path.abspath(clip.filepath, library=clip.library))
    index = scene_frame - clip.frame_start + clip.frame_offset
    if clip.source == "SEQUENCE":
        return _still(numbered(path, index), clip.name)
    check_movie(clip, path)
    if not 0 <= index < clip.frame_duration:
        raise MediaError(f"{clip.name} shows nothing at frame {scene_frame}.", "Go to a frame that it shows.")
    return Photo(path.name, path, frame=index)


def from_strip(strip: compat.Strip) -> Photo:
    """What an image or movie strip shows at the playhead of its scene, from the full file: without the strip's crop,
    transform and colours, whatever proxy is used.

    Raises
    ------
    MediaError
        See `trouble`; and when its file is missing, or its speed was changed by retiming.
    """
    if error := trouble(strip):
        raise error
    scene = strip.id_data
    if strip.type == "IMAGE":
        folder = Path(bpy.path.abspath(strip.directory, library=scene.library))
        return _still(folder / strip.strip_elem_from_frame(scene.frame_current).filename, strip.name)
    path = Path(bpy.path.abspath(strip.filepath, library=scene.library))
    check_file(path, strip.name)
    return Photo(path.name, path, frame=index_at(strip, path, scene.frame_current))


def trouble(strip: compat.Strip) -> MediaError | None:
    """Why a strip cannot be captured as it is and where the playhead is; None when it can. Opens no file."""
    if error := unfit(strip):
        return error
    start, end = compat.times(strip).handles
    if not start <= strip.id_data.frame_current < end:
        return MediaError(f"The playhead is not on {strip.name}.", f"Move it to a frame from {start} to {end - 1}.")
    return None


def unfit(strip: compat.Strip) -> MediaError | None:
    """Why a strip cannot be captured as it is, wherever the playhead is; None when it can. Opens no file."""
    if strip.type not in ("IMAGE", "MOVIE"):
        return MediaError(f"{strip.name} is not a movie or image strip.", "Select one.")
    if strip.mute or strip.id_data.sequence_editor.channels[strip.channel].mute:
        return MediaError(f"{strip.name} is muted.", "Unmute it or its channel, or select another strip.")
    if strip.use_flip_x or strip.use_flip_y:
        return MediaError(f"{strip.name} is mirrored.", "Turn Mirror off: left and right would be exchanged.")
    return None


def index_at(strip: compat.Strip, path: Path, frame: int) -> int:
    """Which frame of its movie a strip shows at a frame of its scene, as Blender counts."""
    (first, end), _, (trimmed, _) = compat.times(strip)
    rate, count = speed(strip, path)
    place = max(end - 1 - frame if strip.use_reverse_frames else frame - first, 0) * rate
    place = min(place, count - 1)
    if strip.strobe > 1:
        place -= math.fmod(place, strip.strobe)
    return math.floor(place + 0.5) + trimmed


def speed(strip: compat.Strip, path: Path) -> tuple[float, int]:
    """Frames of the movie a frame of the scene, and how many the strip has. Blender adjusts the playback rate of a
    movie to the scene's, or not, and does not say which: its length does."""
    (first, end), _, trimmed = compat.times(strip)
    adjusted = strip.fps / rate_of(strip.id_data)
    retimed = len(strip.retiming_keys)
    if not retimed and abs(adjusted - 1) < 1e-6 or adjusted <= 0:
        return 1.0, round(end - first)
    count = _duration(path) - sum(trimmed)
    for rate in (adjusted, 1.0):
        if retimed <= 2 and abs(count / rate - (end - first)) <= 1:
            return rate, count
    raise MediaError(f"The speed of {strip.name} was changed.", "Capture its movie in the Movie Clip Editor instead.")


def _duration(path: Path) -> int:
    """Frames of a movie, as Blender counts them."""
    image = bpy.data.images.load(str(path))
    try:
        return image.frame_duration
    finally:
        bpy.data.images.remove(image)


def numbered(path: Path, step: int) -> Path:
    """The picture of a sequence so many after the one at `path`: the last number in the name counts."""
    match = re.fullmatch(r"(.*?)(\d+)(\D*)", path.stem)
    if match is None:
        return path
    head, number, tail = match.groups()
    return path.with_name(f"{head}{max(int(number) + step, 0):0{len(number)}}{tail}{path.suffix}")


def _still(path: Path, owner: str) -> Photo:
    """A picture of a sequence: its file, or its pixels when the runtime does not read such files."""
    check_file(path, owner)
    if path.suffix.lower() in KINDS:
        return Photo(path.name, path)
    image = photo.load(path)
    try:
        return photo.from_image(image)
    finally:
        bpy.data.images.remove(image)


def check_movie(clip: bpy.types.MovieClip, path: Path) -> None:
    """Raises `MediaError` when the movie of a clip is missing or Blender cannot read it."""
    check_file(path, clip.name)
    if clip.frame_duration < 1:
        raise MediaError(f"The movie {path.name} of {clip.name} cannot be read.", "Reload the clip, or convert it.")


def check_file(path: Path, owner: str) -> None:
    """Raises `MediaError` when the file of a clip or strip is missing."""
    if not path.is_file():
        raise MediaError(f"{owner} has no file {path} here.", FIND)
