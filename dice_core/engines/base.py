# SPDX-License-Identifier: GPL-3.0-or-later
"""What every engine is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from ..types import Capture, Crop, Frame, HandChoice, Progress

OPEN_DEVICE = "CPU: the open engine needs no GPU"
BETTER_PICTURE = "Choose a picture in which the face and the hand are well lit and large enough."


class Engine(Protocol):
    """Turns frames into captures. Loading happens once, when the engine is made."""

    name: str

    @property
    def device(self) -> str:
        """What it computes on, and why, in words."""
        ...

    def capture(
        self, frame: Frame, hand: HandChoice, report: Progress, crop: Crop | None = None, face: int = 0
    ) -> Capture:
        """Capture one frame.

        Parameters
        ----------
        frame
            The picture.
        hand
            `auto`: the hands that touch, or else the nearest one (all when there is no face); `right`, `left`: one
            hand, of this side whatever it looks like; `both`: up to one hand of each side.
        report
            Told of the progress; may raise `Cancelled`.
        crop
            The part of the picture to look at; all of it when left out.
        face
            Which of several faces, the leftmost is 1; 0 for the largest.

        Raises
        ------
        NothingFound
            When the picture does not show what the engine needs: a face or a hand, or as many faces as asked for.
        """
        ...


class Clock:
    """`with clock("head"):` reports a stage's start and keeps its seconds."""

    def __init__(self, stages: tuple[str, ...], report: Progress) -> None:
        self.stages = stages
        self.report = report
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        self.report(stage, self.stages.index(stage) / len(self.stages))
        start = time.perf_counter()
        yield
        self.seconds[stage] = time.perf_counter() - start
