# SPDX-License-Identifier: GPL-3.0-or-later
"""One frame of a movie, exactly the one that was named, whatever the container says about where it is."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # our errors say it in words

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import MediaError
from ..types import Frame
from .decode import JPEG_QUALITY, from_array

SLACK = 0.001  # seconds by which containers that count in milliseconds are off
NEAR = 64  # frames from the beginning that are decoded one after another
LEAD = 16  # frames before the one that is sought, to begin with
FORMATS = "MP4, MOV, MKV, WebM or AVI"


@dataclass(frozen=True)
class _Found:
    """A decoded frame.

    Attributes
    ----------
    pixels
        (h, w, 3) uint8 BGR, upright.
    place
        Its time in frames of the movie's rate.
    last
        Whether nothing can be decoded after it.
    """

    pixels: NDArray[np.uint8]
    place: float
    last: bool


def read_frame(path: Path, index: int) -> Frame:
    """The frame of a movie that is shown `index` frames after its beginning, at the movie's own rate.

    That is how Blender counts: of a movie whose rate varies, one that lasts long has several numbers. The frame is
    upright as the container says; `picture` is all of it.

    Raises
    ------
    MediaError
        When there is no such file or frame, it is no movie, or it is broken there.
    """
    if index < 0:
        raise MediaError(f"{path.name} has no frame {index}.", "Count from 0.")
    movie = _open(path)
    rate, count = movie.get(cv2.CAP_PROP_FPS), round(movie.get(cv2.CAP_PROP_FRAME_COUNT))
    found = None
    if index > NEAR and count > 0:
        movie.set(cv2.CAP_PROP_POS_FRAMES, min(index, count) - LEAD)
        found = _walk(movie, index, rate)
        if found and not (abs(found.place - index) < 0.5 or (found.last and found.place > count - 2)):
            found = None  # the container cannot seek, or its rate varies
    if found is None:
        found = _walk(_open(path), index, rate)
    if found is None:
        raise MediaError(f"No frame of {path.name} can be read.", "Convert it to an MP4, or export it again.")
    if found.last and index > found.place + 0.5:
        _refuse(path.name, index, round(found.place), count)
    frame = from_array(np.ascontiguousarray(found.pixels[..., ::-1]), path.name)
    _, jpeg = cv2.imencode(".jpg", found.pixels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return replace(frame, index=index, picture=jpeg.tobytes())


def _open(path: Path) -> cv2.VideoCapture:
    try:
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


def _walk(movie: cv2.VideoCapture, index: int, rate: float) -> _Found | None:
    """Decode onwards to the last frame that begins no later than the one sought; None when it began before all."""
    found, before = None, -1.0
    while movie.grab():
        place = movie.get(cv2.CAP_PROP_POS_MSEC) / 1000 * rate
        before = place = place if place > before else before + 1  # the last ones of some have no time
        if found is not None and place > index + SLACK * rate:
            return found
        read, pixels = movie.retrieve()
        if read:
            found = _Found(np.asarray(pixels, np.uint8), place, last=False)
    return found and replace(found, last=True)


def _refuse(name: str, index: int, last: int, count: int) -> None:
    if index < count:
        raise MediaError(f"{name} is broken after frame {last}.", "Copy or export it again, or choose a frame before.")
    raise MediaError(f"{name} has no frame {index}: the last one is {last}, the first 0.", "Choose one between.")
