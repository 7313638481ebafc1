# SPDX-License-Identifier: GPL-3.0-or-later
"""What every engine is."""

from __future__ import annotations

from typing import Protocol

from ..types import Capture, Frame, HandChoice, Progress

OPEN_DEVICE = "CPU: the open engine needs no GPU"


class Engine(Protocol):
    """Turns frames into captures. Loading happens once, when the engine is made."""

    name: str
    device: str

    def capture(self, frame: Frame, hand: HandChoice, report: Progress) -> Capture:
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

        Raises
        ------
        NothingFound
            When the picture shows neither a face nor a hand.
        """
        ...
