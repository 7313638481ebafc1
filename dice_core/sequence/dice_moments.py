# SPDX-License-Identifier: GPL-3.0-or-later
"""The frames of a chunk, out of a movement of the whole clip and what the network said of the vertices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from numpy.typing import NDArray

from ..result.smooth import held
from ..types import Hand, Side
from .dice_answers import Said
from .dice_build import Builder, Moment
from .dice_fixing import with_moves
from .dice_surfaces import no_surfaces, smooth_surfaces
from .folder import CHUNK, Arrays, Folder
from .open_motion import cutoffs


@dataclass(frozen=True)
class Moments:
    """Builds chunks of a sequence's folder.

    Attributes
    ----------
    times
        (N,) seconds.
    motion
        See `dice_motion.moved`; with what `dice_fixing.smooth_moves` gives, hands are moved so.
    smoothing
        0..1, of the movement.
    """

    folder: Folder
    times: NDArray
    builder: Builder
    motion: Arrays
    smoothing: float

    def said(self, start: int) -> dict[Side, Said]:
        """What the network would have to say of each side in the frames from `start` on."""
        cutoff = cutoffs(self.smoothing)["contact"]
        said = {}
        for side, part in self.parts(slice(start, start + CHUNK)).items():
            surfaces = no_surfaces(len(part["turn"]))
            if side in self.builder.sides:
                surfaces = smooth_surfaces(self.folder, start, side, self.times, self.motion, cutoff)
            said[side] = self.builder.said(side, part, surfaces)
        return said

    def frames(self, start: int, said: dict[Side, Said]) -> Iterator[Moment]:
        """Those frames. Hands that are not seen stay where they are, whatever the head does."""
        latest = {side: held(self.motion[f"{side}_hand"]) for side in self.builder.sides}
        still: dict[tuple[Side, int], Hand] = {}
        for position, moment in enumerate(self.builder.moments(said, self.parts(slice(start, start + CHUNK))), start):
            hands = []
            for hand in with_moves(moment, self.motion, position).hands:
                index = int(latest[hand.side][position])
                if index != position and (hand.side, index) not in still:
                    still |= {(other.side, index): other for other in self._hands_at(index)}
                hands.append(hand if index == position else still[hand.side, index])
            yield replace(moment, hands=tuple(hands))

    def parts(self, which: slice) -> dict[Side, Arrays]:
        """Of the movement and each side whose answers are needed."""
        return {
            side: {name.removeprefix(f"{side}_"): values[which] for name, values in self.motion.items()
                   if name.startswith(side)}
            for side in self.builder.order
        }  # fmt: skip

    def _hands_at(self, position: int) -> tuple[Hand, ...]:
        """Without contact."""
        parts = self.parts(slice(position, position + 1))
        said = {side: self.builder.said(side, part, no_surfaces(1)) for side, part in parts.items()}
        (moment,) = self.builder.moments(said, parts)
        return with_moves(moment, self.motion, position).hands
