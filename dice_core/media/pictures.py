# SPDX-License-Identifier: GPL-3.0-or-later
"""Still pictures as the frames of a movie: a numbered series, a folder, or a list."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ..errors import MediaError
from ..types import Frame
from . import KINDS
from .base import Gap, Source
from .decode import read_picture

MISSING = 100  # times as many numbers as pictures: what is counted there are no frames
NUMBER = re.compile(r"([0-9]+)(?=[^0-9]*$)")  # the last one of a stem


class Pictures(Source):
    """Picture files in order, all of the first one's size; None is a gap.

    Raises
    ------
    MediaError
        When none of them can be read.
    """

    def __init__(self, name: str, paths: Sequence[Path | None], rate: float) -> None:
        self._paths = paths
        files = [path for path in paths if path]
        first = _first(name, files)
        super().__init__(name, files, rate, len(paths), first.size)

    def _items(self, start: int, end: int | None) -> Iterator[Frame | Gap]:
        if start >= self.count:
            raise MediaError(f"{self.name} has no frame {start}: it has {self.count} from 0 on.", "Choose one of them.")
        before: Frame | Gap | None = None
        gaps = 0
        for index in range(start, self.count if end is None else min(self.count, end + 1)):
            again = self._paths[index] == self._paths[index - 1]
            before = replace(before, index=index) if before and again else self._read(index)
            gaps += isinstance(before, Gap)
            yield before
        if gaps:
            self.check()  # they may have gone meanwhile

    def _read(self, index: int) -> Frame | Gap:
        path = self._paths[index]
        if path is None:
            return Gap(index, MediaError(f"{self.name} has no picture for frame {index}.", "Add it."))
        try:
            frame = read_picture(path)
        except MediaError as error:
            return Gap(index, error)
        if frame.size != self.size:
            sizes = " and not ".join(f"{width} x {height}" for width, height in (frame.size, self.size))
            return Gap(index, MediaError(f"{path.name} has {sizes} pixels.", "Bring all pictures to one size."))
        return replace(frame, index=index, picture=b"")


def series(path: Path, rate: float) -> Pictures:
    """The numbered series that a picture belongs to; that picture alone when it belongs to none.

    Raises
    ------
    MediaError
    """
    if not NUMBER.search(path.stem) or not os.path.isfile(path):
        return Pictures(path.name, [path], rate)
    members = [other for other in _pictures(path.parent) if _key(other) == _key(path)]
    return Pictures(path.name, _in_order(members or [path]), rate)


def folder(path: Path, rate: float) -> Pictures:
    """The numbered series in a folder; all its pictures, in the order that people expect, when there is none.

    Raises
    ------
    MediaError
        When there is no picture, or more than one series.
    """
    name = path.absolute().name or str(path)
    found = sorted(_pictures(path), key=_natural)
    if not found:
        raise MediaError(f"{name} holds no pictures.", "Choose a folder with pictures, or a movie.")
    groups = defaultdict(list)
    for one in found:
        groups[_key(one)].append(one)
    several = [members for members in groups.values() if len(members) > 1 and NUMBER.search(members[0].stem)]
    if len(several) > 1:
        kinds = ", ".join(f"{_pattern(members[0])} ({len(members)})" for members in several[:4])
        raise MediaError(f"{name} holds several series of pictures: {kinds}.", "Choose a picture of the one you mean.")
    if not several:
        return Pictures(name, found, rate)
    members = several[0]
    source = Pictures(name, _in_order(members), rate)
    others = [one.name for one in found if _key(one) != _key(members[0])]
    if others:
        more = " and more" if len(others) > 3 else ""
        source.notes.append(f"Left out beside {_pattern(members[0])}: {', '.join(others[:3])}{more}.")
    return source


def _first(name: str, files: Sequence[Path]) -> Frame:
    """The first one that can be read."""
    trouble = None
    for path in files:
        try:
            return read_picture(path)
        except MediaError as error:
            trouble = trouble or error
    if trouble and len(files) == 1:
        raise trouble
    raise MediaError(f"None of the pictures of {name} can be read.", f"The first: {trouble}" if trouble else "")


def _pictures(path: Path) -> list[Path]:
    """The picture files right in a folder, hidden ones left out. Links are followed, but only to files."""
    try:
        names = os.listdir(path)
    except OSError as error:
        raise MediaError(f"The folder {path} may not be read.", "Change its permissions or copy it.") from error
    ours = (path / name for name in names if not name.startswith(".") and Path(name).suffix.lower() in KINDS)
    return [one for one in ours if os.path.isfile(one)]  # False, too, for a link that leads round in a circle


def _in_order(members: Sequence[Path]) -> list[Path | None]:
    """By number, the first is index 0, with a gap for each number that is missing."""
    numbered: dict[int, Path] = {}
    for path in members:
        other = numbered.setdefault(_number(path), path)
        if other != path:
            raise MediaError(f"{other.name} and {path.name} have the same number.", "Move one of them away.")
    first, last = min(numbered), max(numbered)
    if last - first >= MISSING * len(numbered):
        names = f"{numbered[first].name} to {numbered[last].name}"
        raise MediaError(f"The numbers of {len(numbered)} pictures go from {names}.", "Number them one by one.")
    return [numbered.get(number) for number in range(first, last + 1)]


def _key(path: Path) -> tuple[str, str]:
    """What all names of a series have in common: all but the number."""
    return NUMBER.sub("#", path.stem), path.suffix.lower()


def _pattern(path: Path) -> str:
    return NUMBER.sub("#", path.stem) + path.suffix


def _number(path: Path) -> int:
    found = NUMBER.search(path.stem)
    return int(found[1]) if found else 0


def _natural(path: Path) -> list[int | str]:
    """2 before 10, capitals like small letters."""
    parts = re.split("([0-9]+)", path.name.casefold())  # text and number in turns
    return [int(part) if index % 2 else part for index, part in enumerate(parts)]
