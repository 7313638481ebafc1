# SPDX-License-Identifier: GPL-3.0-or-later
"""What every kind of moving pictures can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import DiceError, MediaError
from ..types import Frame

FINGERPRINT = ("size", "modified")


@dataclass(frozen=True)
class Gap:
    """A frame that cannot be given, and why. Those after it can."""

    index: int
    error: DiceError


class Source(ABC):
    """Moving pictures, read one after another. Nothing is kept of what was given.

    Attributes
    ----------
    name
        For people.
    files
        All files that it reads.
    rate
        Frames a second.
    count
        How many frames there are; of a movie, as far as its container can be believed.
    size
        Width and height of each full frame in pixels, upright.
    notes
        Sentences for the user; some come while frames are read.
    """

    def __init__(self, name: str, files: Sequence[Path], rate: float, count: int, size: tuple[int, int]) -> None:
        self.name = name
        self.files = files
        self.rate = rate
        self.count = count
        self.size = size
        self.notes: list[str] = []
        self._opened = self.fingerprint()

    @abstractmethod
    def _items(self, start: int, end: int | None) -> Iterator[Frame | Gap]:
        """See `frames`."""

    def frames(self, start: int = 0, end: int | None = None) -> Iterator[Frame | Gap]:
        """One item for each index from `start` to `end`, both included, in order; to the last one without `end`, or
        when there are fewer. What is shown under several indices is the same `pixels` object each time. Frames have no
        `picture`.

        Raises
        ------
        MediaError
            When there is no frame `start`, the range is empty, or the source vanished.
        """
        if start < 0:
            raise MediaError(f"{self.name} has no frame {start}.", "Count from 0.")
        if end is not None and end < start:
            raise MediaError(f"There is no frame between {start} and {end}.", "Choose a later end.")
        yield from self._items(start, end)

    def fingerprint(self) -> dict[str, int]:
        """`size` in bytes of all files, and when the last one was `modified`, in nanoseconds since 1970: what differs
        when the source was changed.

        Raises
        ------
        MediaError
            When no file is left.
        """
        facts = []
        for path in self.files:
            try:
                facts.append(path.stat())
            except OSError:  # of pictures some may be missing
                continue
        if not facts:
            raise MediaError(f"{self.name} is gone.", "Put it back where it was.")
        return {"size": sum(one.st_size for one in facts), "modified": max(one.st_mtime_ns for one in facts)}

    def check(self, known: Mapping[str, int] | None = None) -> None:
        """Raise MediaError when the source is not what it was when `known` was its fingerprint: when it was opened."""
        before, now = known or self._opened, self.fingerprint()
        if any(before.get(key) != now[key] for key in FINGERPRINT):
            raise MediaError(f"{self.name} was changed since it was first read.", "Capture it from the beginning.")

    def _note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)
