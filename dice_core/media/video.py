# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames of a movie, exactly the ones that were named, whatever the container says about where they are."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # our errors say it in words

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import MediaError
from ..types import Frame
from .decode import JPEG_QUALITY, WORKING_SIDE

SLACK = 0.001  # seconds by which containers that count in milliseconds are off
NEAR = 64  # frames from the beginning that are decoded one after another
LEAD = 16  # frames before the one that is sought, to begin with
BROKEN = 1000  # packets in a row that cannot be decoded: nothing comes any more
PAUSE = 3600  # seconds: no frame is shown for longer, its time is wrong
FORMATS = "MP4, MOV, MKV, WebM or AVI"


@dataclass(frozen=True)
class Shown:
    """A decoded frame, and for how long it is shown.

    Attributes
    ----------
    pixels
        (h, w, 3) uint8 BGR, upright; None where `walk` was told that it does not matter.
    place
        Its time in frames of the movie's rate.
    last
        The last number, counted at the movie's rate, under which it is shown.
    broken
        Whether something that cannot be decoded comes after it.
    final
        Whether nothing can be decoded after it.
    """

    pixels: NDArray[np.uint8] | None
    place: float
    last: int
    broken: bool = False
    final: bool = False


def read_frame(path: Path, index: int) -> Frame:
    """The frame of a movie that is shown `index` frames after its beginning, at the movie's own rate.

    That is how Blender counts: of a movie whose rate varies, one that lasts long has several numbers, and so has the
    one before frames that are broken. The frame is upright as the container says; `picture` is all of it.

    Raises
    ------
    MediaError
        When there is no such file or frame, it is no movie, or it is broken from there on.
    """
    if index < 0:
        raise MediaError(f"{path.name} has no frame {index}.", "Count from 0.")
    movie = open_movie(path)
    count = told(movie)
    found = None
    if index > NEAR and count > 0:
        movie.set(cv2.CAP_PROP_POS_FRAMES, min(index, count) - LEAD)
        found = _sought(movie, index)
        if found and not (abs(found.place - index) < 0.5 or (found.final and found.place > count - 2)):
            found = None  # the container cannot seek, or its rate varies
    found = found or _sought(open_movie(path), index)
    if found is None or found.pixels is None:
        raise nothing(path.name)
    if found.last < index:
        raise refusal(path.name, index, found.last, count)
    _, jpeg = cv2.imencode(".jpg", found.pixels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return replace(to_frame(found.pixels, path.name), index=index, picture=jpeg.tobytes())


def open_movie(path: Path) -> cv2.VideoCapture:
    """At its first frame. Raises MediaError."""
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise MediaError(f"{path} is not a file.", f"Choose a movie: {FORMATS}.")  # a pipe would be waited for
        with open(path, "rb"):
            pass
    except IsADirectoryError as error:
        raise MediaError(f"{path} is a folder.", "Choose a movie in it.") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MediaError(f"There is no movie {path}.", "Check the path.") from error
    except OSError as error:
        raise MediaError(f"{path} may not be read.", "Change the file's permissions or copy it.") from error
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)  # as well: no warnings
    movie = cv2.VideoCapture(str(path.absolute()), cv2.CAP_FFMPEG)
    if not movie.isOpened() or not movie.get(cv2.CAP_PROP_FPS) > 0:
        raise MediaError(f"{path.name} is not a movie that can be read.", f"Use a whole {FORMATS}.")
    return movie


def told(movie: cv2.VideoCapture) -> int:
    """How many frames the container says that there are, at the movie's rate; not above 0 when it does not say."""
    return round(movie.get(cv2.CAP_PROP_FRAME_COUNT))


def limit(rate: float, count: int) -> float:
    """Up to which place times are believed: that of a broken packet may be years away."""
    return count + rate if count > 0 else math.inf


def grab(movie: cv2.VideoCapture) -> int:
    """Decode the next frame; how many packets before it are broken, BROKEN at the end."""
    return next((number for number in range(BROKEN) if movie.grab()), BROKEN)


def walk(movie: cv2.VideoCapture, since: float = 0) -> Iterator[Shown]:
    """Decode onwards. Frames that begin before `since`, in frames of the movie's rate, come without their pixels."""
    rate = movie.get(cv2.CAP_PROP_FPS)
    end = limit(rate, told(movie))
    found, before = None, -1.0
    while (broken := grab(movie)) < BROKEN:
        place = movie.get(cv2.CAP_PROP_POS_MSEC) / 1000 * rate
        lost = place <= before or place > end or (found is not None and place > before + PAUSE * rate)
        before = place = before + 1 if lost else place  # the last ones of some have no time
        read, pixels = movie.retrieve() if place >= since else (True, None)
        if not read:
            continue
        if found is not None:
            yield replace(found, last=math.ceil(place - SLACK * rate) - 1, broken=broken > 0)
        image = None if pixels is None else np.asarray(pixels, np.uint8)
        found = Shown(image, place, last=math.floor(place + 0.5))
    if found is not None:
        yield replace(found, final=True)


def to_frame(pixels: NDArray[np.uint8], source: str) -> Frame:
    """A frame from (h, w, 3) uint8 BGR pixels: of bounded size, without `picture`."""
    height, width = pixels.shape[:2]
    reduction = WORKING_SIDE / max(height, width)
    if reduction < 1:
        size = max(round(width * reduction), 1), max(round(height * reduction), 1)
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    return Frame(np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8), (width, height), source)


def nothing(name: str) -> MediaError:
    """What to say when no frame can be decoded."""
    return MediaError(f"No frame of {name} can be read.", "Convert it to an MP4 (H.264), or export it again.")


def refusal(name: str, index: int, last: int, count: int) -> MediaError:
    """What to say when the last frame that can be decoded is before the one that is sought."""
    if index < count:
        return MediaError(f"{name} is broken after frame {last}.", "Copy or export it again, or choose a frame before.")
    return MediaError(f"{name} has no frame {index}: the last one is {last}, the first 0.", "Choose one between.")


def _sought(movie: cv2.VideoCapture, index: int) -> Shown | None:
    """Decode onwards to the frame that is shown under that number, or the last one; None when there is none."""
    found = None
    for found in walk(movie):
        if found.last >= index:
            break
    return found
