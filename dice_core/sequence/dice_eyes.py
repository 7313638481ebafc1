# SPDX-License-Identifier: GPL-3.0-or-later
"""What the dice engine sees in the frames of a sequence: landmarks, a square around them, and what the network says.

The network is asked about as many squares at a time as its device takes: on a GPU about those of a whole chunk.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..engines.dice import DiceEngine, near, square_of
from ..landmarks.litert import FaceLandmarks, HandLandmarks, Landmarker
from ..landmarks.people import assign_sides, distance
from ..landmarks.regions import Region
from ..landmarks.track import Tracker
from ..network.preprocess import choose_crop, normalise
from ..types import SIDES, Crop, Frame, HandChoice, Side
from .dice_answers import SHAPES, Said, sensible
from .folder import Arrays

STEADY = 0.2  # seconds within which the square follows: one that jumps makes the network's answers jump
FACE = {"points": (478, 2), "score": ()}
HAND = {"points": (21, 2), "score": (), "side_score": (), "distance": ()}


class DiceEyes:
    """Looks at one frame after another.

    One side, the lead, is asked for in all frames with a face, so that one series of answers tells of the head: the
    side that was named, or of the first hand that comes near. Until there is one, both are.

    Parameters
    ----------
    engine
        Has the network.
    models
        Folder of the landmark models.
    hand, face, crop
        See `engines.base`.
    """

    def __init__(self, engine: DiceEngine, models: Path, hand: HandChoice, face: int, crop: Crop | None) -> None:
        self.runner, self.hand, self.crop = engine.runner, hand, crop
        self.tracker = Tracker(Landmarker(models, threads=1), face, crop)
        self.lead: Side | None = hand if hand == "right" or hand == "left" else None
        self.region: Region | None = None  # that the network was shown last
        self.waited = 0.0  # seconds since then
        self.blank = blank
        self._squares: list[NDArray[np.uint8]] = []  # of this chunk, still to be asked about
        self._said: list[Said] = []
        self._asked = 0

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the user."""
        return self.runner.notes

    def look(self, frame: Frame, step: float) -> Arrays:
        """What is in the next frame, `step` seconds later: one row of `blank`."""
        face, seen = self.tracker(frame, step)
        self.waited += step
        hands = near(assign_sides(seen, face, self.hand), face, self.hand)
        region = self._follow(frame, face, hands)
        row = blank()
        if region is None:
            return row
        row["region"] = np.array([*region.center, region.side, region.angle])
        if face is not None:
            row |= _named("face", FACE, vars(face))
        for hand in hands:
            row |= _named(hand.side, HAND, vars(hand) | {"distance": distance(hand, face)})
        square = square_of(frame, region)
        for side in self._sides(hands, face):
            row[f"{side}_asked"] = np.array(self._asked)
            self._asked += 1
            self._squares.append(square[:, ::-1] if side == "left" else square)
        while len(self._squares) >= self.runner.batch:
            self._ask()
        return row

    def together(self, rows: list[Arrays]) -> Arrays:
        """See `Eyes`. Of what was said, arrays of those frames only in which a side was `answered`."""
        while self._squares:
            self._ask()
        blank = [np.zeros((0, *shape), np.float32) for shape in SHAPES.values()]
        said = Said(*map(np.concatenate, zip(blank, *self._said, strict=True)))  # type: ignore[arg-type]
        good = sensible(said)
        self._said, self._asked = [], 0
        found = {key: np.stack([row[key] for row in rows]) for key in rows[0]}
        for side in SIDES:
            number = found.pop(f"{side}_asked")
            answered = number >= 0
            answered[answered] = good[number[answered]]
            found[f"{side}_answered"] = answered
            found |= {f"{side}_{name}": values[number[answered]] for name, values in said._asdict().items()}
        return found

    def state(self) -> Arrays:
        """See `Eyes`."""
        shown = self.region
        return self.tracker.state() | {
            "lead": np.array(-1 if self.lead is None else SIDES.index(self.lead)),
            "region": np.zeros(0) if shown is None else np.array([*shown.center, shown.side, shown.angle]),
            "waited": np.array(self.waited),
        }

    def restore(self, state: Arrays) -> None:
        """See `Eyes`."""
        self.tracker.restore(state)
        lead, shown = int(state["lead"]), state["region"]
        self.lead = None if lead < 0 else SIDES[lead]
        self.region = Region(shown[:2], float(shown[2]), float(shown[3])) if len(shown) else None
        self.waited = float(state["waited"])

    def _follow(self, frame: Frame, face: FaceLandmarks | None, hands: list[HandLandmarks]) -> Region | None:
        """The square to show, in pixels of the full picture; None when there is no face."""
        if self.crop is not None:
            left, top, side = self.crop
            return Region(np.array([left + side / 2, top + side / 2]), side)
        if face is None:
            return None
        wanted, _ = choose_crop(face.points, [hand.points for hand in hands], *frame.size)
        self.region = wanted if self.region is None else _towards(self.region, wanted, self.waited)
        self.waited = 0.0
        return self.region

    def _sides(self, hands: list[HandLandmarks], face: FaceLandmarks | None) -> list[Side]:
        if self.lead is None and hands:
            self.lead = min(hands, key=lambda hand: distance(hand, face)).side
        wanted = {self.lead, *(hand.side for hand in hands)} if self.lead else {*SIDES}
        return [side for side in SIDES if side in wanted]

    def _ask(self) -> None:
        some, self._squares = self._squares[: self.runner.batch], self._squares[self.runner.batch :]
        answer = self.runner.run(normalise(some))
        self._said.append(Said(*(getattr(answer, name) for name in Said._fields)))


def blank() -> Arrays:
    """Of a frame in which there is nothing. `..._asked` are the numbers of questions to the network, -1 for none."""
    row: Arrays = {"region": np.zeros(4)}
    for name, shapes in [("face", FACE), *((side, HAND) for side in SIDES)]:
        row[f"{name}_seen"] = np.array(False)
        row |= {f"{name}_{key}": np.zeros(shape, np.float32) for key, shape in shapes.items()}
    return row | {f"{side}_asked": np.array(-1) for side in SIDES}


def _named(name: str, shapes: dict, values: dict) -> Arrays:
    return {f"{name}_seen": np.array(True)} | {f"{name}_{key}": np.asarray(values[key], np.float32) for key in shapes}


def _towards(before: Region, wanted: Region, seconds: float) -> Region:
    """The square on its way to the one that is wanted."""
    share = 1 - math.exp(-seconds / STEADY)
    turn = math.remainder(wanted.angle - before.angle, 2 * math.pi)
    return Region(
        before.center + share * (wanted.center - before.center),
        before.side * (wanted.side / before.side) ** share,
        before.angle + share * turn,
    )
