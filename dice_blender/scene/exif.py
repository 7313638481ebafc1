# SPDX-License-Identifier: GPL-3.0-or-later
"""The orientation that cameras note in a JPEG. Blender shows such files as they lie, so we turn them ourselves."""

from __future__ import annotations

import struct
from pathlib import Path

from numpy.typing import NDArray

ORIENTATION = 0x0112
HEADER_BYTES = 256 * 1024  # the EXIF segment comes first and holds at most 64 KiB


def orientation(path: Path) -> int:
    """EXIF orientation 1..8 of a JPEG file; 1 for everything else."""
    with open(path, "rb") as file:
        data = file.read(HEADER_BYTES)
    if not data.startswith(b"\xff\xd8"):
        return 1
    try:
        return _from_tiff(_exif_segment(data))
    except (struct.error, IndexError):
        return 1


def upright(pixels: NDArray, turn: int) -> NDArray:
    """The (h, w, ...) pixels of a picture with EXIF orientation `turn`, as it should be seen."""
    if turn in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if turn in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if turn in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def _exif_segment(data: bytes) -> bytes:
    start = 2
    while data[start] == 0xFF and data[start + 1] not in (0xDA, 0xD9):
        length = struct.unpack_from(">H", data, start + 2)[0]
        if data[start + 1] == 0xE1 and data[start + 4 : start + 10] == b"Exif\0\0":
            return data[start + 10 : start + 2 + length]
        start += 2 + length
    return b""


def _from_tiff(tiff: bytes) -> int:
    if tiff[:2] not in (b"II", b"MM"):
        return 1
    order = "<" if tiff[:2] == b"II" else ">"
    (directory,) = struct.unpack_from(order + "I", tiff, 4)
    (count,) = struct.unpack_from(order + "H", tiff, directory)
    for entry in range(directory + 2, directory + 2 + 12 * count, 12):
        tag, _, _, value = struct.unpack_from(order + "HHIH", tiff, entry)
        if tag == ORIENTATION:
            return value if 1 <= value <= 8 else 1
    return 1
