# SPDX-License-Identifier: GPL-3.0-or-later
"""The first look at all frames, chunk by chunk onto the disk, and glimpses of it for who waits."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from typing import Protocol, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import MediaError
from ..media.base import Gap, Source
from ..media.source import ahead
from ..result.smooth import OneEuro
from ..types import SIDES, Frame, Progress
from .folder import CHUNK, Arrays, Folder
from .steps import Eyes

LOOKING = "looking"
STATE = "state_"
EVERY = 0.5  # seconds between two glimpses
WIDTH = 320  # pixels of a glimpse
MIN_CUTOFF, BETA = 2.0, 0.02  # Hz, and Hz per pixel a second, of the landmarks in it
MARKS = slice(0, 468, 6)
FINGERS = [[0, *range(1 + 4 * finger, 5 + 4 * finger)] for finger in range(5)]
COLOURS = {"face": (255, 255, 255), "right": (255, 170, 60), "left": (90, 200, 255)}


class Glimpses(Protocol):
    """Told of the latest frame: its number of so many, frames a second, and now and then a small picture."""

    def __call__(self, frame: int, count: int, fps: float, picture: NDArray[np.uint8] | None) -> None: ...


def look_at_all(folder: Folder, source: Source, eyes: Eyes, report: Progress, share: float, glimpses: Glimpses | None
                ) -> int:  # fmt: skip
    """Look at what was not looked at yet; gives the number of frames."""
    facts = folder.facts
    first, last = facts["start"], facts["end"]
    total = max((source.count if last is None else min(last + 1, source.count)) - first, 1)
    position = next(start for start in range(0, 1 << 40, CHUNK) if not folder.has("seen", start))
    if position:
        before = folder.load("seen", position - CHUNK)
        eyes.restore({key.removeprefix(STATE): value for key, value in before.items() if key.startswith(STATE)})
        if len(before["face_seen"]) < CHUNK:  # the end was seen, but not noted
            return position - CHUNK + len(before["face_seen"])
    meter = _Meter(glimpses, total, source.rate)
    rows: list[Arrays] = []
    reading = cast("Generator[Frame | Gap]", ahead(_rest(source, first, position, last)))
    with closing(reading) as frames:
        shown, waited = None, 0  # the pixels looked at last, and frames since then
        for item in frames:
            waited += 1
            if isinstance(item, Gap):
                rows.append(eyes.blank() | {"gap": np.array(True)})
            elif item.pixels is shown:
                rows.append(dict(rows[-1]))
            else:
                rows.append(eyes.look(item, waited / source.rate) | {"gap": np.array(False)})
                shown, waited = item.pixels, 0
            position += 1
            report(LOOKING, share * min(position / total, 1))
            meter(position, item, rows[-1])
            if len(rows) == CHUNK:
                _save(folder, rows, eyes, source, position - CHUNK)
                rows, shown, waited = [], None, 0  # as it will be for who resumes here
    if rows:
        _save(folder, rows, eyes, source, position - len(rows))
    return position


def _rest(source: Source, first: int, done: int, last: int | None) -> Iterator[Frame | Gap]:
    """The frames after those that are done; none when those were all."""
    if last is not None and first + done > last:
        return
    try:
        yield from source.frames(first + done, last)
    except MediaError:
        source.check()
        if not done:
            raise


def _save(folder: Folder, rows: list[Arrays], eyes: Eyes, source: Source, start: int) -> None:
    source.check(folder.facts["source"])
    add_notes(folder, source.notes)
    seen = eyes.together(rows)
    folder.save("seen", seen | {f"{STATE}{key}": value for key, value in eyes.state().items()}, start)


def add_notes(folder: Folder, notes: Iterable[str]) -> None:
    """Sentences for the user, each once."""
    known = folder.facts["notes"]
    if new := [note for note in dict.fromkeys(notes) if note not in known]:
        folder.note(notes=[*known, *new])


def rows_of(folder: Folder, start: int) -> Arrays:
    """What was seen in a chunk, without the state that eyes go on from."""
    return {key: values for key, values in folder.load("seen", start).items() if not key.startswith(STATE)}


def unseen(name: str) -> MediaError:
    """The error of a source without frames."""
    return MediaError(f"No frame of {name} can be read.", "Convert it to an MP4, or export it again.")


class _Meter:
    """Counts frames a second, and draws glimpses."""

    def __init__(self, glimpses: Glimpses | None, total: int, rate: float) -> None:
        self.glimpses, self.total, self.rate = glimpses, total, rate
        self.filters: dict[str, OneEuro] = {}
        self.began = self.shown = time.perf_counter()
        self.count = 0

    def __call__(self, position: int, item: Frame | Gap, row: Arrays) -> None:
        self.count += 1
        if self.glimpses is None:
            return
        now = time.perf_counter()
        calm = self._calmed(position / self.rate, row)
        if now - self.shown < EVERY:
            return
        self.shown = now
        picture = None if isinstance(item, Gap) else glimpse(item, calm)
        self.glimpses(position, self.total, self.count / (now - self.began), picture)

    def _calmed(self, second: float, row: Arrays) -> Arrays:
        """The row with its landmarks filtered as they come: what is shown does not tremble."""
        calm = dict(row)
        for name in ("face", *SIDES):
            if not row.get(f"{name}_seen", False):
                self.filters.pop(name, None)
            elif f"{name}_points" in row:
                euro = self.filters.setdefault(name, OneEuro(MIN_CUTOFF, BETA))
                calm[f"{name}_points"] = euro(second, row[f"{name}_points"])
        return calm


def glimpse(frame: Frame, row: Arrays) -> NDArray[np.uint8]:
    """The frame made small, with what was seen in it: (h, WIDTH, 3) uint8 RGB."""
    width, height = frame.size
    size = (WIDTH, max(round(WIDTH * height / width), 1))
    small = cv2.resize(frame.pixels, size, interpolation=cv2.INTER_AREA)
    scale = WIDTH / width
    if row.get("face_seen", False):
        for x, y in np.round(row["face_points"][MARKS] * scale).astype(int):
            cv2.circle(small, (int(x), int(y)), 1, COLOURS["face"], -1, cv2.LINE_AA)
    for side in SIDES:
        if row.get(f"{side}_seen", False):
            points = np.round(row[f"{side}_points"] * scale).astype(np.int32)
            cv2.polylines(small, [points[finger] for finger in FINGERS], False, COLOURS[side], 2, cv2.LINE_AA)
    return small  # type: ignore[return-value]
