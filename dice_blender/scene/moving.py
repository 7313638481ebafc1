# SPDX-License-Identifier: GPL-3.0-or-later
"""What is captured as a sequence: a movie file, pictures, a movie clip or a strip, with the frames that it shows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import bpy

from ...dice_core.errors import MediaError
from ...dice_core.media import KINDS
from .. import compat
from .footage import FIND, check_file, check_movie, index_at, numbered, speed, unfit
from .timing import rate_of

Source = str | Path | Sequence[str | Path] | bpy.types.MovieClip | compat.Strip
NUMBER = re.compile(r"[\s._-]*\d+$")  # at the end of a picture's name
UNFIT = re.compile(r'[<>:"/\\|?*\x00-\x1f]')  # for names of folders, on some system
LONGEST = 60  # characters of a name: it becomes a folder's


@dataclass(frozen=True)
class Footage:
    """Moving pictures.

    Attributes
    ----------
    name
        What they are called: a movie's name without its extension.
    paths
        One movie, one folder of pictures or one picture of a numbered series; or all pictures in order, "" where one is
        missing.
    start, end
        The first frame and the last one, which belongs to it; the first of the source is 0. None: its own last one.
    rate
        Frames a second of pictures; 0 of a movie, which says it itself.
    first_frame
        Where in the scene `start` is shown.
    step
        Frames of the scene from one frame of the source to the next, where it is in the scene already; else 0.
    """

    name: str
    paths: tuple[str, ...]
    start: int = 0
    end: int | None = None
    rate: float = 0.0
    first_frame: int = 1
    step: float = 0.0

    def cut(self, start: int | None, end: int | None) -> Footage:
        """Other frames of the same; None leaves an end as it is. What is in the scene already stays in its place.

        Raises
        ------
        MediaError
            When no frame is left.
        """
        start, end = self.start if start is None else start, self.end if end is None else end
        if start < 0 or (end is not None and end < start):
            raise MediaError(f"{self.name} has no frames from {start} to {end}.", "Choose a range that has some.")
        first_frame = round(self.first_frame + self.step * (start - self.start))
        return replace(self, start=start, end=end, first_frame=first_frame)


def footage_of(source: Source, scene: bpy.types.Scene) -> Footage:
    """All frames that something shows: a movie file, a folder of pictures, one picture of a numbered series or several
    pictures in order; a movie clip; an image or movie strip. Files begin at the scene's first frame.

    Raises
    ------
    MediaError
        When a file is missing, or a strip does not show its frames one after another as they are.
    """
    if isinstance(source, bpy.types.MovieClip):
        return _of_clip(source, scene)
    if isinstance(source, compat.Strip):
        return _of_strip(source)
    if isinstance(source, str | Path):
        return _of_path(_first(source), scene)
    paths = [_absolute(path) for path in source]
    return replace(_pictures(paths, "The first picture"), rate=rate_of(scene), first_frame=scene.frame_start)


def known_by(source: Source) -> tuple[str, str]:
    """The name and the first path of its footage, quick enough for drawing; nothing is checked."""
    first = _first(source)
    return _called(first), str(first)


def is_pictures(path: str | Path) -> bool:
    """Whether a path leads to pictures, which have no rate of their own. Looks at no file but for a folder."""
    return Path(path).suffix.lower() in KINDS or Path(path).is_dir()


def probe(path: str) -> tuple[float, int]:
    """Frames a second and how many of a movie file, as Blender reads it; 0 of pictures and of what it cannot read."""
    file = _absolute(path)
    if not path or not file.is_file() or is_pictures(file):
        return 0.0, 0
    try:
        clip = bpy.data.movieclips.load(str(file))
    except RuntimeError:
        return 0.0, 0
    try:
        return clip.fps, clip.frame_duration
    finally:
        bpy.data.movieclips.remove(clip)


def _of_path(path: Path, scene: bpy.types.Scene) -> Footage:
    if not path.exists():
        raise MediaError(f"There is no movie or folder {path}.", "Choose one that exists.")
    rate = rate_of(scene) if is_pictures(path) else 0.0
    return Footage(_called(path), (str(path),), rate=rate, first_frame=scene.frame_start)


def _of_clip(clip: bpy.types.MovieClip, scene: bpy.types.Scene) -> Footage:
    path = _first(clip)
    start = max(clip.frame_offset, 0)
    if clip.source == "SEQUENCE":
        check_file(path, clip.name)
        found = _pictures([numbered(path, index) for index in range(max(clip.frame_duration, 1))], clip.name)
        found = replace(found, rate=rate_of(scene))
    else:
        check_movie(clip, path)
        found = Footage(_called(path), (str(path),))
    found = replace(found, first_frame=clip.frame_start - clip.frame_offset, step=1.0)
    return found.cut(start, clip.frame_duration - 1)


def _of_strip(strip: compat.Strip) -> Footage:
    if error := unfit(strip):
        raise error
    for edit, name in ((strip.use_reverse_frames, "Reverse Frames"), (strip.strobe > 1, "Strobe")):
        if edit:
            raise MediaError(f"{strip.name} does not show its frames in order.", f"Turn {name} off, or use its movie.")
    content, handles, (trimmed, _) = compat.times(strip)
    first, last = max(handles[0], round(content[0])), min(handles[1], round(content[1])) - 1  # held ones are no frames
    if strip.type == "MOVIE":
        path = _first(strip)
        check_file(path, strip.name)
        start, end = (index_at(strip, path, frame) for frame in (first, last))
        return Footage(_called(path), (str(path),), start, end, 0.0, first, 1 / speed(strip, path)[0])
    if last <= first:
        raise MediaError(f"{strip.name} shows one picture only.", "Capture it as a photograph.")
    names, start = [element.filename for element in strip.elements], first - round(content[0]) + trimmed
    end = start + last - first
    if names[start : end + 1] != [strip.strip_elem_from_frame(frame).filename for frame in range(first, last + 1)]:
        raise MediaError(f"The speed of {strip.name} was changed.", "Reset it, or use the folder of its pictures.")
    folder = _first(strip).parent
    found = _pictures([folder / name for name in names], strip.name)
    return replace(found, start=start, end=end, rate=rate_of(strip.id_data), first_frame=first, step=1.0)


def _pictures(paths: list[Path], owner: str) -> Footage:
    """Of these pictures; those that are missing are gaps."""
    kinds = {path.suffix.lower() for path in paths} - set(KINDS)
    if kinds:
        kind = kinds.pop() or "other"
        raise MediaError(f"{owner} has {kind} files, which cannot be captured.", "Convert them to PNG or JPEG.")
    found = [str(path) if path.is_file() else "" for path in paths]
    if not any(found):
        raise MediaError(f"{owner} has no file {paths[0] if paths else ''} here.", FIND)
    return Footage(_called(paths[0]), tuple(found), end=len(found) - 1)


def _first(source: Source) -> Path:
    """Its movie, folder or first picture."""
    if isinstance(source, bpy.types.MovieClip):
        return Path(bpy.path.abspath(source.filepath, library=source.library))
    if isinstance(source, compat.Strip):
        image = source.type == "IMAGE"
        path = Path(bpy.path.abspath(source.directory if image else source.filepath, library=source.id_data.library))
        return path / source.elements[0].filename if image else path
    return _absolute(source if isinstance(source, str | Path) else source[0])


def _called(path: Path) -> str:
    """The name of a movie, of a folder, or of what a series of pictures has before the number, as a folder can have."""
    name = path.name if path.is_dir() else path.stem
    if path.suffix.lower() in KINDS:
        name = NUMBER.sub("", name) or path.parent.name
    return UNFIT.sub("_", name)[:LONGEST].strip(". ") or "capture"


def _absolute(path: str | Path) -> Path:
    return Path(bpy.path.abspath(str(path))).absolute()
