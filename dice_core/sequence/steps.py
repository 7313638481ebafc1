# SPDX-License-Identifier: GPL-3.0-or-later
"""What an engine does with moving pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from ..result.caches import CacheFile
from ..types import Frame
from .folder import Arrays, Folder


class Eyes(Protocol):
    """Look at one frame after another."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the user, when all was looked at."""

    def look(self, frame: Frame, step: float) -> Arrays:
        """What is in the next frame, `step` seconds later: always the same names and shapes."""

    def blank(self) -> Arrays:
        """Of a frame that cannot be read."""

    def together(self, rows: list[Arrays]) -> Arrays:
        """The rows of a chunk as arrays with the frames in front, `..._seen` of `face`, `right` and `left` among
        them."""

    def state(self) -> Arrays:
        """All that the next frame's answer depends on."""

    def restore(self, state: Arrays) -> None:
        """Go on where `state` was asked for."""


class Steps(Protocol):
    """From what was seen to the result, in a folder.

    Attributes
    ----------
    order
        Names of all steps, also of their files. The last one makes the frames.
    by_chunk
        Those that are done for each chunk by itself, and their shares of the time.
    depend_on_smoothing
        Those to do again when it is changed.
    """

    @property
    def order(self) -> tuple[str, ...]: ...

    @property
    def by_chunk(self) -> Mapping[str, float]: ...

    @property
    def depend_on_smoothing(self) -> tuple[str, ...]: ...

    @property
    def count(self) -> int:
        """Frames."""

    def whole(self, step: str) -> Arrays:
        """Do a step that takes the whole clip."""

    def chunk(self, step: str, start: int) -> Arrays:
        """Do a step for the chunk that begins at a position."""

    def caches(self, static: Arrays) -> list[CacheFile]:
        """The files that the last step fills."""

    def notes(self) -> tuple[str, ...]:
        """Sentences for the user, when all is done."""


def steps_of(folder: Folder) -> Steps:
    """Of the engine that a folder's facts name."""
    if folder.facts["engine"] == "dice":
        from .dice_steps import DiceSteps

        return DiceSteps(folder)
    from .open_steps import OpenSteps

    return OpenSteps(folder)
