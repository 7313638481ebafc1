# SPDX-License-Identifier: GPL-3.0-or-later
"""Movies and pictures that carry their own number, and files that are no movies."""

from __future__ import annotations

import struct
import wave
from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from dice_core.media.base import Gap, Source
from dice_core.types import Frame

SIZE = (320, 192)
BITS, WIDE = 8, 36  # a column of pixels a bit
RATE = 25.0
ALL = range(104)
# MJPEG can be cut everywhere. MPEG-2 has frames that depend on later ones (B), and OpenCV misses the first ones of a
# transport stream once it has looked elsewhere. A bare stream of JPEGs cannot be searched at all.
MOVIES = {"avi": ("MJPG", RATE), "mov": ("mjpg", 24.0), "mp4": ("mp4v", 30000 / 1001), "mkv": ("mpg2", RATE),
          "mpg": ("mpg2", 30.0), "ts": ("mpg2", RATE), "mjpeg": ("MJPG", RATE), "webm": ("VP80", 24.0)}  # fmt: skip
# Quarter turns of a picture, as NumPy counts them, and how phones write them into the track's header.
TURNS = {-1: (0, 1, -1, 0), 1: (0, -1, 1, 0), 2: (-1, 0, 0, -1)}


def drawn(number: int) -> NDArray[np.uint8]:
    """(h, w, 3) uint8 BGR; black and white columns are its binary digits."""
    image = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
    for bit in range(BITS):
        image[32:-32, 16 + WIDE * bit : 16 + WIDE * (bit + 1)] = 230 if number >> bit & 1 else 20
    return image


def number(frame: Frame) -> int:
    """The number that is drawn on it."""
    row = frame.pixels[SIZE[1] // 2].mean(1)
    return sum(1 << bit for bit in range(BITS) if row[16 + WIDE * bit + WIDE // 2] > 128)


def numbers(source: Source, start: int = 0, end: int | None = None) -> list[int | None]:
    """The number that is drawn on each frame, None for a gap. The indices are looked at."""
    items = list(source.frames(start, end))
    assert [item.index for item in items] == list(range(start, start + len(items)))
    return [None if isinstance(item, Gap) else number(item) for item in items]


def write(path: Path, codec: str, rate: float, numbers: Iterable[int] = ALL) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*codec), rate, SIZE)
    assert writer.isOpened()
    for one in numbers:
        writer.write(drawn(one))
    writer.release()
    return path


def pack(path: Path, codec: str, pictures: Iterable[NDArray], times: Sequence[int] = (), kind: str = ".jpg") -> Path:
    """Picture files as the frames of a movie, at `times` in frames of RATE."""
    raw = [cv2.VIDEOWRITER_PROP_RAW_VIDEO, 1]
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*codec), RATE, SIZE, raw)
    assert writer.isOpened()
    for index, picture in enumerate(pictures):
        if times:
            writer.set(cv2.VIDEOWRITER_PROP_PTS, times[index])
        writer.write(cv2.imencode(kind, picture)[1])
    writer.release()
    return path


def write_lasting(path: Path, lasting: Sequence[int]) -> tuple[Path, list[int]]:
    """A movie whose frame i lasts so many frames of RATE, and what is shown: the number of each."""
    starts = [sum(lasting[:index]) for index in range(len(lasting))]
    pack(path, "MJPG", map(drawn, range(len(lasting))), starts)
    return path, [one for one, frames in enumerate(lasting) for _ in range(frames)]


def turn(path: Path, turns: int, output: Path) -> Path:
    """The same MP4, to be shown turned (ISO/IEC 14496-12, 8.3.2: a matrix for row vectors)."""
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 44
    a, b, c, d = (round(65536 * value) for value in TURNS[turns])
    data[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    output.write_bytes(data)
    return output


def paint(folder: Path, *names: str, size: tuple[int, int] = SIZE) -> None:
    """Pictures that show their place in the list."""
    folder.mkdir(exist_ok=True, parents=True)
    for index, name in enumerate(names):
        _, data = cv2.imencode(Path(name).suffix, cv2.resize(drawn(index), size))
        (folder / name).write_bytes(data.tobytes())


NO_MOVIES = ["text", "empty file", "no index", "zero frames", "sound", "missing", "below a file"]


def no_movie(folder: Path, case: str) -> tuple[Path, str]:
    """One of NO_MOVIES, and what is said about it."""
    path, said = folder / "a.mp4", "a.mp4 is not a movie that can be read"
    if case == "text":
        path.write_text("no movie " * 500)
    elif case == "empty file":
        path.write_bytes(b"")
    elif case == "no index":
        path.write_bytes(write(path, "mp4v", RATE).read_bytes()[:-2000])  # it is at the end
    elif case == "zero frames":
        path, said = write(folder / "a.avi", "MJPG", RATE, ()), "No frame of a.avi can be read"
    elif case == "sound":
        with wave.open(str(path), "wb") as sound:
            sound.setparams((1, 2, 8000, 0, "NONE", ""))
            sound.writeframes(bytes(16000))
    elif case == "missing":
        said = "There is no movie .*a.mp4"
    elif case == "below a file":
        path.write_text("")
        path, said = path / "b.mp4", "There is no movie .*b.mp4"
    return path, said
