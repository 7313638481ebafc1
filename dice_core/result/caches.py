# SPDX-License-Identifier: GPL-3.0-or-later
"""PC2 files: three numbers for each vertex in each frame, as Blender's Mesh Cache modifier reads them.

A header of 32 bytes, then (frames, vertices, 3) little-endian float32, no compression: any frame can be read, and
written, without the others.
"""

from __future__ import annotations

import errno
import os
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import DiceError
from ..types import Array

HEADER = struct.Struct("<12siiffi")  # magic, version, vertices, first frame, frames a sample, frames
MAGIC = b"POINTCACHE2\0"
CANNOT_RESERVE = {errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS}  # some file systems


@dataclass(frozen=True)
class CacheFile:
    """A cache that is being written, `path` with `.partial` behind it until it is finished.

    Any process may write any frame of it, whether or not it called `create`; no two may write the same one at a time.

    Attributes
    ----------
    path
        Where it will be.
    vertices, frames
        How many.
    """

    path: Path
    vertices: int
    frames: int

    @classmethod
    def create(cls, path: str | Path, vertices: int, frames: int) -> CacheFile:
        """Make the file in its full length, with zeros; one of the same size that is there already keeps its frames.

        Raises
        ------
        DiceError
            When the disk has no room for it, or it cannot be made; a new one is gone then.
        """
        made = cls(Path(path), vertices, frames)
        begun = made._is_begun()
        try:
            with open(made.partial, "r+b" if begun else "wb") as file:
                file.write(made.header)
                file.flush()
                _reserve(file.fileno(), made.size)
                os.fsync(file.fileno())
        except OSError as error:
            if not begun:
                made.partial.unlink(missing_ok=True)
            raise _unwritable(made.path, error) from error
        return made

    @property
    def partial(self) -> Path:
        """The file while it is being written."""
        return self.path.with_name(f"{self.path.name}.partial")

    @property
    def header(self) -> bytes:
        """Its first bytes."""
        return HEADER.pack(MAGIC, 1, self.vertices, 0.0, 1.0, self.frames)

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return HEADER.size + 12 * self.vertices * self.frames

    def write(self, position: int, values: NDArray) -> None:
        """Write the frames from `position` on, (n, V, 3); they are on the disk when this returns.

        Raises
        ------
        DiceError
            When they cannot be written.
        """
        data = np.ascontiguousarray(values, "<f4")
        if data.shape[1:] != (self.vertices, 3) or not 0 <= position <= self.frames - len(data):
            raise ValueError(f"{data.shape} at {position} is not in ({self.frames}, {self.vertices}, 3)")
        try:
            with open(self.partial, "r+b", buffering=0) as file:
                file.seek(HEADER.size + 12 * self.vertices * position)
                rest = data.reshape(-1).view(np.uint8).data
                while rest:
                    rest = rest[file.write(rest) :]
                os.fsync(file.fileno())
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def finish(self) -> None:
        """Give the file its name, in place of one that has it. Where that was done already, nothing happens.

        Raises
        ------
        DiceError
            When neither file is there, or another program holds the old one open.
        """
        try:
            os.replace(self.partial, self.path)
        except FileNotFoundError as error:
            if not self.path.is_file():
                raise _unwritable(self.path, error) from error
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def _is_begun(self) -> bool:
        """Whether a file of this size waits for its frames."""
        try:
            with open(self.partial, "rb") as file:
                return file.read(HEADER.size) == self.header and os.fstat(file.fileno()).st_size == self.size
        except OSError:
            return False


def read(path: str | Path) -> Array:
    """(frames, V, 3) float32 of a finished file, which stays on the disk: only what is used is read.

    Windows can neither replace nor delete the file as long as the array is there.

    Raises
    ------
    DiceError
        When it is missing or damaged.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            header, size = file.read(HEADER.size), os.fstat(file.fileno()).st_size
        vertices, frames = _counts(header)
        if not vertices or size != CacheFile(path, vertices, frames).size:
            raise DiceError(f"{path.name} is damaged.", "Capture the sequence again.")
        return np.memmap(path, "<f4", "r", HEADER.size, (frames, vertices, 3))
    except FileNotFoundError as error:
        raise DiceError(f"{path.name} is missing in {path.parent}.", "Capture the sequence again.") from error
    except OSError as error:
        raise DiceError(f"{path.name} cannot be read ({error.strerror}).", "Check the folder's permissions.") from error


def _counts(header: bytes) -> tuple[int, int]:
    """Vertices and frames that a header announces; zeros when it is none of ours."""
    if len(header) != HEADER.size:
        return 0, 0
    magic, version, vertices, _, _, frames = HEADER.unpack(header)
    return (vertices, frames) if magic == MAGIC and version == 1 and vertices > 0 and frames > 0 else (0, 0)


def _reserve(file: int, size: int) -> None:
    """Give the file its length and, where the system can, its place on the disk."""
    if hasattr(os, "posix_fallocate"):
        try:
            return os.posix_fallocate(file, 0, size)
        except OSError as error:
            if error.errno not in CANNOT_RESERVE:
                raise
    os.ftruncate(file, size)


def _unwritable(path: Path, error: OSError) -> DiceError:
    return DiceError(
        f"Cannot write {path.name} ({error.strerror}).", "Free some disk space or choose another place, then resume."
    )
