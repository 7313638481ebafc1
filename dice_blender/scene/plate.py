# SPDX-License-Identifier: GPL-3.0-or-later
"""The moving pictures that a sequence was captured from, behind its cameras."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import bpy
import numpy as np

from ...dice_core.media import KINDS
from ...dice_core.result.sequence_info import Info
from . import curves, naming
from .cache_mesh import stored_path
from .footage import numbered
from .timing import Timing

NUMBER = re.compile(r"(\d+)(?=\D*$)")  # of a picture in a series: the last one in its name


def load_clip(info: Info, timing: Timing) -> bpy.types.MovieClip | None:
    """A movie clip that shows each frame when the sequence does; None when the files are not there any more, are not
    numbered one by one, or show something of another shape."""
    found = _file(info.paths)
    if found is None:
        return None
    path, offset = found
    try:
        clip = bpy.data.movieclips.load(str(path))
    except RuntimeError:
        return None
    width, height = clip.size
    if not (width and height) or abs(width / height - info.image_size[0] / info.image_size[1]) > 2 / min(width, height):
        bpy.data.movieclips.remove(clip)
        return None
    clip[naming.OURS] = True
    clip.filepath = stored_path(path)
    show(clip, info.start - offset, timing)
    return clip


def show(clip: bpy.types.MovieClip, start: int, timing: Timing) -> None:
    """Show the clip's frame `start` where the sequence begins; at another speed, the nearest frame all along."""
    clip.frame_start = round(timing.first)
    clip.frame_offset = start
    if timing.speed != 1 or timing.first != clip.frame_start:
        frames = np.arange(clip.frame_start, timing.last + 1)
        wanted = np.array([timing.position(frame) for frame in frames.tolist()])
        offsets = start + wanted - (frames - clip.frame_start)
        curves.steps(clip, curves.Property("frame_offset"), frames.astype(float), offsets.astype(float))


def picture_of(info: Info, k: int) -> Path | None:
    """The picture file of a frame; None of movies, and when it is not there any more."""
    found = _file(info.paths)
    if found is None or found[0].suffix.lower() not in KINDS:
        return None
    path = Path(info.paths[info.start + k]) if len(info.paths) > 1 else numbered(found[0], info.start + k)
    return path if path.is_file() else None


def _file(paths: tuple[str, ...]) -> tuple[Path, int] | None:
    """The movie or the first picture, and the index of what that shows."""
    files = [(Path(path), index) for index, path in enumerate(paths) if path]
    if not files:
        return None
    (first, index), (last, end) = files[0], files[-1]
    if len(paths) > 1:
        return (first, index) if first.is_file() and numbered(first, end - index) == last else None
    if first.is_dir() or first.suffix.lower() in KINDS:
        picture = _first_of_series(first)
        return (picture, 0) if picture else None
    return (first, 0) if first.is_file() else None


def _first_of_series(path: Path) -> Path | None:
    """The picture with the lowest number: in the folder, or of those that are called like the picture."""
    series = defaultdict(list)
    folder = path if path.is_dir() else path.parent
    for one in folder.iterdir() if folder.is_dir() else ():
        if one.suffix.lower() in KINDS and NUMBER.search(one.stem):
            series[_pattern(one)].append(one)
    chosen = max(series.values(), key=len, default=[]) if path.is_dir() else series.get(_pattern(path), [])
    return min(chosen, key=lambda one: int(NUMBER.search(one.stem)[1]), default=None)


def _pattern(path: Path) -> tuple[str, str]:
    """What the names of a series have in common."""
    return NUMBER.sub("#", path.stem), path.suffix.lower()
