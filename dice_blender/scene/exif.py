# SPDX-License-Identifier: GPL-3.0-or-later
"""The orientation that cameras note in a picture. Blender shows the pixels as they lie, so we turn them ourselves."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path

from numpy.typing import NDArray

ORIENTATION = 0x0112
PREFIX = b"Exif\0\0"
TRANSPOSED = (5, 6, 7, 8)  # the orientations that exchange width and height
TIFF = (b"II*\0", b"MM\0*")


def orientation(path: Path) -> int:
    """EXIF orientation 1..8 of a JPEG, PNG, WebP or TIFF file; 1 when it says nothing or cannot be read."""
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _from_tiff(data, next(_tiff_starts(data), None))
    except (OSError, struct.error, IndexError, ValueError):  # forbidden, cut short, or empty
        return 1


def upright(pixels: NDArray, turn: int) -> NDArray:
    """The (h, w, ...) pixels of a picture with EXIF orientation `turn`, as it should be seen."""
    if turn in TRANSPOSED:
        pixels = pixels.swapaxes(0, 1)
    if turn in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if turn in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def placed(x: float, y: float, size: tuple[int, int], turn: int, back: bool = False) -> tuple[float, float]:
    """Where a point of the stored picture lies upright, or `back`; pixels from the top-left corner.

    Parameters
    ----------
    size
        Width and height of the stored picture.
    turn
        Its EXIF orientation.
    """
    width, height = size
    if not back:
        x, y = (y, x) if turn in TRANSPOSED else (x, y)
    wide, high = (height, width) if turn in TRANSPOSED else (width, height)
    x, y = (wide - x if turn in (2, 3, 6, 7) else x), (high - y if turn in (3, 4, 7, 8) else y)
    return (y, x) if back and turn in TRANSPOSED else (x, y)


def _tiff_starts(data: mmap.mmap) -> Iterator[int]:
    """Where in the file the TIFF structure with the tags begins."""
    if data[:4] in TIFF:
        yield 0
    elif data[:2] == b"\xff\xd8":
        yield from (start + len(PREFIX) for start in _jpeg_segments(data, 0xE1) if data[start : start + 6] == PREFIX)
    elif data[:4] == b"\x89PNG":
        yield from _png_chunks(data, b"eXIf")
    elif data[8:12] == b"WEBP":
        for start in _webp_chunks(data, b"EXIF"):
            yield start + len(PREFIX) * (data[start : start + 6] == PREFIX)


def _jpeg_segments(data: mmap.mmap, kind: int) -> Iterator[int]:
    start = 2
    while data[start] == 0xFF and data[start + 1] not in (0xDA, 0xD9):
        if data[start + 1] == kind:
            yield start + 4
        start += 2 + struct.unpack_from(">H", data, start + 2)[0]


def _png_chunks(data: mmap.mmap, kind: bytes) -> Iterator[int]:
    start = 8
    while start < len(data):
        length, name = struct.unpack_from(">I4s", data, start)
        if name == kind:
            yield start + 8
        start += 8 + length + 4  # a checksum follows


def _webp_chunks(data: mmap.mmap, kind: bytes) -> Iterator[int]:
    start = 12
    while start < len(data):
        name, length = struct.unpack_from("<4sI", data, start)
        if name == kind:
            yield start + 8
        start += 8 + length + length % 2


def _from_tiff(data: mmap.mmap, start: int | None) -> int:
    if start is None or data[start : start + 4] not in TIFF:
        return 1
    order = "<" if data[start : start + 2] == b"II" else ">"
    directory = start + struct.unpack_from(order + "I", data, start + 4)[0]
    (count,) = struct.unpack_from(order + "H", data, directory)
    for entry in range(directory + 2, directory + 2 + 12 * count, 12):
        tag, _, _, value = struct.unpack_from(order + "HHIH", data, entry)
        if tag == ORIENTATION:
            return value if 1 <= value <= 8 else 1
    return 1
