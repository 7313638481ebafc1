# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder of a sequence while it is being made: facts, whole arrays, and chunks of frames.

Every file appears whole or not at all, and what is there is never made again: that is all there is to resuming.
docs/result-format.md describes the folder when it is complete.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DiceError
from ..files import UNREADABLE, atomic

FACTS, LOCK = "capture.json", ".lock"
SCHEMA = 1
CHUNK = 32  # frames
Arrays = dict[str, NDArray]


class Folder:
    """A sequence's folder.

    Parameters
    ----------
    path
        It need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    @property
    def facts(self) -> dict[str, Any]:
        """What capture.json says; empty without one. Raises DiceError when it is broken or newer than this program."""
        try:
            facts = json.loads((self.path / FACTS).read_text(encoding="utf-8"))
            schema = facts["schema"]
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DiceError(f"{self.path / FACTS} cannot be read ({error}).", "Capture into another folder.") from error
        if schema > SCHEMA:
            raise DiceError(f"{self.path} was written by a newer version.", "Update the extension.")
        return facts

    @property
    def empty(self) -> bool:
        """Whether no step has left anything."""
        return all(path.name.startswith(".") for pattern in ("*.npz", "*/*.npz") for path in self.path.glob(pattern))

    @property
    def foreign(self) -> str | None:
        """Name of a file that is not of a sequence that has just begun; None when there is none."""
        if not self.path.is_dir():
            return None
        names = (path.name for path in self.path.iterdir())
        return next((name for name in names if name != FACTS and not name.startswith(".")), None)

    def clear(self) -> None:
        """Remove what was made in a folder that held nothing before but perhaps hidden files, which stay; and the
        folder when it is empty."""
        for path in list(self.path.iterdir()):
            if path.is_dir() and not path.name.startswith("."):
                shutil.rmtree(path, ignore_errors=True)
            elif path.name == LOCK or not path.name.startswith("."):
                with suppress(OSError):  # Windows removes no open file
                    path.unlink()
        with suppress(OSError):
            self.path.rmdir()

    def note(self, **facts: Any) -> None:
        """Write facts beside those that are there."""
        with atomic(self.path / FACTS) as temporary:
            _write(temporary, json.dumps({"schema": SCHEMA} | self.facts | facts, indent=1).encode() + b"\n")

    def file(self, step: str, start: int | None = None) -> Path:
        """Of a step: the whole, or the chunk that begins at a position."""
        return self.path / (f"{step}.npz" if start is None else f"{step}/{start:06}.npz")

    def has(self, step: str, start: int | None = None) -> bool:
        return self.file(step, start).is_file()

    def save(self, step: str, arrays: Mapping[str, NDArray], start: int | None = None) -> None:
        """Write arrays so that they are on the disk when this returns."""
        with atomic(self.file(step, start)) as temporary:
            with open(temporary, "wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]
                file.flush()
                os.fsync(file.fileno())

    def load(self, step: str, start: int | None = None, names: Iterable[str] | None = None) -> Arrays:
        """All arrays, or those that are named. Raises DiceError when they are missing or broken."""
        path = self.file(step, start)
        try:
            with np.load(path, allow_pickle=False) as archive:
                return {key: archive[key] for key in names or archive.files}
        except UNREADABLE as error:
            raise DiceError(
                f"{path} is missing or broken.", "Resume the capture, or capture again into another folder."
            ) from error

    def starts(self, count: int) -> range:
        """Where the chunks of so many frames begin."""
        return range(0, count, CHUNK)

    def together(self, step: str, count: int, names: Iterable[str]) -> Arrays:
        """Arrays of all frames, out of the chunks."""
        names = tuple(names)
        parts: dict[str, list[NDArray]] = {name: [] for name in names}
        for start in self.starts(count):
            chunk = self.load(step, start, names)
            for name in names:
                parts[name].append(chunk[name])
        return {name: np.concatenate(values) for name, values in parts.items()}

    def holds(self, step: str, count: int) -> bool:
        """Whether all chunks of so many frames are there."""
        return all(self.has(step, start) for start in self.starts(count))

    def drop(self, *steps: str) -> None:
        """Forget steps. Raises DiceError when a file cannot be removed, as one that is open in Windows."""
        try:
            for step in steps:
                self.file(step).unlink(missing_ok=True)
                if (self.path / step).is_dir():
                    shutil.rmtree(self.path / step)
        except OSError as error:
            raise DiceError(
                f"Cannot replace {error.filename} ({error.strerror}).", "Close what has it open, then resume."
            ) from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else works in the folder meanwhile. The system frees it when this process ends, however it ends.

        Raises
        ------
        DiceError
            When somebody does, or the folder cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            file = open(self.path / LOCK, "ab")  # noqa: SIM115
        except OSError as error:
            raise DiceError(f"Cannot write to {self.path} ({error.strerror}).", "Choose another folder.") from error
        with file:
            if not _lock(file.fileno()):
                raise DiceError(f"Another process works in {self.path}.", "Wait for it, or choose another folder.")
            yield

    def mend(self) -> None:
        """Remove files that a power cut left broken, and those that were never finished."""
        for path in [*self.path.glob(".*.npz"), *self.path.glob("*/.*.npz"), *self.path.glob(".*.json")]:
            path.unlink()
        for path in [*self.path.glob("*.npz"), *self.path.glob("*/*.npz")]:
            try:
                with np.load(path, allow_pickle=False) as archive:
                    for key in archive.files:
                        archive[key]
            except UNREADABLE:
                path.unlink()


def _lock(file: int) -> bool:
    """Whether an open file could be locked."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _write(path: Path, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
