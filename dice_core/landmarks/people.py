# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is in a picture, which hands belong to a face, and which of its landmarks they hide."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import DiceError, NothingFound
from ..types import SIDES, Crop, Frame, HandChoice, Side
from .litert import FaceLandmarks, HandLandmarks, Landmarker

OCCLUDED = 0.3  # weight of face landmarks that a hand covers
WIDEST = 2  # a crop, in sides of the picture
OWN = 1.0  # face widths: a hand farther from the face than this may be somebody else's
SURE = 0.9  # of its side, a hand is not taken for the other one
UNLIKELY = 0.2  # of its side: the user hears of it


def find_people(
    landmarker: Landmarker, frame: Frame, crop: Crop | None = None, number: int = 0
) -> tuple[FaceLandmarks | None, list[HandLandmarks]]:
    """One face and every hand, in pixels of the full picture; with a crop, of those that are seen in it.

    The face is the largest one, or with a number the one that many from the left, which is 1.

    Raises
    ------
    DiceError
        When the crop shows nothing of the picture.
    NothingFound
        When there are fewer faces than the number says.
    """
    pixels, corner = part_of(frame, crop)
    faces = [] if number else landmarker.faces(pixels)
    if number or len(faces) > 1:  # counted alike, whether the user has chosen one or will
        faces = landmarker.faces(pixels, everywhere=True)
    face = _numbered(faces, number, frame.source) if number else next(iter(faces), None)
    hands = landmarker.hands(pixels, None if face is None else face.points)
    if face is not None:
        face = replace(face, points=(face.points + corner) * frame.scale, others=len(faces) - 1)
    return face, [replace(hand, points=(hand.points + corner) * frame.scale) for hand in hands]


def _numbered(faces: list[FaceLandmarks], number: int, source: str) -> FaceLandmarks:
    if not 1 <= number <= len(faces):
        found = "no face was" if not faces else "1 face was" if len(faces) == 1 else f"{len(faces)} faces were"
        raise NothingFound(
            f"Face {number} was asked for, but {found} found in {source}.",
            "Choose a number that is there, counted from the left, or 0 for the largest.",
        )
    return sorted(faces, key=lambda face: float(face.points[:, 0].mean()))[number - 1]


def choice_note(face: FaceLandmarks | None, number: int) -> tuple[str, ...]:
    """For `Capture.notes`: that there were others, unless the user has chosen one."""
    if face is None or number or not face.others:
        return ()
    return (f"{face.others + 1} faces were found; the largest was captured. Choose another with Face.",)


def side_notes(hands: Iterable[HandLandmarks]) -> tuple[str, ...]:
    """For `Capture.notes`: which hands look like the other one, as one does that the user has named."""
    return tuple(
        f"The {hand.side} hand looks like the other one: is it this side, or is the picture mirrored?"
        for hand in hands if hand.side_score < UNLIKELY
    )  # fmt: skip


def part_of(frame: Frame, crop: Crop | None) -> tuple[NDArray[np.uint8], NDArray]:
    """What of the pixels a crop shows, and where that begins."""
    height, width = frame.pixels.shape[:2]
    if crop is None:
        return frame.pixels, np.zeros(2)
    left, top, side = crop
    if side > WIDEST * max(frame.size):
        raise DiceError(
            f"The crop's side of {side:.0f} pixels is more than {WIDEST} times as long as {frame.source} is.",
            f"Choose a crop within its {frame.size[0]} x {frame.size[1]} pixels.",
        )
    low = np.clip(np.round(np.array([left, top]) / frame.scale), 0, [width, height]).astype(int)
    high = np.clip(np.round(np.array([left + side, top + side]) / frame.scale), 0, [width, height]).astype(int)
    if (high - low).min() < 1:
        raise DiceError(
            f"The crop at {left:.0f}, {top:.0f} with a side of {side:.0f} pixels lies outside of {frame.source}.",
            f"Choose one within its {frame.size[0]} x {frame.size[1]} pixels.",
        )
    return np.ascontiguousarray(frame.pixels[low[1] : high[1], low[0] : high[0]]), low


def assign_sides(seen: list[HandLandmarks], face: FaceLandmarks | None, choice: HandChoice) -> list[HandLandmarks]:
    """The hands to fit: at most one a side, those nearest to the face first.

    Parameters
    ----------
    seen
        Every hand in the picture, of whomever.
    face
        The face that they are to be compared with, if there is one.
    choice
        A side that the user names overrules the detector's.
    """
    near = sorted(seen, key=lambda hand: (max(distance(hand, face) - OWN, 0), -hand.side_score))
    if choice in ("right", "left"):
        named = [hand for hand in near if hand.side == choice] or near
        named.sort(key=lambda hand: distance(hand, face))
        return [_as(choice, hand) for hand in named[:1]]
    by_side: dict[str, HandLandmarks] = {}
    for hand in near:
        free = [side for side in SIDES if side not in by_side]
        if hand.side in free:
            by_side[hand.side] = hand
        elif free and hand.side_score < SURE and distance(hand, face) < OWN:
            by_side[free[0]] = _as(free[0], hand)  # nobody has two right hands: the less certain one is the other
    return list(by_side.values())


def distance(hand: HandLandmarks, face: FaceLandmarks | None) -> float:
    """Between a hand and a face in the picture, in face widths; 0 without a face."""
    if face is None:
        return 0.0
    gaps = np.linalg.norm(hand.points[:, None] - face.points, axis=2)
    return float(gaps.min() / max(np.ptp(face.points, axis=0).max(), 1e-6))


def occlusion(face: FaceLandmarks, hands: list[HandLandmarks]) -> NDArray:
    """(478,) weights of the face's landmarks in a fit: less where a hand lies over them."""
    weights = np.ones(len(face.points))
    for hand in hands:
        corners = cv2.convexHull(hand.points.astype(np.float32))[:, 0].astype(float)
        edges, reach = np.roll(corners, -1, axis=0) - corners, face.points[:, None] - corners
        turns = edges[:, 0] * reach[..., 1] - edges[:, 1] * reach[..., 0]  # of each point about each edge
        weights[(turns > 0).all(1) | (turns < 0).all(1)] = OCCLUDED
    return weights


def _as(side: Side, hand: HandLandmarks) -> HandLandmarks:
    if side == hand.side:
        return hand
    return replace(hand, side=side, side_score=1 - hand.side_score)
