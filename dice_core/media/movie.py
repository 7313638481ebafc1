# SPDX-License-Identifier: GPL-3.0-or-later
"""All frames of a movie, one after another."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2

from ..types import Frame
from .base import Gap, Source
from .video import BROKEN, LEAD, NEAR, Shown, grab, limit, nothing, open_movie, refusal, to_frame, told, walk


class Movie(Source):
    """A movie file, at its own rate. Index i is what `video.read_frame` gives; where frames are broken, the last good
    one is held.

    Raises
    ------
    MediaError
        When there is no such file, or none of its frames can be decoded.
    """

    def __init__(self, path: Path) -> None:
        movie = open_movie(path)
        first = next(walk(movie), None)
        if first is None or first.pixels is None:
            raise nothing(path.name)
        height, width = first.pixels.shape[:2]
        rate = movie.get(cv2.CAP_PROP_FPS)
        self._told = told(movie)
        super().__init__(path.name, [path], rate, _length(path, rate, self._told), (width, height))

    def _items(self, start: int, end: int | None) -> Iterator[Frame | Gap]:
        index, last, whole = start, -1, True
        for shown in self._from(start):
            last = shown.last
            if last < index or shown.pixels is None:
                continue
            frame = to_frame(shown.pixels, self.name)
            for number in range(index, last + 1 if end is None else min(last, end) + 1):
                yield replace(frame, index=number)
            index = last + 1
            if end is not None and index > end:
                return
            if shown.broken and whole:
                whole = False
                self._note(f"{self.name} is broken near frame {round(shown.place)}: the last good frame is held there.")
        self._end(start, last)

    def _from(self, start: int) -> Iterator[Shown]:
        """All that is shown; with pixels at least from the one that is shown at `start` on."""
        for since in (start - NEAR, -math.inf):  # the second when that one lasts long
            for shown in walk(open_movie(self.files[0]), since):
                if shown.pixels is None and shown.last >= start:
                    break
                yield shown
            else:
                return

    def _end(self, start: int, last: int) -> None:
        """Say so when there are fewer frames than there should be."""
        if last + 1 >= max(self.count - 1, self._told - self.rate / 2, start + 1):  # the first two are rough
            return
        self.check()
        if last < 0:
            raise nothing(self.name)
        if last < start:
            raise refusal(self.name, start, last, self._told)
        count = max(self.count, self._told)
        self._note(f"{self.name} ends after frame {last}, though it says that it has {count} frames.")


def _length(path: Path, rate: float, count: int) -> int:
    """How many frames there are at the movie's rate, from the times of its last packets, of which none is decoded.

    What containers say, `count`, is too much where the sound goes on or the file is cut, too little where the rate
    varies, or nothing.
    """
    packets = cv2.VideoCapture(str(path.absolute()), cv2.CAP_FFMPEG, [cv2.CAP_PROP_FORMAT, -1])
    sought = count > LEAD and packets.set(cv2.CAP_PROP_POS_FRAMES, count - LEAD)
    number, last = 0, -1.0
    while grab(packets) < BROKEN:
        number += 1
        place = packets.get(cv2.CAP_PROP_POS_MSEC) / 1000 * rate
        last = max(last, place if place <= limit(rate, count) else -1.0)
    if not number:
        return max(count, 1)
    length = max(math.floor(last + 0.5) + 1, 0 if sought else number)  # a bare stream has no times
    return length if length == count else length + 1  # in doubt: the last packet of some has none
