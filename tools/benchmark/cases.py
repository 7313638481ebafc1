# SPDX-License-Identifier: GPL-3.0-or-later
"""What the benchmark shows: every part of the hand, every region of the face, both hands, and hands that do not touch.

The two halves share this list: part, region, side, how far the head is turned within its range, how deep the hand is
pressed. A half's first seed decides all else: who is in its pictures, how they pose, what they look like, the light and
the camera.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dice_core.types import SIDES, Side

Half = Literal["tune", "test"]
FIRST_SEED: dict[Half, int] = {"tune": 10_000, "test": 770_000}
TOUCHES = (
    ("index", "cheek"), ("tips", "cheek"), ("palm", "cheek"), ("fist", "cheek"), ("thumb", "chin"), ("index", "lips"),
    ("knuckles", "cheek"), ("heel", "chin"), ("pinch", "chin"), ("middle", "nose"), ("index", "nose"), ("fist", "chin"),
    ("tips", "forehead"), ("palm", "forehead"), ("little", "lips"), ("ring", "eye"), ("index", "eye"), ("pinch", "ear"),
    ("index", "ear"), ("thumb", "jaw"), ("tips", "temple"), ("index", "temple"), ("knuckles", "temple"),
    ("fist", "temple"), ("heel", "cheek"), ("middle", "forehead"), ("tips", "lips"), ("knuckles", "lips"),
    ("thumb", "lips"), ("pinch", "nose"), ("tips", "jaw"), ("palm", "jaw"), ("little", "cheek"), ("ring", "chin"),
    ("knuckles", "jaw"), ("tips", "chin"), ("fist", "jaw"), ("heel", "forehead"), ("thumb", "cheek"), ("heel", "eye"),
    ("index", "chin"), ("tips", "nose"), ("palm", "chin"), ("middle", "cheek"),
)  # fmt: skip
GAPS = (0.01, 0.03, 0.06, 0.15)  # metres before the face
IN_FRONT = (("tips", "cheek"), ("open", "nose"), ("index", "lips"), ("fist", "chin"), ("relaxed", "eye"))
BESIDE = (("open", "ear"), ("relaxed", "temple"), ("fist", "jaw"))
LIMITS = {"cheek": 0.012, "lips": 0.008, "jaw": 0.008, "ear": 0.007, "chin": 0.005, "nose": 0.005, "eye": 0.003,
          "temple": 0.004, "forehead": 0.003}  # fmt: skip
BROAD = {"palm": 0.4, "heel": 0.5, "knuckles": 0.7, "fist": 0.7}  # of the limit: they lie on bone somewhere
PRESSES = 9


@dataclass(frozen=True)
class Case:
    """One picture.

    Attributes
    ----------
    name, seed
        Its file's name; what everything random follows from.
    part, region
        Of the hand (or how it is held) and of the face; empty when there is no hand.
    side, face_side
        Which hand, and on which side of the face.
    yaw
        0..1, how far in the range of head angles.
    press
        Metres that the hand is pushed on after it first touches; 0 when it does not touch.
    gap
        Metres that it stays away in front, or None when it touches or is beside the face.
    beside
        Whether it is held beside the head.
    """

    name: str
    seed: int
    part: str
    region: str
    side: Side
    face_side: Side
    yaw: float
    press: float = 0.0
    gap: float | None = None
    beside: bool = False

    @property
    def touches(self) -> bool:
        return bool(self.part) and self.gap is None and not self.beside


def cases(half: Half) -> list[Case]:
    """All cases of a half, in a fixed order."""
    made: list[Case] = []

    def add(name: str, part: str, region: str, *, across: bool = False, **more: float | bool) -> None:
        index = len(made)
        side = SIDES[index % 2]
        face_side = SIDES[1 - index % 2] if across else side
        yaw = (index * 0.618034) % 1  # the golden ratio spreads any number of values evenly
        made.append(Case(name, FIRST_SEED[half] + 100 * index, part, region, side, face_side, yaw, **more))  # type: ignore[arg-type]

    for index, (part, region) in enumerate(TOUCHES):
        press = LIMITS[region] * BROAD.get(part, 1.0) * (index * 4 % PRESSES) / (PRESSES - 1)
        add(f"{part}-{region}", part, region, across=index % 8 in (3, 4), press=press)
    for gap in GAPS:
        for part, region in IN_FRONT:
            add(f"{part}-{round(100 * gap)}cm-before-{region}", part, region, gap=gap)
    for part, region in BESIDE:
        add(f"{part}-beside-{region}", part, region, beside=True)
    add("no-hand", "", "")
    return made
