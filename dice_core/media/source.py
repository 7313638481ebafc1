# SPDX-License-Identifier: GPL-3.0-or-later
"""Moving pictures, whatever they are: a movie, a folder, a numbered series, a list of pictures."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from queue import Queue
from typing import TypeAlias

from ..errors import MediaError
from ..types import Frame
from . import KINDS
from .base import Gap, Source
from .movie import Movie
from .pictures import Pictures, folder, series

PICTURE_RATE = 24.0  # Blender's
Item: TypeAlias = "Frame | Gap | BaseException | None"  # None: there are no more


def open_source(paths: Sequence[str | Path], rate: float = 0.0) -> Source:
    """Moving pictures to read.

    Parameters
    ----------
    paths
        One movie, one folder of pictures or one picture of a numbered series; or several pictures in order, an empty
        one being a gap.
    rate
        Frames a second of pictures, 24 when it is 0. A movie has its own.

    Raises
    ------
    MediaError
        When there is nothing that can be read.
    """
    if not 0 <= rate < math.inf:
        raise MediaError(f"{rate} frames a second are impossible.", "Choose a rate above 0.")
    rate = rate or PICTURE_RATE
    files = [Path(path) if str(path) else None for path in paths]
    named = [path for path in files if path]
    if not named:
        raise MediaError("There is nothing to capture.", "Choose a movie, a folder of pictures or pictures.")
    if len(files) > 1:
        for path in named:
            if path.suffix.lower() not in KINDS:
                raise MediaError(f"{path.name} is no picture.", "Choose one movie, or pictures only.")
        return Pictures(named[0].name, files, rate)
    if not is_pictures(paths):
        return Movie(named[0])
    return folder(named[0], rate) if os.path.isdir(named[0]) else series(named[0], rate)


def is_pictures(paths: Sequence[str | Path]) -> bool:
    """Whether what `open_source` takes are pictures, which have no rate of their own."""
    return len(paths) > 1 or os.path.isdir(paths[0]) or Path(paths[0]).suffix.lower() in KINDS


def ahead(frames: Iterator[Frame | Gap], depth: int = 8) -> Iterator[Frame | Gap]:
    """The same, read in a thread of its own, up to `depth` items before they are asked for.

    What goes wrong there is raised here. The thread ends with this iterator: exhausted, closed or forgotten.
    """
    queue: Queue[Item] = Queue(max(depth, 1))
    stop = threading.Event()
    thread = threading.Thread(target=_fill, args=(queue, frames, stop), name="decoding ahead", daemon=True)
    thread.start()
    try:
        while (item := queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        while not queue.empty():  # it may wait for a place
            queue.get()
        thread.join()


def _fill(queue: Queue[Item], frames: Iterator[Frame | Gap], stop: threading.Event) -> None:
    end: BaseException | None = None
    try:
        for item in frames:
            queue.put(item)
            if stop.is_set():
                break
    except BaseException as error:  # whoever reads must not wait for ever
        end = error
    if close := getattr(frames, "close", None):
        close()  # its movie with it
    if not stop.is_set():
        queue.put(end)
